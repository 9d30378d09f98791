/**
 * Places the boxes of a graph in layers from top to bottom, after Sugiyama, Tagawa and Toda (1981): ranks by
 * longest path, order within ranks by barycentres, then positions with the least squared distance to neighbours.
 *
 *     layOut(graph);          // fills in x, y, width and height of boxes and graph, and points of lines
 *
 * Units are pixels; a box is placed by its upper left corner, relative to the graph that it is in.
 */
/** @typedef {import('./topology.js').Graph} Graph */
/** @typedef {import('./topology.js').Box} Box */

const GAP_X = 28;
const GAP_Y = 40;
const PADDING = 20;
/** Room for the name of an open model. */
export const TITLE = 44;
const LINE_GAP = 14;
const SWEEPS = 10;
/** Beyond as many bends in all, long lines are drawn straight. */
const MOST_BENDS = 20_000;

/** A box, or the bend of a line that passes a rank. @typedef {{ box: Box | null, width: number, x: number, before: Slot[], after: Slot[], order: number }} Slot */

/** @param {Box} box */
function measureBox(box) {
  if (box.inside) {
    layOut(box.inside);
    box.width = Math.max(box.inside.width + 2 * PADDING, 160);
    box.height = box.inside.height + TITLE + PADDING;
    return;
  }
  const extra = (box.calls > 1 ? 40 : 0) + (box.hidden ? 32 : 0);
  const first = (box.record.class ?? '').length * 8.4 + extra;
  // Behind the name come parameters and what is hidden.
  const second = ((box.record.name ?? '').length + 8 + (box.hidden ? 12 : 0)) * 6.9;
  box.width = Math.round(Math.min(270, Math.max(112, first + 26, second + 20)));
  box.height = 50;
}

/** Longest path from the inputs; inputs stand just above what takes them. @param {Graph} graph */
function ranksOf({ boxes, lines }) {
  const ranks = new Int32Array(boxes.length);
  const fed = new Uint8Array(boxes.length);
  for (const { from, to } of lines) {
    ranks[to] = Math.max(ranks[to], ranks[from] + 1);
    fed[to] = 1;
  }
  const nearest = new Int32Array(boxes.length).fill(-1);
  for (const { from, to } of lines) nearest[from] = nearest[from] < 0 ? ranks[to] : Math.min(nearest[from], ranks[to]);
  boxes.forEach((_, i) => {
    if (!fed[i] && nearest[i] > 0) ranks[i] = nearest[i] - 1;
  });
  return ranks;
}

/** Slots by rank, and for each line those that it passes. @param {Graph} graph @param {Int32Array} ranks */
function slotsOf({ boxes, lines }, ranks) {
  /** @type {Slot[][]} */
  const rows = Array.from({ length: Math.max(0, ...ranks) + 1 }, () => []);
  const put = (/** @type {number} */ rank, /** @type {Box | null} */ box) => {
    /** @type {Slot} */
    const slot = { box, width: box ? box.width : 2, x: 0, before: [], after: [], order: 0 };
    rows[rank].push(slot);
    return slot;
  };
  const own = boxes.map((box, i) => put(ranks[i], box));
  const bends = lines.reduce((sum, { from, to }) => sum + ranks[to] - ranks[from] - 1, 0);
  const paths = lines.map(({ from, to }) => {
    const path = [own[from]];
    if (bends <= MOST_BENDS) for (let rank = ranks[from] + 1; rank < ranks[to]; rank++) path.push(put(rank, null));
    path.push(own[to]);
    for (let i = 1; i < path.length; i++) {
      path[i - 1].after.push(path[i]);
      path[i].before.push(path[i - 1]);
    }
    return path;
  });
  return { rows, paths };
}

/** Orders each row by the mean place of neighbours, to and fro. @param {Slot[][]} rows */
function orderRows(rows) {
  const number = (/** @type {Slot[]} */ row) => row.forEach((slot, i) => { slot.order = i - row.length / 2; });
  rows.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) {
      const means = new Map(row.map((slot) => {
        const near = down ? slot.before : slot.after;
        return [slot, near.length ? near.reduce((sum, { order }) => sum + order, 0) / near.length : slot.order];
      }));
      row.sort((a, b) => /** @type {number} */ (means.get(a)) - /** @type {number} */ (means.get(b)));
      number(row);
    }
  }
}

/** Room between the centres of neighbours. @param {Slot} a @param {Slot} b */
const apart = (a, b) => (a.width + b.width) / 2 + (a.box && b.box ? GAP_X : LINE_GAP);

/**
 * Puts the slots of a row as near to where they want to be as their order allows: isotonic regression by pooling
 * adjacent violators (Barlow et al. 1972).
 * @param {Slot[]} row
 * @param {number[]} wanted
 */
function settle(row, wanted) {
  let offset = 0;
  /** @type {{ mean: number, count: number }[]} */
  const pools = [];
  const offsets = row.map((slot, i) => (offset += i ? apart(row[i - 1], slot) : 0));
  row.forEach((_, i) => {
    let pool = { mean: wanted[i] - offsets[i], count: 1 };
    for (let last = pools.at(-1); last && last.mean > pool.mean; last = pools.at(-1)) {
      const count = last.count + pool.count;
      pool = { mean: (last.mean * last.count + pool.mean * pool.count) / count, count };
      pools.pop();
    }
    pools.push(pool);
  });
  let i = 0;
  for (const { mean, count } of pools) for (let k = 0; k < count; k++, i++) row[i].x = mean + offsets[i];
}

/** Centres of all slots. @param {Slot[][]} rows */
function placeRows(rows) {
  for (const row of rows) {
    let at = 0;
    row.forEach((slot, i) => { slot.x = at += i ? apart(row[i - 1], slot) : 0; });
    row.forEach((slot) => { slot.x -= at / 2; });
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) {
      const last = sweep >= SWEEPS - 2;
      const wanted = row.map((slot) => {
        const near = last ? [...slot.before, ...slot.after] : down ? slot.before : slot.after;
        return near.length ? near.reduce((sum, { x }) => sum + x, 0) / near.length : slot.x;
      });
      settle(row, wanted);
    }
  }
}

/** @param {Graph} graph */
export function layOut(graph) {
  graph.boxes.forEach(measureBox);
  const ranks = ranksOf(graph);
  const { rows, paths } = slotsOf(graph, ranks);
  orderRows(rows);
  placeRows(rows);
  const slots = rows.flat();
  const left = slots.reduce((least, { x, width }) => Math.min(least, x - width / 2), Infinity);
  const right = slots.reduce((most, { x, width }) => Math.max(most, x + width / 2), -Infinity);
  let y = 0;
  /** @type {Map<Slot, number>} */
  const middles = new Map();
  for (const row of rows) {
    const height = row.reduce((most, { box }) => Math.max(most, box?.height ?? 0), 0);
    for (const slot of row) {
      middles.set(slot, y + height / 2);
      if (!slot.box) continue;
      slot.box.x = slot.x - slot.width / 2 - left;
      slot.box.y = y + (height - slot.box.height) / 2;
    }
    y += height + GAP_Y;
  }
  graph.width = slots.length ? right - left : 0;
  graph.height = Math.max(0, y - GAP_Y);
  graph.lines.forEach((line, i) => {
    line.points = paths[i].map((slot, k) => {
      const { box } = slot;
      const at = box ? (k ? box.y : box.y + box.height) : /** @type {number} */ (middles.get(slot));
      return [slot.x - left, at];
    });
  });
}
