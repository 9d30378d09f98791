/**
 * The section where golden vectors are held against the engines of the page, if it has any: which engine ran each
 * vector, how far its outputs lie from the golden ones, and what follows.
 *
 *     byId('golden').replaceChildren(...goldenView(summary, () => client.call('golden', engine)));
 */
import { announce, h } from './dom.js';
import { bytes, plural, shown } from './format.js';
/** @typedef {import('./summary.js').Summary} Summary */
/** @typedef {{ name: string, outcome: string, reason?: string, max_ratio?: number | string, rms_ratio?: number | string, relative_l2?: number | string, explained_by?: string }} Judged */
/** @typedef {{ component: string, signature: string, vector: string, engine: string, version?: string, device: string, precision: string, status: string, reason?: string, seconds?: number, outputs: Judged[] }} Row */
/** @typedef {{ ok: boolean, ran: boolean, rows: Row[] }} Answer */

const COLUMNS = ['Vector', 'Output', 'Engine', 'Verdict', 'Largest error', 'RMS error', 'Time'];
/** What a status means to a person. @type {Record<string, string>} */
const VERDICTS = { pass: 'as it must be', fail: 'something else', consistent: 'consistent, not verified', 'not run': 'not run' };

/** @param {number | string | undefined} ratio */
const sigmas = (ratio) => (ratio === undefined ? '–' : typeof ratio === 'number' ? `${ratio.toPrecision(2)} σ` : ratio);

/** @param {Row} row @param {Judged | null} output */
function cells({ component, signature, vector, engine, version, status, seconds }, output) {
  const verdict = output?.outcome === 'fail' ? 'fail' : status;
  return h('tr', { 'data-status': verdict },
    h('th', { scope: 'row' }, shown(`${component}#${signature}, ${vector}`)),
    h('td', {}, output ? shown(output.name) : '–'),
    h('td', {}, engine === 'none' ? '–' : `${engine} ${version ?? ''}`),
    h('td', {}, h('span', { class: verdict === 'fail' ? 'alarm' : '' }, VERDICTS[verdict] ?? verdict)),
    h('td', {}, sigmas(output?.max_ratio)), h('td', {}, sigmas(output?.rms_ratio)),
    h('td', {}, seconds === undefined ? '–' : `${Math.round(1000 * seconds)} ms`));
}

/** @param {Answer} answer */
function conclusion({ ok, ran, rows }) {
  if (!ran) return 'No engine of this page could run the model.';
  if (!ok) return 'An engine computes something else than the golden vectors say.';
  return rows.every(({ status }) => status === 'pass') ? 'The model computes what it must, to rounding.' : 'Nothing that ran computes something else; not all of it is verified.';
}

/** @param {Answer} answer @returns {Node[]} */
function results(answer) {
  const text = conclusion(answer);
  announce(text);
  const reasons = answer.rows.filter(({ reason }) => reason).map(({ vector, reason, outputs }) => {
    const lower = outputs.find(({ explained_by: explained }) => explained)?.explained_by;
    return h('li', {}, shown(`${vector}: ${reason}${lower ? `; it would be right in ${lower}` : ''}`));
  });
  return [
    h('p', { class: answer.ok ? '' : 'alarm', id: 'golden-verdict', 'data-ok': String(answer.ok) }, text),
    h('div', { class: 'scroll' }, h('table', { class: 'golden' },
      h('thead', {}, h('tr', {}, COLUMNS.map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, answer.rows.flatMap((row) => (row.outputs.length ? row.outputs.map((output) => cells(row, output)) : [cells(row, null)]))))),
    h('ul', { class: 'plain' }, reasons),
    h('p', { class: 'note' }, 'An error is told in σ, what rounding in float32 explains: 10 at most, and 3 in the mean, are allowed (section 18.3).'),
  ];
}

/** @param {() => Promise<Answer>} run */
function checker(run) {
  const place = h('div', { 'aria-live': 'polite' });
  const button = h('button', { type: 'button', class: 'primary', click: async () => {
    button.disabled = true;
    place.replaceChildren(h('p', {}, 'Running…'));
    try {
      place.replaceChildren(...results(await run()));
    } catch (error) {
      place.replaceChildren(h('p', { class: 'alarm' }, shown(/** @type {Error} */ (error).message)));
    } finally {
      button.disabled = false;
    }
  } }, 'Run the golden check');
  return [h('p', {}, 'The model is run here, in this page, and its outputs are held against the golden ones. ', button), place];
}

/** @param {Summary} summary @param {(() => Promise<Answer>) | null} run null in a page without engines @returns {Node[]} */
export function goldenView({ golden, parts }, run) {
  if (!golden) return [h('p', { class: 'empty' }, 'The bundle has no golden vectors, so there is nothing to hold a result against.')];
  const own = parts.filter(({ kind }) => kind === 'golden');
  return [
    h('ul', { class: 'plain' }, own.map(({ id, files, bytes: size }) =>
      h('li', {}, h('code', {}, shown(id)), h('span', { class: 'note' }, ` ${plural(files, 'file')}, ${bytes(size)}`)))),
    ...(run ? checker(run) : [h('p', {}, 'This page does not include an engine that could run the model: modelbundle-full.html, the larger page, does.')]),
  ];
}
