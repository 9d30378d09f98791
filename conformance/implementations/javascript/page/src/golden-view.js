/**
 * The section where golden vectors are held against an engine of the browser. No engine is in this page: the
 * section says so, and is the place for one.
 *
 *     byId('golden').replaceChildren(...goldenView(summary));
 */
import { h } from './dom.js';
import { bytes, plural, shown } from './format.js';
/** @typedef {import('./summary.js').Summary} Summary */

/** @param {Summary} summary @returns {Node[]} */
export function goldenView({ golden, parts }) {
  if (!golden) return [h('p', { class: 'empty' }, 'The bundle has no golden vectors, so there is nothing to hold a result against.')];
  const own = parts.filter(({ kind }) => kind === 'golden');
  return [
    h('ul', { class: 'plain' }, own.map(({ id, files, bytes: size }) =>
      h('li', {}, h('code', {}, shown(id)), h('span', { class: 'note' }, ` ${plural(files, 'file')}, ${bytes(size)}`)))),
    h('p', {}, 'The bundle has golden vectors. This page does not include an engine yet that could run the model in the browser.'),
  ];
}
