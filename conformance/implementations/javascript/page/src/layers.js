/**
 * The layer graph as the page draws it: boxes with what is said of their layers, and with their parameters.
 *
 *     const { graph, title } = layerGraph(bundle, text, schemas, { expanded: [], collapsed: [] });
 *
 * A topology that its schema refuses is not drawn (NoAnswer): nothing of it can be relied on.
 */
import { NoAnswer } from '../../src/findings.js';
import { compareText } from '../../src/text.js';
import { layOut } from './layout.js';
import { graphOf, isModel } from './topology.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('../../src/tensor-index.js').TensorIndex} TensorIndex */
/** @typedef {import('./topology.js').LayerRecord} LayerRecord */
/** @typedef {import('./topology.js').Graph} Graph */
/** @typedef {import('./topology.js').Box} Box */

const LONGEST_CONFIG = 20_000;

/** First row whose name is not before the text. @param {TensorIndex} index @param {string} text */
function firstRow(index, text) {
  let low = 0;
  let high = index.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareText(index.names[middle], text) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Tensors and elements of the rows below a path. @param {TensorIndex | null} index @param {string} path */
function rowsBelow(index, path) {
  if (!index || !path) return { tensors: 0, elements: 0 };
  let elements = 0;
  let row = firstRow(index, `${path}/`);
  const first = row;
  for (; row < index.count && index.names[row].startsWith(`${path}/`); row++) {
    elements += index.shapeOf(row).reduce((product, n) => product * n, 1);
  }
  return { tensors: row - first, elements };
}

/** @param {LayerRecord} record @returns {{ name: string, class: string, slot: string }[]} */
const sublayersOf = (record) =>
  (record.sublayers ?? []).slice(0, 50).map((layer) => ({ name: layer.name ?? '', class: layer.class ?? '', slot: layer.slot ?? '' }));

/** What is said of one layer. @param {LayerRecord} record @param {TensorIndex | null} index */
function describe(record, index) {
  const config = JSON.stringify(record.config, null, 2) ?? '';
  return {
    name: record.name ?? '', path: record.path, class: record.class ?? '', module: record.module ?? '',
    registeredName: record.registered_name ?? '', custom: record.custom, trainable: record.trainable ?? null,
    dtype: record.dtype ?? '', shape: record.batch_shape === undefined ? '' : JSON.stringify(record.batch_shape),
    implied: record.implied === true, shared: record.shared ?? null, model: isModel(record),
    sublayers: sublayersOf(record), ...rowsBelow(index, record.path),
    config: config.length > LONGEST_CONFIG ? `${config.slice(0, LONGEST_CONFIG)}\n…` : config,
  };
}
/** @typedef {ReturnType<typeof describe>} Layer */
/**
 * @typedef {Omit<Box, 'record' | 'inside'> & { layer: Layer, inside: Drawn | null }} DrawnBox
 * @typedef {Omit<Graph, 'boxes'> & { boxes: DrawnBox[] }} Drawn
 */

/** @param {Graph} graph @param {TensorIndex | null} index @returns {Drawn} */
function draw(graph, index) {
  /** @type {Map<LayerRecord, Layer>} */
  const known = new Map();
  const layer = (/** @type {LayerRecord} */ record) => {
    if (!known.has(record)) known.set(record, describe(record, index));
    return /** @type {Layer} */ (known.get(record));
  };
  return {
    ...graph,
    boxes: graph.boxes.map(({ record, inside, ...box }) => ({ ...box, layer: layer(record), inside: inside && draw(inside, index) })),
  };
}

/** @param {string} text @param {import('../../src/schemas.js').Schemas} schemas @returns {LayerRecord} */
function parseTopology(text, schemas) {
  /** @type {unknown} */
  let topology;
  try {
    topology = JSON.parse(text);
    const [error] = schemas.errors('topology', topology);
    if (error) throw new NoAnswer(`The topology is not one that its schema accepts: at ${error.pointer || 'its root'}, ${error.message}.`);
  } catch (error) {
    if (error instanceof NoAnswer) throw error;
    throw new NoAnswer('The topology is no JSON, or nested too deeply to be drawn.');
  }
  return /** @type {LayerRecord} */ (topology);
}

/**
 * @param {Bundle} bundle
 * @param {string} text of topology.json
 * @param {import('../../src/schemas.js').Schemas} schemas
 * @param {{ expanded: string[], collapsed: string[] }} choice keys of boxes
 */
export function layerGraph(bundle, text, schemas, choice) {
  const topology = parseTopology(text, schemas);
  const whole = describe(topology, bundle.index);
  if (!isModel(topology)) return { whole, form: topology.form ?? '', graph: null };
  const graph = graphOf(topology, { expanded: new Set(choice.expanded), collapsed: new Set(choice.collapsed) });
  layOut(graph);
  return { whole, form: topology.form ?? '', graph: draw(graph, bundle.index) };
}
