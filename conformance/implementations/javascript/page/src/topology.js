/**
 * A topology (section 8.2) as boxes and lines: a box for each call of a layer, boxes within boxes for models.
 *
 *     const graph = graphOf(topology, { expanded: new Set(), collapsed: new Set() });
 *     layOut(graph);
 *
 * Invariants: the keys of boxes are unique; a line joins two boxes of one graph and goes forwards; there are at
 * most MOST_BOXES boxes, whatever the topology says.
 */

/** @typedef {{ layer: string, node: number, tensor: number }} Tensor */
/** @typedef {{ layer: string, node: number, inputs: Tensor[], args: unknown[], kwargs: Record<string, unknown> }} Node */
/**
 * @typedef {{ name?: string, path: string, class?: string, module?: string, custom: boolean, trainable?: boolean,
 *   dtype?: string, batch_shape?: unknown, shared?: number, slot?: string, implied?: true, registered_name?: string,
 *   config: Record<string, unknown>, sublayers?: LayerRecord[], form?: string, layers?: LayerRecord[], nodes?: Node[],
 *   inputs?: Tensor[], outputs?: Tensor[] }} LayerRecord
 */
/**
 * @typedef {object} Box
 * @property {string} key
 * @property {LayerRecord} record
 * @property {number} call which call of the layer, from 0
 * @property {number} calls
 * @property {number[]} inputs positions among the inputs of the model
 * @property {number[]} outputs positions among its outputs
 * @property {number} hidden boxes inside that are not drawn
 * @property {Graph | null} inside
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */
/** @typedef {{ from: number, to: number, points: [number, number][] }} Line */
/** @typedef {{ boxes: Box[], lines: Line[], left: number, width: number, height: number }} Graph  left: boxes left out */
/** @typedef {{ expanded: Set<string>, collapsed: Set<string> }} Choice boxes that a person opened or closed */

export const MOST_BOXES = 1500;
/** Models of up to as many calls are drawn open unasked. */
const SMALL_MODEL = 24;
const DEEPEST = 8;

/** @param {LayerRecord} record @returns {boolean} whether it has a graph of its own */
export const isModel = (record) => Array.isArray(record.layers) && Array.isArray(record.nodes);

/** Positions by call. @param {Tensor[] | undefined} tensors */
function portsOf(tensors) {
  /** @type {Map<string, number[]>} */
  const ports = new Map();
  (tensors ?? []).forEach(({ layer, node }, i) => {
    const key = JSON.stringify([layer, node]);
    const known = ports.get(key);
    if (known) known.push(i);
    else ports.set(key, [i]);
  });
  return ports;
}

/** Lines between calls; those that lead backwards or nowhere are not drawn. @param {Node[]} nodes @param {Map<string, number>} at @returns {Line[]} */
function linesOf(nodes, at) {
  /** @type {Line[]} */
  const lines = [];
  nodes.forEach(({ inputs }, to) => {
    const seen = new Set();
    for (const { layer, node } of inputs) {
      const from = at.get(JSON.stringify([layer, node]));
      if (from === undefined || from >= to || seen.has(from)) continue;
      seen.add(from);
      lines.push({ from, to, points: [] });
    }
  });
  return lines;
}

/**
 * @param {LayerRecord} model with layers and nodes
 * @param {Choice} choice
 * @param {string} [prefix] key of the box that the graph is in
 * @param {number} [depth]
 * @param {{ boxes: number }} [budget]
 * @returns {Graph}
 */
export function graphOf(model, choice, prefix = '', depth = 0, budget = { boxes: MOST_BOXES }) {
  const all = model.nodes ?? [];
  const nodes = all.slice(0, Math.max(0, budget.boxes));
  budget.boxes -= nodes.length;
  const records = new Map((model.layers ?? []).map((record) => [record.name, record]));
  /** @type {Map<string, number>} */
  const calls = new Map();
  for (const { layer } of all) calls.set(layer, (calls.get(layer) ?? 0) + 1);
  const inputs = portsOf(model.inputs);
  const outputs = portsOf(model.outputs);
  /** @type {Map<string, number>} */
  const at = new Map();
  const boxes = nodes.map(({ layer, node }, i) => {
    const id = JSON.stringify([layer, node]);
    at.set(id, i);
    const record = records.get(layer) ?? { path: layer, name: layer, custom: false, config: {} };
    const key = `${prefix}/${layer}#${node}`;
    /** @type {Box} */
    const box = {
      key, record, call: node, calls: calls.get(layer) ?? 1, hidden: 0, inside: null,
      inputs: inputs.get(id) ?? [], outputs: outputs.get(id) ?? [], x: 0, y: 0, width: 0, height: 0,
    };
    if (isModel(record)) {
      const size = record.nodes?.length ?? 0;
      const unasked = size <= SMALL_MODEL && node === 0 && depth < 2;
      const open = depth < DEEPEST && size <= budget.boxes && !choice.collapsed.has(key) && (unasked || choice.expanded.has(key));
      if (open) box.inside = graphOf(record, choice, key, depth + 1, budget);
      else box.hidden = size;
    }
    return box;
  });
  return { boxes, lines: linesOf(nodes, at), left: all.length - nodes.length, width: 0, height: 0 };
}
