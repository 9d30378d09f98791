/** Calls of the layers of a Functional model, in the dialects of Keras 1 to 3, as the nodes of a topology (section 13.8). */
import { compareText } from '../text.js';
import { takeMembers, takeValue } from './keras-values.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./keras-values.js').Context} Context */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('../json.js').Json} Json */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {{ layer: string, node: number, tensor: number }} Reference */
/** @typedef {{ inputs: Reference[], args: Json[], kwargs: JsonObject }} Call */
/** @typedef {(expected: string, found: unknown) => never} Fail */

/**
 * @typedef {object} Scope  The layers of one model.
 * @property {Map<string, { calls: number, isInput: boolean }>} layers
 * @property {Map<string, number>} called  by nested model, the number that its calls count from, within calls
 * @property {Map<string, number>} ended  the same, among inputs and outputs of the model
 * @property {Context} plain  takes values that are no tensors
 * @property {Fail} bad  for a call of no known form (KCF-01)
 * @property {Fail} dangling  for a reference to nothing (KCF-03)
 */

const CONSTANT = '_CONSTANT_VALUE';
/** Classes whose call takes a list of one tensor as a list. */
const KEEPS_STRUCTURE = new Set(['TFOpLambda', 'ClassMethod', 'InstanceMethod', 'InstanceProperty']);

/** @param {Loose | undefined} value */
const isInteger = (value) => typeof value === 'bigint' || Number.isInteger(value);

/** Whether something is [layer, call, output], with or without arguments. @param {Loose | undefined} value @returns {value is Loose[]} */
const isReference = (value) => Array.isArray(value) && (value.length === 3 || value.length === 4) && typeof value[0] === 'string' && isInteger(value[1]) && isInteger(value[2]);

/**
 * What nested models count their calls from: 1 where the model holds a call of its own.
 * @param {JsonObject[]} layers records @param {Loose[][]} calls @param {Loose[]} ends
 * @returns {{ called: Map<string, number>, ended: Map<string, number> }}
 */
export function offsetsOf(layers, calls, ends) {
  const nested = layers.filter(({ form }) => form === 'functional' || form === 'sequential');
  if (calls.flat().some((call) => isMap(call) && call.has('args'))) {
    return { called: new Map(), ended: new Map(nested.filter(({ form }) => form === 'functional').map(({ name }) => [String(name), 1])) };
  }
  /** @type {Map<string, number>} */
  const lowest = new Map();
  const names = new Set(nested.map(({ name }) => name));
  for (const [name, number] of references([...calls.flat(), ...ends])) {
    if (names.has(name)) lowest.set(name, Math.min(number, lowest.get(name) ?? number));
  }
  const found = new Map([...lowest].filter(([, number]) => number > 0).map(([name]) => [name, 1]));
  return { called: found, ended: found };
}

/** @param {Loose} value @returns {Generator<[string, number]>} */
function* references(value) {
  if (isReference(value)) yield [String(value[0]), Number(value[1])];
  const below = isReference(value) ? value.slice(3) : Array.isArray(value) ? value : isMap(value) ? value.values() : [];
  for (const item of below) yield* references(item);
}

/** @param {Loose | undefined} value @param {Scope} scope @param {Map<string, number>} from @returns {Reference} */
function resolve(value, { layers, bad, dangling }, from) {
  if (!isReference(value)) return bad('[layer, call, output]', 'another value');
  const [name, written, tensor] = [String(value[0]), Number(value[1]), Number(value[2])];
  const layer = layers.get(name);
  if (!layer) return dangling('a layer of the model', name);
  const number = layer.isInput ? 0 : Math.max(written - (from.get(name) ?? 0), Math.min(written, 0));
  if (number < 0 || number >= layer.calls) dangling(`one of ${layer.calls} calls of ${name}`, written);
  if (tensor < 0 || tensor > (layer.isInput ? 0 : Number.MAX_SAFE_INTEGER)) dangling(`an output of ${name}`, tensor);
  return { layer: name, node: number, tensor };
}

class Tensors {
  /** @param {Scope} scope @param {Map<string, number>} from */
  constructor(scope, from) {
    this.scope = scope;
    this.from = from;
    /** @type {Reference[]} */
    this.inputs = [];
    /** @type {Context} */
    this.context = { ...scope.plain, special: (value) => this.special(value) };
  }

  /** @param {Loose | undefined} value @returns {Json} */
  tensor(value) {
    this.scope.plain.tagged();
    this.inputs.push(resolve(value, this.scope, this.from));
    return { $tensor: this.inputs.length - 1 };
  }

  /** @param {LooseMap | Loose[]} value @returns {Json | undefined} */
  special(value) {
    if (isMap(value)) {
      if (value.get('class_name') !== '__keras_tensor__') return undefined;
      const config = value.get('config');
      return this.tensor(isMap(config) ? config.get('keras_history') : undefined);
    }
    return value.length === 3 && isReference(value) && this.scope.layers.has(String(value[0])) ? this.tensor(value) : undefined;
  }

  /** A structure of references, and of constants where a call may take them. @param {Loose} value @param {boolean} constants @returns {Json} */
  structure(value, constants) {
    if (constants && Array.isArray(value) && value[0] === CONSTANT) return value.length > 2 ? takeValue(value[2], this.context) : null;
    if (isMap(value)) {
      const keys = [...value.keys()].sort(compareText);
      return Object.fromEntries(keys.map((key) => [key.startsWith('$') ? `$${key}` : key, this.structure(value.get(key) ?? null, constants)]));
    }
    if (Array.isArray(value) && typeof value[0] !== 'string') return value.map((item) => this.structure(item, constants));
    return this.tensor(value);
  }
}

/** A list of one as that one. @param {Loose} value */
const unwrap = (value) => (Array.isArray(value) && value.length === 1 ? value[0] : value);

/** The keyword arguments of a call of Keras 1 or 2, which every reference repeats. @param {Loose} value @returns {LooseMap | null} */
function argumentsOf(value) {
  if (Array.isArray(value) && typeof value[0] === 'string') return value.length === 4 && isMap(value[3]) && value[3].size ? value[3] : null;
  const below = Array.isArray(value) ? value : isMap(value) ? [...value.values()] : [];
  for (const item of [...below].reverse()) {
    const found = argumentsOf(item);
    if (found) return found;
  }
  return null;
}

/** One call of a layer. @param {Loose} call @param {string} name of the layer's class @param {Scope} scope @returns {Call} */
export function callOf(call, name, scope) {
  scope.plain.tagged();
  const tensors = new Tensors(scope, scope.called);
  if (isMap(call) && call.has('args')) {
    const [args, kwargs] = [call.get('args'), call.get('kwargs')];
    if (!Array.isArray(args) || !isMap(kwargs)) return scope.bad('a call with args and kwargs', [...call.keys()]);
    const taken = takeValue(args, tensors.context);
    return { args: /** @type {Json[]} */ (taken), kwargs: takeMembers(kwargs, tensors.context), inputs: tensors.inputs };
  }
  const args = [tensors.structure(KEEPS_STRUCTURE.has(name) ? call : unwrap(call), true)];
  return { args, kwargs: takeMembers(argumentsOf(call) ?? new Map(), tensors.context), inputs: tensors.inputs };
}

/**
 * Inputs or outputs of a model, and their structure.
 * @param {Loose} ends
 * @param {boolean} unnest whether a list of one is that one, as in Keras 1 and 2
 * @param {Scope} scope
 * @returns {{ tensors: Reference[], structure: Json }}
 */
export function endsOf(ends, unnest, scope) {
  const tensors = new Tensors(scope, scope.ended);
  const structure = tensors.structure(unnest ? unwrap(ends) : ends, false);
  return { tensors: tensors.inputs, structure };
}
