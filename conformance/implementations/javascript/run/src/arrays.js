/**
 * Arrays between the bytes of section 4.6 and what engines take and give.
 *
 *     numbersOf('float16', bytes);     // Float64Array, or a typed array of the dtype where JavaScript has one
 */
import { NoAnswer } from '../../src/findings.js';
import { splitStrings } from '../../src/dtypes.js';

/** A value with its dtype and shape. @typedef {{ name: string, dtype: string, shape: number[], values: ArrayLike<any> }} Value */

/** @type {Record<string, new (buffer: ArrayBuffer) => ArrayLike<any>>} */
const TYPED = {
  bool: Uint8Array, int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array, float32: Float32Array, float64: Float64Array,
};
export const FLOATS = new Set(['float16', 'bfloat16', 'float32', 'float64']);
/** Least normal numbers, by dtype. @type {Record<string, number>} */
export const LEAST_NORMAL = { float16: 2 ** -14, bfloat16: 2 ** -126, float32: 2 ** -126, float64: 2 ** -1022 };

/** IEEE binary16. @param {number} bits */
function halfOf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -14 * (fraction / 1024);
}

/** @param {number} bits */
const brainOf = (bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0];

/** Words of 16 bits that stand for floats, as numbers. @param {string} dtype @param {Uint16Array} words */
export const widened = (dtype, words) => Float64Array.from(words, dtype === 'float16' ? halfOf : brainOf);

/** @param {Uint8Array} bytes @returns {ArrayBuffer} a copy, aligned */
const copyOf = (bytes) => /** @type {ArrayBuffer} */ (new Uint8Array(bytes).buffer);

/**
 * The elements of an array. Raises NoAnswer for dtypes that no engine here takes.
 * @param {string} dtype @param {Uint8Array} bytes @returns {ArrayLike<any>}
 */
export function numbersOf(dtype, bytes) {
  if (dtype === 'float16' || dtype === 'bfloat16') return widened(dtype, new Uint16Array(copyOf(bytes)));
  const Typed = TYPED[dtype];
  if (!Typed) throw new NoAnswer(`no engine here has arrays of ${dtype}`);
  return new Typed(copyOf(bytes));
}

/** The elements of an array of a golden vector. @param {{ name: string, dtype: string, shape: (number | bigint)[], data: Uint8Array }} array @returns {Value} */
export function valueOf({ name, dtype, shape, data }) {
  const sizes = shape.map(Number);
  if (dtype !== 'string') return { name, dtype, shape: sizes, values: numbersOf(dtype, data) };
  const split = splitStrings(data, sizes.reduce((product, size) => product * size, 1));
  if ('error' in split) throw new NoAnswer(split.error);
  return { name, dtype, shape: sizes, values: split.elements.map((bytes) => new TextDecoder().decode(bytes)) };
}
