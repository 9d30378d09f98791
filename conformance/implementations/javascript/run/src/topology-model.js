/**
 * From a topology (section 8.2) to a layers model of TensorFlow.js.
 *
 * Invariant: what is not supported is found before anything is made, all of it at once; the layers of the model and
 * of the models in it are paired with their records, and weights are put in by name afterwards (bind-weights.js).
 *
 *     const problems = unsupported(topology);          // ['attention: MultiHeadAttention is not in TensorFlow.js', …]
 *     const { model, pairs } = buildModel(topology);   // only where there are none
 */
import { input, model as makeModel } from '@tensorflow/tfjs-layers';
import { activationOf } from './activations.js';
import { LAYERS, OPERATIONS, OPTIONAL, WITHOUT_EFFECT } from './layer-table.js';
import { Operation } from './own-layers.js';

/** @typedef {{ layer: string, node: number, tensor: number }} TensorRef */
/** @typedef {{ layer: string, node: number, inputs: TensorRef[], args: any[], kwargs: Record<string, any> }} Node */
/**
 * @typedef {{ name: string, path: string, class: string, module?: string, custom: boolean, form?: string, dialect?: string, dtype?: string,
 *   shared?: number, batch_shape?: any, config: Record<string, any>, sublayers?: Record_[], layers?: Record_[], nodes?: Node[],
 *   inputs?: TensorRef[], outputs?: TensorRef[] }} Record_
 */
/** @typedef {import('@tensorflow/tfjs-layers').layers.Layer} Layer */
/** @typedef {{ record: Record_, layer: Layer }} Pair */
/** @typedef {import('@tensorflow/tfjs-layers').SymbolicTensor} SymbolicTensor */

const INPUT_DTYPES = ['float32', 'int32', 'bool'];
/** Arguments of calls that can be null, or false. */
const QUIET = new Set(['training', 'initial_state', 'mask']);

/** A tagged value as TensorFlow.js takes it; undefined for what it has no word for. @param {any} value @returns {any} */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return '$tuple' in value ? plain(value.$tuple) : undefined;
}

const camel = (/** @type {string} */ name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const isModel = (/** @type {Record_} */ { form }) => form === 'functional' || form === 'sequential';
const isOperation = (/** @type {Record_} */ { module = '', custom }) => !custom && module === 'keras.ops';
const isInput = (/** @type {Record_} */ record) => record.class === 'InputLayer';
const keyOf = (/** @type {{ layer: string, node: number }} */ { layer, node }) => JSON.stringify([layer, node]);

/** Whether a value holds nothing but null and false. @param {any} value @returns {boolean} */
const isNothing = (value) => value === null || value === false || (Array.isArray(value) && value.every(isNothing));

/**
 * Calls that only make the mask which TensorFlow.js makes by itself: NotEqual(ids, 0) beside an Embedding with
 * `mask_zero`; NotEqual(x, value) and Any of it beside a Masking.
 * @param {Record_} model @returns {Set<string>}
 */
function impliedMasks({ layers: all = [], nodes = [], outputs = [] }) {
  const records = new Map(all.map((record) => [record.name, record]));
  const recordOf = (/** @type {Node} */ { layer }) => /** @type {Record_} */ (records.get(layer));
  /** @type {Set<string>} what a tensor is compared with, where a layer masks it */
  const masked = new Set();
  for (const node of nodes) {
    const { class: name, config } = recordOf(node);
    if (name === 'Embedding' && config.mask_zero) masked.add(`${keyOf(node.inputs[0])} 0`);
    if (name === 'Masking') masked.add(`${keyOf(node.inputs[0])} ${config.mask_value}`);
  }
  /** @type {Set<string>} */
  const masks = new Set();
  for (const node of nodes) {
    const record = recordOf(node);
    if (!isOperation(record) || node.inputs.length !== 1) continue;
    const [from] = node.inputs;
    const compared = record.class === 'NotEqual' && masked.has(`${keyOf(from)} ${node.args[1]}`);
    if (compared || (record.class === 'Any' && masks.has(keyOf(from)))) masks.add(keyOf(node));
  }
  const used = (/** @type {TensorRef} */ ref) => masks.delete(keyOf(ref));
  outputs.forEach(used);
  for (const node of nodes) {
    const asMask = LAYERS.get(recordOf(node).class)?.masked ? node.kwargs.mask?.$tensor : undefined;
    if (!masks.has(keyOf(node))) node.inputs.forEach((ref, i) => { if (i !== asMask) used(ref); });
  }
  return masks;
}

/** The places of the tensors among the arguments, where they are the first argument alone; null where they are not. @param {Node} node @param {Set<string>} masks */
function positions({ args, kwargs, inputs }, masks) {
  for (const [name, value] of Object.entries(kwargs)) {
    const mask = name === 'mask' && value?.$tensor !== undefined && masks.has(keyOf(inputs[value.$tensor]));
    if (!mask && !(QUIET.has(name) && isNothing(value))) return null;
  }
  const [first, ...rest] = args;
  if (!rest.every(isNothing)) return null;
  const list = Array.isArray(first) ? first : [first];
  const places = list.map((value) => value?.$tensor);
  return places.every(Number.isInteger) ? places : null;
}

/** Whether the backward layer is the one that TensorFlow.js makes of the forward layer. @param {Record_} record */
function sameBackwards({ config, sublayers = [] }) {
  const backward = sublayers[config.backward_layer?.$layer];
  if (!backward) return true;
  const forward = sublayers[config.layer.$layer];
  const told = (/** @type {Record_} */ one) => JSON.stringify([one.class, Object.entries(one.config).filter(([name]) => !WITHOUT_EFFECT.test(name) && name !== 'go_backwards').sort()]);
  return told(forward) === told(backward) && forward.config.go_backwards !== backward.config.go_backwards;
}

/** Finds what is in the way, without making anything. */
class Checker {
  /** @param {string} dialect @param {boolean} masking */
  constructor(dialect, masking) {
    this.dialect = dialect;
    this.masking = masking;
    /** Calls of layers that use masks, where the dialect does not say which mask they get. */
    this.readers = 0;
    /** @type {string[]} */
    this.problems = [];
  }

  /** @param {Record_} record @param {string} text */
  add({ path, name }, text) {
    this.problems.push(`${path || name}: ${text}`);
  }

  /** @param {Record_} record */
  model(record) {
    const masks = impliedMasks(record);
    const records = new Map((record.layers ?? []).map((one) => [one.name, one]));
    const operations = new Set();
    for (const one of record.layers ?? []) {
      if (isOperation(one)) operations.add(one.name);
      else this.layer(one);
    }
    for (const node of record.nodes ?? []) {
      const owner = /** @type {Record_} */ (records.get(node.layer));
      if (isInput(owner) || masks.has(keyOf(node))) continue;
      if (operations.has(node.layer)) this.operation(owner, node);
      else if (!positions(node, masks)) this.add(owner, 'it is called with arguments other than tensors in a list');
      else if (this.masking) this.maskOf(owner, node);
    }
  }

  /** TensorFlow.js gives a mask, once there is one, to all layers that come after. @param {Record_} record @param {Node} node */
  maskOf(record, { kwargs }) {
    const reads = record.class === 'Softmax' || LAYERS.get(record.class)?.masked;
    if (!reads) return;
    const first = this.dialect !== 'keras3' && record.class !== 'Softmax' && this.readers++ === 0;
    if (!first && kwargs.mask?.$tensor === undefined) this.add(record, 'TensorFlow.js would give it the mask of another layer');
  }

  /** @param {Record_} record @param {Node} node */
  operation(record, { args, kwargs }) {
    const known = args.every((value) => typeof value === 'number' || Number.isInteger(value?.$tensor));
    if (!OPERATIONS.has(record.class) || !known || Object.keys(kwargs).length) this.add(record, `the operation ${record.class} is not one that this program maps`);
  }

  /** @param {Record_} record */
  layer(record) {
    if (record.custom) return this.add(record, `${record.class} is a custom class`);
    if (isInput(record)) return this.input(record);
    if (isModel(record)) return this.model(record);
    const row = LAYERS.get(record.class);
    if (!row || record.module !== 'keras.layers') return this.add(record, `${record.class} is not one that this program maps to TensorFlow.js`);
    if (record.dtype !== undefined && record.dtype !== 'float32') this.add(record, `its dtype is ${record.dtype}`);
    if (this.masking && record.config.zero_output_for_mask && record.config.return_sequences) this.add(record, 'TensorFlow.js repeats outputs where a mask asks for zeros');
    for (const [name, value] of Object.entries(record.config)) this.argument(record, row, name, plain(value));
    for (const name of row.args) if (!Object.hasOwn(record.config, name) && !OPTIONAL.has(name)) this.add(record, `its config does not say ${name}`);
    for (const sublayer of record.sublayers ?? []) this.layer(sublayer);
    if (record.class === 'Bidirectional' && !sameBackwards(record)) this.add(record, 'its backward layer is not the forward layer backwards');
    return undefined;
  }

  /** @param {Record_} record */
  input(record) {
    const { dtype = 'float32', config: { sparse, ragged, optional } } = record;
    if (!INPUT_DTYPES.includes(dtype)) this.add(record, `TensorFlow.js has no inputs of ${dtype}`);
    if (sparse || ragged || optional) this.add(record, 'it is sparse, ragged or optional');
    if (!Array.isArray(plain(record.batch_shape))) this.add(record, 'its shape is not known');
  }

  /** @param {Record_} record @param {import('./layer-table.js').Row} row @param {string} name @param {any} value */
  argument(record, row, name, value) {
    if (WITHOUT_EFFECT.test(name)) return;
    const listed = Object.hasOwn(row.only, name);
    const allowed = row.only[name];
    if (listed && allowed && !allowed.some((one) => JSON.stringify(one) === JSON.stringify(value))) this.add(record, `${name} is ${JSON.stringify(value)}`);
    else if (name.endsWith('activation') && row.args.includes(name) && activationOf(value, this.dialect) === undefined) this.add(record, `the activation ${JSON.stringify(value)} is not one of TensorFlow.js`);
    else if (row.args.includes(name) && value === undefined && name !== 'layer') this.add(record, `${name} is a value that this program does not map`);
    else if (!listed && !row.args.includes(name)) this.add(record, `TensorFlow.js knows no argument ${name}`);
  }
}

/** @param {Record_} record @returns {boolean} */
const masks = (record) => record.class === 'Masking' || record.config.mask_zero === true || [...(record.layers ?? []), ...(record.sublayers ?? [])].some(masks);

/** What TensorFlow.js does not have, all at once. @param {any} topology @returns {string[]} */
export function unsupported(topology) {
  if (!isModel(topology)) return [`the topology has the form ${topology.form}: there is no graph`];
  const checker = new Checker(topology.dialect, masks(topology));
  checker.model(topology);
  return checker.problems;
}

class Builder {
  /** @param {string} dialect */
  constructor(dialect) {
    this.dialect = dialect;
    /** @type {Pair[]} */
    this.pairs = [];
    /** @type {Map<number, any>} layers that stand at several places */
    this.shared = new Map();
  }

  /** @param {Record_} record @returns {any} */
  make(record) {
    const known = record.shared === undefined ? undefined : this.shared.get(record.shared);
    if (known) return known;
    const layer = isModel(record) ? this.model(record) : this.layer(record);
    if (record.shared !== undefined) this.shared.set(record.shared, layer);
    return layer;
  }

  /** @param {Record_} record */
  layer(record) {
    const layer = this.bare(record);
    layer.setFastWeightInitDuringBuild(true);
    this.pairs.push({ record, layer });
    return layer;
  }

  /** A layer of TensorFlow.js by the table. @param {Record_} record @returns {Layer} */
  bare(record) {
    const row = /** @type {import('./layer-table.js').Row} */ (LAYERS.get(record.class));
    /** @type {Record<string, any>} */
    const args = { name: record.name };
    for (const name of row.args) {
      const value = plain(record.config[name]);
      if (name === 'layer') args.layer = this.bare(/** @type {Record_} */ ((record.sublayers ?? [])[record.config.layer.$layer]));
      else if (name.endsWith('activation')) args[camel(name)] = activationOf(value, this.dialect);
      else if (value !== null && value !== undefined) args[row.renamed[name] ?? camel(name)] = value;
    }
    return row.make(args);
  }

  /** @param {Record_} record @returns {import('@tensorflow/tfjs-layers').LayersModel} */
  model(record) {
    const implied = impliedMasks(record);
    const records = new Map((record.layers ?? []).map((one) => [one.name, one]));
    /** @type {Map<string, Layer>} */
    const made = new Map();
    /** @type {Map<string, SymbolicTensor[]>} outputs of calls */
    const results = new Map();
    const at = (/** @type {TensorRef} */ ref) => /** @type {SymbolicTensor[]} */ (results.get(keyOf(ref)))[ref.tensor];
    for (const node of record.nodes ?? []) {
      const owner = /** @type {Record_} */ (records.get(node.layer));
      if (implied.has(keyOf(node))) continue;
      results.set(keyOf(node), isInput(owner) ? [this.input(owner)] : this.call(owner, node, made, at, implied));
    }
    return makeModel({ name: record.name, inputs: (record.inputs ?? []).map(at), outputs: (record.outputs ?? []).map(at) });
  }

  /** @param {Record_} record @returns {SymbolicTensor} */
  input({ name, dtype = 'float32', batch_shape: shape }) {
    return input({ name, dtype: /** @type {any} */ (dtype), batchShape: plain(shape) });
  }

  /** @param {Record_} owner @param {Node} node @param {Map<string, Layer>} made @param {(ref: TensorRef) => SymbolicTensor} at @param {Set<string>} implied @returns {SymbolicTensor[]} */
  call(owner, node, made, at, implied) {
    if (isOperation(owner)) return this.operation(owner, node, at);
    const layer = made.get(owner.name) ?? this.make(owner);
    made.set(owner.name, layer);
    const tensors = /** @type {number[]} */ (positions(node, implied)).map((place) => at(node.inputs[place]));
    return /** @type {SymbolicTensor[]} */ ([layer.apply(tensors.length === 1 ? tensors[0] : tensors)].flat());
  }

  /** @param {Record_} owner @param {Node} node @param {(ref: TensorRef) => SymbolicTensor} at @returns {SymbolicTensor[]} */
  operation(owner, { args, inputs, node }, at) {
    const compute = /** @type {any} */ (OPERATIONS.get(owner.class));
    const tensors = args.filter((value) => typeof value !== 'number').map(({ $tensor }) => at(inputs[$tensor]));
    const layer = new Operation({ name: node ? `${owner.name}_${node}` : owner.name, compute, args: args.map((value) => (typeof value === 'number' ? value : null)) });
    return /** @type {SymbolicTensor[]} */ ([layer.apply(tensors.length === 1 ? tensors[0] : tensors)].flat());
  }
}

/**
 * The model, and its layers with weights beside their records. Made only where `unsupported` finds nothing.
 * @param {any} topology
 */
export function buildModel(topology) {
  const builder = new Builder(topology.dialect);
  return { model: builder.model(topology), pairs: builder.pairs };
}
