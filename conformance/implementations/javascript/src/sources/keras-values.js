/** Values of a Keras config as a topology writes them (section 8.2): JSON, with tags for what JSON has no word for. */
import { isMap } from './loose-json.js';
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseArray} LooseArray */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('../json.js').Json} Json */
/** @typedef {import('../json.js').JsonObject} JsonObject */

const WHOLE = 1e21;

/**
 * @typedef {object} Context
 * @property {Map<Loose, number>} shared  numbers of shared objects
 * @property {(value: LooseMap | LooseArray, slot: string) => Json | undefined} [special]  takes what has a form of its own
 * @property {() => void} tagged  is told of each tagged value
 */

/** @param {number} value @returns {Json} */
function numberValue(value) {
  if (Number.isNaN(value)) return { $float: 'NaN' };
  if (!Number.isFinite(value)) return { $float: value > 0 ? 'Infinity' : '-Infinity' };
  if (Object.is(value, -0)) return { $float: '-0' };
  // Whole numbers from 2^53 to 10^21 have no form in JSON here (JSN-05).
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < WHOLE) return { $int: String(BigInt(value)) };
  return value;
}

/** Names of objects that stand for something JSON has no word for. @type {Record<string, (value: LooseMap, take: (value: Loose) => Json) => JsonObject>} */
const TAGS = {
  __float__: (value) => ({ $float: /** @type {Json} */ (value.get('value') ?? null) }),
  __dict__: (value, take) => ({ $dict: take(value.get('items') ?? null) }),
  __tuple__: (value, take) => ({ $tuple: take(value.get('items') ?? null) }),
  TensorShape: (value, take) => ({ $tuple: take(value.get('items') ?? null) }),
  __bytes__: (value, take) => ({ $bytes: take(inner(value).get('value') ?? null) }),
  __slice__: (value, take) => ({ $slice: ['start', 'stop', 'step'].map((name) => take(inner(value).get(name) ?? null)) }),
  __ellipsis__: () => ({ $ellipsis: true }),
  __numpy__: (value, take) => ({ $array: take(inner(value)) }),
  __tensor__: (value, take) => ({ $array: take(inner(value)) }),
  __typespec__: (value, take) => ({ $typespec: take(without(value, 'class_name')) }),
  TypeSpec: (value, take) => ({ $typespec: take(without(value, 'class_name')) }),
  __lambda__: (value, take) => ({ $lambda: take(value.get('config') ?? null) }),
};

/** The config of an object. @param {LooseMap} value @returns {LooseMap} */
function inner(value) {
  const config = value.get('config');
  return isMap(config) ? config : new Map();
}

/** @param {LooseMap} value @param {string} name */
const without = (value, name) => new Map([...value].filter(([key]) => key !== name));

/** @param {string} key */
const escapeKey = (key) => (key.startsWith('$') ? `$${key}` : key);

/**
 * @param {Loose} value
 * @param {Context} context
 * @param {string} [slot] the nearest key above
 * @returns {Json}
 */
export function takeValue(value, context, slot = '') {
  if (typeof value === 'number') {
    const taken = numberValue(value);
    if (typeof taken === 'object') context.tagged();
    return taken;
  }
  if (typeof value === 'bigint') {
    context.tagged();
    return { $int: String(value) };
  }
  if (!Array.isArray(value) && !isMap(value)) return value;
  const special = context.special?.(value, slot);
  if (special !== undefined) return special;
  if (Array.isArray(value)) return value.map((item) => takeValue(item, context, slot));
  const name = value.get('class_name');
  if (typeof name === 'string' && Object.hasOwn(TAGS, name)) {
    context.tagged();
    return TAGS[name](value, (item) => takeValue(item, context));
  }
  return takeMembers(value, context);
}

/** The members of an object, and of a layer's config. @param {LooseMap} value @param {Context} context @param {Set<string>} [left] out @returns {JsonObject} */
export function takeMembers(value, context, left) {
  /** @type {JsonObject} */
  const out = Object.create(null);
  for (const [key, member] of value) {
    if (left?.has(key)) continue;
    const number = key === 'shared_object_id' ? context.shared.get(member) : undefined;
    out[escapeKey(key)] = number ?? takeValue(member, context, key);
  }
  return out;
}

/** @param {Loose} value */
const isInteger = (value) => typeof value === 'bigint' || Number.isInteger(value);

/** Shared objects by their ids, numbered in order of appearance. @param {Loose} value @param {Map<Loose, number>} [numbers] */
export function numberShared(value, numbers = new Map()) {
  if (Array.isArray(value)) for (const item of value) numberShared(item, numbers);
  else if (isMap(value)) {
    for (const [key, member] of value) {
      if (key === 'compile_config') continue;
      if (key === 'shared_object_id') {
        if (isInteger(member) && !numbers.has(member)) numbers.set(member, numbers.size);
        numberShared(member, numbers);
      } else numberShared(member, numbers);
    }
  }
  return numbers;
}
