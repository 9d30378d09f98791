/**
 * Overview: what a bundle carries, lacks and needs; its signatures and files.
 *
 *     byId('overview').replaceChildren(...overviewView(summary));
 */
import { h } from './dom.js';
import { brief, bytes, count, plural, shown } from './format.js';
/** @typedef {import('./summary.js').Summary} Summary */
/** @typedef {import('./summary.js').Part} Part */

const MOST = 200;

/** The first of many things, and how many are left. @template T @param {T[]} items @param {(item: T) => Node} view @param {number} [most] */
function listOf(items, view, most = MOST) {
  const rest = items.length - most;
  return [...items.slice(0, most).map(view), ...(rest > 0 ? [h('li', { class: 'note' }, `and ${count(rest)} more`)] : [])];
}

/** @param {string} title @param {string} id @param {...(Node | null)} children */
const card = (title, id, ...children) =>
  h('section', { class: 'card', 'aria-labelledby': id }, h('h3', { id }, title), children);

/** @param {Part} part */
function partView({ id, kind, what, files, bytes: size, depth, facts }) {
  const item = h('li', { class: 'part' },
    h('p', { class: 'part-name' }, h('code', {}, shown(id)), h('span', { class: 'tag' }, shown(kind, 60))),
    h('p', { class: 'note' }, `${what}; ${plural(files, 'file')}, ${bytes(size)}`),
    facts.length ? h('details', {}, h('summary', {}, plural(facts.length, 'fact')),
      h('dl', { class: 'pairs' }, facts.map(([name, value]) => [h('dt', {}, shown(name, 80)), h('dd', {}, shown(value))]).flat())) : null);
  item.style.setProperty('--depth', String(depth));
  return item;
}

/** @param {Summary} summary */
function carried({ parts, components }) {
  return card('Carried', 'h-carried',
    parts.length ? h('ul', { class: 'plain parts' }, parts.map(partView)) : h('p', { class: 'empty' }, 'No components: only files and tensors.'),
    components > parts.length ? h('p', { class: 'note' }, `and ${count(components - parts.length)} more`) : null);
}

/** @param {Summary} summary */
function weights({ roles, dtypes, tensors }) {
  const most = Math.max(1, ...roles.map((role) => role.bytes));
  return card('Tensors by role', 'h-roles',
    h('p', { class: 'note' }, `${plural(tensors.count, 'tensor')}, ${bytes(tensors.bytes)} in distinct ranges. Types: ${dtypes.map(({ name }) => shown(name, 40)).slice(0, 20).join(', ') || 'none'}.`),
    h('ul', { class: 'plain bars' }, roles.map(({ name, tensors: n, bytes: size, elements }) => {
      const bar = h('span', { class: 'bar', 'aria-hidden': 'true' });
      bar.style.setProperty('--share', String(size / most));
      return h('li', {}, h('span', {}, name), bar, h('span', { class: 'figure' }, `${plural(n, 'tensor')} · ${brief(elements)} ${elements === 1 ? 'element' : 'elements'} · ${bytes(size)}`));
    })));
}

/** @param {Summary} summary */
function missing({ missing: sentences }) {
  return card('Missing', 'h-missing', sentences.length
    ? h('ul', { class: 'plain dashes' }, sentences.map((sentence) => h('li', {}, sentence)))
    : h('p', { class: 'empty' }, 'Nothing that this page looks for.'));
}

/** @param {string} title @param {string[]} words */
function words(title, words) {
  if (!words.length) return null;
  return h('div', {}, h('h4', {}, title), h('ul', { class: 'plain words' }, listOf(words, (word) => h('li', {}, h('code', {}, shown(word, 80))))));
}

/** @param {Summary} summary */
function needed({ needed: { layers, customObjects, ops, dtypes }, hazards }) {
  const custom = customObjects.map(({ registeredName, module }) => (module ? `${registeredName} from ${module}` : registeredName));
  const parts = [words('Custom objects, to be supplied', custom), words('Layers', layers), words('Graph operations', ops), words('Element types', dtypes)];
  return card('Needed', 'h-needed', ...parts.filter(Boolean),
    parts.some(Boolean) ? null : h('p', { class: 'empty' }, 'Nothing is stated.'),
    hazards.length ? h('div', { class: 'hazards' }, h('h4', {}, 'Would run code or open files when Keras loads it'),
      h('ul', { class: 'plain' }, listOf(hazards, ({ layer, kind, detail }) =>
        h('li', {}, h('span', { class: 'tag' }, shown(kind, 40)), ` ${shown(layer, 80)} `, h('code', {}, shown(detail, 160)))))) : null);
}

/** @param {any} port */
const portView = ({ name, dtype, shape }) => h('li', {}, h('code', {}, shown(String(name), 120)), ` ${shown(String(dtype), 40)} `,
  Array.isArray(shape) ? `[${shape.slice(0, 32).map((d) => (d === null ? '?' : shown(String(d), 40))).join(', ')}]` : 'of unknown rank');

/** @param {Summary} summary */
function signatures({ signatures: list }) {
  return card('Signatures', 'h-signatures', list.length
    ? h('ul', { class: 'plain' }, listOf(/** @type {any[]} */ (list), ({ name, component, inputs, outputs }) => h('li', { class: 'signature' },
      h('p', {}, h('code', { class: 'strong' }, shown(String(name))), h('span', { class: 'note' }, ` of ${shown(String(component))}`)),
      h('div', { class: 'ports' },
        h('div', {}, h('h4', {}, 'Takes'), h('ul', { class: 'plain' }, listOf(inputs, portView, 50))),
        h('div', {}, h('h4', {}, 'Gives'), h('ul', { class: 'plain' }, listOf(outputs, portView, 50)))))))
    : h('p', { class: 'empty' }, 'None: nothing here says by which names it is called.'));
}

/** @param {Summary} summary */
function files({ files: list, stored, composed }) {
  const rows = list.slice(0, MOST).map(({ path, size, role, storage, digest }) => h('tr', {},
    h('th', { scope: 'row' }, h('code', {}, shown(path))), h('td', { class: 'figure' }, bytes(size)), h('td', {}, role), h('td', {}, storage),
    h('td', {}, h('code', { title: digest }, `${digest.slice(7, 19)}…`))));
  return card('Files', 'h-files',
    h('p', { class: 'note' }, `${plural(list.length, 'file')}: ${bytes(stored)} stored${composed ? `; ${bytes(composed)} more as views over stored bytes` : ''}.`),
    h('details', {}, h('summary', {}, 'List the files'),
      h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Files' }, h('table', {},
        h('thead', {}, h('tr', {}, ['Path', 'Size', 'Role', 'Storage', 'sha256'].map((name) => h('th', { scope: 'col' }, name)))),
        h('tbody', {}, rows))),
      list.length > MOST ? h('p', { class: 'note' }, `and ${count(list.length - MOST)} more`) : null));
}

/** @param {Summary} summary */
function metadata({ metadata: value, extensions }) {
  if (!value && !extensions) return null;
  const text = JSON.stringify({ ...(value ? { metadata: value } : {}), ...(extensions ? { extensions } : {}) }, null, 2);
  return card('Metadata', 'h-metadata', h('pre', { tabindex: 0 }, text.split('\n').slice(0, 400).map((line) => `${shown(line)}\n`)));
}

/** @param {Summary} summary @returns {Node[]} */
export const overviewView = (summary) =>
  [carried, missing, needed, weights, signatures, files, metadata].map((view) => view(summary)).filter((node) => node !== null);
