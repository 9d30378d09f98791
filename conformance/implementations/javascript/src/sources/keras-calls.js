/** Calls of the layers of a Functional model, in the dialects of Keras 1 to 3, as the nodes of a topology. */
import { isMap } from './loose-json.js';
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('../json.js').Json} Json */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {{ layer: string, node: number, tensor: number }} Reference  as the config numbers calls */
/** @typedef {{ inputs: Reference[], args: Json[], kwargs: JsonObject }} Call */
/** @typedef {(value: Loose) => Json} Take */
/** @typedef {(expected: string, found: unknown) => never} Fail */

const TENSOR = '__keras_tensor__';
const CONSTANT = '_CONSTANT_VALUE';

/** @param {Loose | undefined} value @returns {value is number} */
const isCount = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

/** Whether something is [layer, call, output]. @param {Loose | undefined} value */
const isReference = (value) => Array.isArray(value) && value.length === 3 && typeof value[0] === 'string' && isCount(value[1]) && isCount(value[2]);

/** @param {Loose | undefined} value @param {Fail} fail @returns {Reference} */
export function reference(value, fail) {
  if (!Array.isArray(value) || !isReference(value)) return fail('[layer, call, output]', 'another value');
  return { layer: String(value[0]), node: Number(value[1]), tensor: Number(value[2]) };
}

/** @param {Reference[]} inputs @param {Reference} own */
function placed(inputs, own) {
  inputs.push(own);
  return { $tensor: inputs.length - 1 };
}

/** A call of Keras 3. @param {LooseMap} call @param {Take} take @param {Fail} fail @returns {Call} */
function newCall(call, take, fail) {
  const args = call.get('args');
  const kwargs = call.get('kwargs');
  if (!Array.isArray(args) || !isMap(kwargs)) return fail('a call with args and kwargs', [...call.keys()]);
  /** @type {Reference[]} */
  const inputs = [];
  /** @param {Loose} value @returns {Json} */
  const value = (value) => {
    if (Array.isArray(value)) return value.map((item) => argument(item));
    if (!isMap(value)) return take(value);
    if (value.get('class_name') === TENSOR) {
      const config = value.get('config');
      return placed(inputs, reference(isMap(config) ? config.get('keras_history') : undefined, fail));
    }
    return holdsTensor(value) ? mapMembers(value, argument) : take(value);
  };
  const argument = value;
  return { args: args.map(argument), kwargs: mapMembers(kwargs, argument), inputs };
}

/** @param {Loose} value @returns {boolean} */
function holdsTensor(value) {
  if (Array.isArray(value)) return value.some(holdsTensor);
  return isMap(value) && (value.get('class_name') === TENSOR || [...value.values()].some(holdsTensor));
}

/** @param {LooseMap} value @param {(value: Loose) => Json} take @returns {JsonObject} */
function mapMembers(value, take) {
  /** @type {JsonObject} */
  const out = Object.create(null);
  for (const [key, member] of value) out[key.startsWith('$') ? `$${key}` : key] = take(member);
  return out;
}

/** Whether something is an argument of Keras 1 and 2: [layer, call, output] or with keyword arguments. @param {Loose} value */
const isOldTensor = (value) => Array.isArray(value) && (value.length === 3 || value.length === 4) && typeof value[0] === 'string' && typeof value[1] === 'number';

/**
 * A call of Keras 1 or 2: a structure of [layer, call, output, keyword arguments].
 * @param {Loose} call @param {Take} take @param {Set<string>} layers @param {Fail} fail
 * @returns {Call}
 */
function oldCall(call, take, layers, fail) {
  /** @type {Reference[]} */
  const inputs = [];
  /** @type {LooseMap} */
  let kwargs = new Map();
  /** @param {Loose} value @returns {Json} */
  const structure = (value) => {
    if (isOldTensor(value)) {
      const [layer, node, tensor, own] = /** @type {Loose[]} */ (value);
      if (isMap(own)) kwargs = own;
      else if (own !== undefined && own !== null) fail('keyword arguments', 'another value');
      return layer === CONSTANT ? take(tensor) : placed(inputs, reference([layer, node, tensor], fail));
    }
    if (Array.isArray(value)) return value.map(structure);
    if (isMap(value)) return mapMembers(value, structure);
    return fail('a call of a layer', 'another value');
  };
  const args = structure(call);
  /** @param {Loose} value @returns {Json} */
  const keyword = (value) => {
    if (isReference(value) && layers.has(/** @type {string[]} */ (value)[0])) return placed(inputs, reference(value, fail));
    if (Array.isArray(value) && value.some(holdsOldTensor)) return value.map(keyword);
    return take(value);
  };
  const holdsOldTensor = (/** @type {Loose} */ value) => isReference(value) && layers.has(/** @type {string[]} */ (value)[0]);
  const named = mapMembers(kwargs, keyword);
  // A list of one tensor is that tensor, as Keras 1 and 2 call layers.
  return { args: [Array.isArray(args) && args.length === 1 ? args[0] : args], kwargs: named, inputs };
}

/**
 * The calls of a layer.
 * @param {Loose | undefined} nodes `inbound_nodes`
 * @param {Take} take other values
 * @param {Set<string>} layers names of the layers of the model
 * @param {Fail} fail for a call of no known form (KCF-01)
 * @returns {Call[]}
 */
export function callsOf(nodes, take, layers, fail) {
  if (nodes === undefined || nodes === null) return [];
  if (!Array.isArray(nodes)) return fail('a list of calls', 'another value');
  return nodes.map((call) => {
    if (isMap(call) && call.has('args')) return newCall(call, take, fail);
    return Array.isArray(call) || isMap(call) ? oldCall(call, take, layers, fail) : fail('a call', 'another value');
  });
}

/**
 * Inputs or outputs of a model, and their structure.
 * @param {Loose | undefined} ends
 * @param {boolean} unnest whether a list of one is that one, as in Keras 1 and 2
 * @param {Fail} fail
 * @returns {{ tensors: Reference[], structure: Json }}
 */
export function endsOf(ends, unnest, fail) {
  /** @type {Reference[]} */
  const tensors = [];
  /** @param {Loose | undefined} value @returns {Json} */
  const structure = (value) => {
    if (isReference(value)) return placed(tensors, reference(value, fail));
    if (Array.isArray(value)) return value.map(structure);
    if (isMap(value)) return mapMembers(value, structure);
    return fail('references in arrays and objects', 'another value');
  };
  const whole = structure(ends);
  if (!tensors.length) return { tensors, structure: null };
  return { tensors, structure: unnest && Array.isArray(whole) && whole.length === 1 ? whole[0] : whole };
}
