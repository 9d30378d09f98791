/**
 * The tensor table: a grid of which only the rows in sight are elements, so that a million rows scroll.
 *
 *     const table = tensorTable(rows, (row) => select(row));
 *     parent.append(table.element);
 *
 * Keys: arrows, Page Up and Down, Home and End move; the row moved to is selected.
 */
import { h } from './dom.js';
import { bytes, count, shapeText, shown } from './format.js';
/** @typedef {import('./tensor-columns.js').TensorRows} TensorRows */
/** @typedef {import('./tensor-columns.js').SortKey} SortKey */

const ROW = 34;
const HEADER = 38;
const SPARE = 6;
/** Height of a table of many rows, and the rows for which a short one has room. */
const TALL = 576;
const FEW = 4;
/** Browsers place nothing beyond some 17 million pixels; longer tables scroll in proportion. */
const TALLEST = 12_000_000;

/** @type {{ key: SortKey | null, title: string }[]} */
const COLUMNS = [
  { key: 'name', title: 'Name' }, { key: 'dtype', title: 'Type' }, { key: 'shape', title: 'Shape' },
  { key: 'size', title: 'Size' }, { key: 'role', title: 'Role' }, { key: null, title: 'Also called' },
];

/** @param {TensorRows} rows @param {number} row */
function cellsOf(rows, row) {
  const { names, dtypes, dtype, length, roles, role } = rows.columns;
  const name = names[row];
  const others = [...new Set(rows.namesOf(row).map((other) => other.name))].filter((other) => other !== name);
  const also = others.length > 1 ? `${shown(others[0], 120)} +${others.length - 1}` : shown(others[0] ?? '', 120);
  return [shown(name), shown(dtypes[dtype[row]], 40), shapeText(rows.shapeOf(row)), bytes(length[row]), shown(roles[role[row]], 40), also];
}

/**
 * @param {TensorRows} rows
 * @param {(row: number) => void} onSelect with the row of the index
 */
export function tensorTable(rows, onSelect) {
  const body = h('div', { class: 'grid-body', role: 'rowgroup' });
  const headers = COLUMNS.map(({ key, title }) => h('span', { role: 'columnheader', 'aria-sort': key === 'name' ? 'ascending' : null },
    key ? h('button', { type: 'button', click: () => sortBy(key) }, title) : title));
  const element = h('div', {
    class: 'grid', role: 'grid', tabindex: 0, 'aria-label': 'Tensors', 'aria-colcount': COLUMNS.length,
    scroll: () => draw(), keydown: (/** @type {KeyboardEvent} */ event) => move(event),
  }, h('div', { class: 'grid-head grid-row', role: 'row', 'aria-rowindex': 1 }, headers), body);
  element.style.height = `${Math.min(TALL, HEADER + Math.max(FEW, rows.columns.count) * ROW + 2)}px`;
  let at = -1;

  const height = () => Math.min(rows.order.length * ROW, TALLEST);
  const inSight = () => Math.max(1, Math.floor((element.clientHeight - HEADER) / ROW));
  /** First row in sight, for where the table is scrolled to. */
  const top = () => {
    const room = height() - (element.clientHeight - HEADER);
    const last = rows.order.length - (element.clientHeight - HEADER) / ROW;
    return room > 0 ? (Math.min(element.scrollTop, room) / room) * last : 0;
  };

  function draw() {
    const begin = top();
    const from = Math.max(0, Math.floor(begin) - SPARE);
    const to = Math.min(rows.order.length, Math.ceil(begin) + inSight() + SPARE);
    const lines = [];
    for (let i = from; i < to; i++) {
      const line = h('div', {
        class: 'grid-row', role: 'row', id: `tensor-${i}`, 'aria-rowindex': i + 2, 'aria-selected': String(i === at), click: () => choose(i),
      }, cellsOf(rows, rows.order[i]).map((text) => h('span', { role: 'gridcell', title: text }, text)));
      line.style.transform = `translateY(${element.scrollTop + (i - begin) * ROW}px)`;
      lines.push(line);
    }
    body.style.height = `${height()}px`;
    body.replaceChildren(...lines);
    element.setAttribute('aria-rowcount', String(rows.order.length + 1));
    if (at >= from && at < to) element.setAttribute('aria-activedescendant', `tensor-${at}`);
    else element.removeAttribute('aria-activedescendant');
  }

  /** @param {number} i */
  function reveal(i) {
    const begin = top();
    const sight = (element.clientHeight - HEADER) / ROW;
    const first = i < begin ? i : i + 1 > begin + sight ? i + 1 - sight : begin;
    const room = height() - (element.clientHeight - HEADER);
    if (room > 0) element.scrollTop = (first / (rows.order.length - sight)) * room;
  }

  /** @param {number} i place in the order */
  function choose(i) {
    if (!rows.order.length) return;
    at = Math.max(0, Math.min(rows.order.length - 1, i));
    reveal(at);
    draw();
    onSelect(rows.order[at]);
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    if (event.target !== element) return;
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + inSight(), PageUp: at - inSight(), Home: 0, End: rows.order.length - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(steps[event.key]);
  }

  function refresh() {
    at = -1;
    element.scrollTop = 0;
    draw();
  }

  /** @param {SortKey} key */
  function sortBy(key) {
    const direction = rows.sorted.key === key && rows.sorted.direction === 1 ? -1 : 1;
    rows.sort(key, direction);
    headers.forEach((header, i) => {
      if (COLUMNS[i].key === key) header.setAttribute('aria-sort', direction === 1 ? 'ascending' : 'descending');
      else header.removeAttribute('aria-sort');
    });
    refresh();
  }

  new ResizeObserver(draw).observe(element);
  return { element, refresh, choose, label: () => `${count(rows.order.length)} of ${count(rows.columns.count)}` };
}
