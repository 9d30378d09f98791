/**
 * The section of tensors: filters, the table, and what is said of the tensor that is selected.
 *
 *     const view = tensorView(columns, { read: (row) => client.call('tensor', row), eager: 64e6 });
 *     byId('tensors').replaceChildren(view.element);
 *     view.showLayer('dense');
 */
import { h, svg } from './dom.js';
import { bytes, count, number, plural, shapeText, shown } from './format.js';
import { TensorRows } from './tensor-columns.js';
import { tensorTable } from './tensor-table.js';
/** @typedef {import('./session.js').Columns} Columns */
/** @typedef {import('./session.js').TensorFigures} TensorFigures */
/** @typedef {import('./histogram.js').Figures} Figures */

const WAIT_MS = 120;
const WIDTH = 320;
const HEIGHT = 120;

/** @param {Figures} figures @param {string} label */
function histogramView({ bins, min, max }, label) {
  const most = Math.max(...bins);
  const step = WIDTH / bins.length;
  const bars = bins.map((n, i) => {
    const tall = n ? Math.max(1.5, (n / most) * (HEIGHT - 4)) : 0;
    const width = Math.min(step - (step > 3 ? 1 : 0), 40);
    return svg('rect', { x: i * step + (step - width) / 2, y: HEIGHT - tall, width, height: tall, rx: Math.min(2, width / 3) });
  });
  return h('figure', { class: 'histogram' },
    svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label, preserveAspectRatio: 'none' }, bars,
      svg('line', { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 })),
    h('figcaption', {}, h('span', {}, number(min)), h('span', { class: 'note' }, `highest bar: ${count(most)}`), h('span', {}, number(max))));
}

/** @param {Figures} figures */
function figureList(figures) {
  /** @type {[string, string][]} */
  const pairs = [
    ['Minimum', number(figures.min)], ['Maximum', number(figures.max)], ['Mean', number(figures.mean)],
    ['Deviation', number(figures.deviation)], ['Zeros', count(figures.zeros)], ['NaN', count(figures.nan)], ['Infinite', count(figures.infinite)],
  ];
  return h('dl', { class: 'figures' }, pairs.map(([name, value]) =>
    h('div', { class: (name === 'NaN' || name === 'Infinite') && value !== '0' ? 'alarm' : null }, h('dt', {}, name), h('dd', {}, value))));
}

/** @param {TensorFigures} answer @param {number} length */
function valuesView({ figures, strings, whole, read, findings, traffic }, length) {
  const parts = [];
  if (findings.length) {
    parts.push(h('p', { class: 'alarm' }, `${findings[0].rule}: the bytes are not those that the index names. Found ${shown(findings[0].found)}.`));
  }
  if (figures?.bins.length) parts.push(histogramView(figures, `Histogram of ${plural(figures.values, 'value')} from ${number(figures.min)} to ${number(figures.max)}`));
  if (figures) parts.push(figureList(figures));
  if (strings) parts.push(h('ul', { class: 'plain strings' }, strings.map((text) => h('li', {}, h('code', {}, shown(text))))));
  if (!figures && !strings && !findings.length) parts.push(h('p', { class: 'empty' }, 'No figures: its elements are no numbers.'));
  if (figures || strings) {
    const what = whole ? 'Whole, and its sha256 is the one in the index.' : `A sample: ${bytes(read)} of ${bytes(length)}, at equal distances.`;
    parts.push(h('p', { class: 'note' }, what));
  }
  if (traffic.requests) parts.push(h('p', { class: 'note' }, `${bytes(traffic.read)} over the network so far.`));
  return parts;
}

/** @param {string} label @param {string} id @param {string[]} names */
const choice = (label, id, names) => h('label', { class: 'field' }, label,
  h('select', { id }, h('option', { value: '' }, 'any'), names.slice(0, 300).map((name) => h('option', { value: name }, shown(name, 40)))));

/**
 * @param {Columns} columns
 * @param {{ read: (row: number) => Promise<TensorFigures>, eager: number }} options eager: bytes up to which values are read unasked
 */
export function tensorView(columns, { read, eager }) {
  const rows = new TensorRows(columns);
  const detail = h('div', { class: 'detail', 'aria-live': 'polite' }, h('p', { class: 'empty' }, 'Select a tensor to see its values.'));
  const table = tensorTable(rows, select);
  const shownCount = h('p', { class: 'note', role: 'status' });
  const text = h('input', { type: 'search', id: 'tensor-filter', autocomplete: 'off', spellcheck: 'false', placeholder: 'part of a name' });
  const dtype = choice('Type', 'tensor-dtype', columns.dtypes);
  const role = choice('Role', 'tensor-role', columns.roles);
  const value = (/** @type {HTMLElement} */ label) => /** @type {HTMLSelectElement} */ (label.querySelector('select')).value;
  let timer = 0;
  let current = -1;

  function apply() {
    rows.filter({ text: text.value.trim(), dtype: value(dtype), role: value(role) });
    table.refresh();
    shownCount.textContent = `${table.label()} tensors`;
  }

  /** @param {number} row */
  async function readValues(row) {
    const values = /** @type {HTMLElement} */ (detail.querySelector('.values'));
    values.replaceChildren(h('p', { class: 'note' }, 'Reading…'));
    try {
      const answer = await read(row);
      if (current === row) values.replaceChildren(...valuesView(answer, columns.length[row]));
    } catch (error) {
      if (current === row) values.replaceChildren(h('p', { class: 'alarm' }, shown(/** @type {Error} */ (error).message)));
    }
  }

  /** @param {number} row */
  function select(row) {
    current = row;
    clearTimeout(timer);
    const { names, dtypes, roles, files, length, offset } = columns;
    const size = length[row];
    const shape = rows.shapeOf(row);
    const others = rows.namesOf(row);
    detail.replaceChildren(
      h('h3', {}, h('code', {}, shown(names[row]))),
      h('dl', { class: 'pairs' },
        h('dt', {}, 'Type'), h('dd', {}, shown(dtypes[columns.dtype[row]], 40)),
        h('dt', {}, 'Shape'), h('dd', {}, shapeText(shape)),
        h('dt', {}, 'Elements'), h('dd', {}, count(shape.reduce((product, n) => product * n, 1))),
        h('dt', {}, 'Size'), h('dd', {}, bytes(size)),
        h('dt', {}, 'Role'), h('dd', {}, shown(roles[columns.role[row]], 40)),
        h('dt', {}, 'Bytes'), h('dd', {}, h('code', {}, `${shown(files[columns.file[row]])} @ ${count(offset[row])}`)),
        rows.attributesOf(row).map(([key, text]) => [h('dt', {}, shown(key, 60)), h('dd', {}, h('code', {}, shown(text)))]).flat()),
      others.length ? h('div', {}, h('h4', {}, 'Names'), h('dl', { class: 'pairs' },
        others.slice(0, 30).map(({ system, component, name }) => [h('dt', { title: shown(component) }, shown(system, 60)), h('dd', {}, h('code', {}, shown(name)))]).flat())) : '',
      h('div', { class: 'values' }, size > eager
        ? h('button', { type: 'button', click: () => readValues(row) }, `Read values (${bytes(Math.min(size, 64 * 2 ** 20))})`) : null));
    // Who walks through the table with the arrow keys reads nothing on the way.
    if (size <= eager) timer = window.setTimeout(() => readValues(row), WAIT_MS);
  }

  text.addEventListener('input', apply);
  for (const field of [dtype, role]) field.addEventListener('change', apply);
  shownCount.textContent = `${table.label()} tensors`;
  return {
    element: h('div', {},
      h('div', { class: 'toolbar' }, h('label', { class: 'field grow' }, 'Name', text), dtype, role, shownCount),
      h('div', { class: 'split' }, table.element, detail)),
    /** Shows the tensors of a layer. @param {string} path */
    showLayer(path) {
      text.value = `${path}/`;
      apply();
      table.choose(0);
      table.element.focus();
    },
  };
}
