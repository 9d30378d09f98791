/** Dtypes, and the length of a tensor (sections 4.6 and 4.7). */
import { crc32c, maskCrc } from './checksums.js';

export const HIGHEST_RANK = 32;

/** @type {Map<string, number>} Bits of an element; string has none. */
const BITS = new Map([
  ['bool', 8],
  ...['int', 'uint'].flatMap((name) => [8, 16, 32, 64].map((n) => /** @type {[string, number]} */ ([name + n, n]))),
  ['float16', 16], ['float32', 32], ['float64', 64], ['bfloat16', 16],
  ['float8_e3m4', 8], ['float8_e4m3', 8], ['float8_e5m2', 8], ['float8_e4m3fn', 8],
  ['float8_e4m3fnuz', 8], ['float8_e5m2fnuz', 8], ['float8_e4m3b11fnuz', 8], ['float8_e8m0fnu', 8],
  ['complex64', 64], ['complex128', 128],
  ['int2', 8], ['uint2', 8], ['int4', 8], ['uint4', 8],
  ['int2_packed', 2], ['uint2_packed', 2], ['int4_packed', 4], ['uint4_packed', 4],
  ['float4_e2m1fn_packed', 4], ['float6_e2m3fn_packed', 6], ['float6_e3m2fn_packed', 6],
  ['qint8', 8], ['quint8', 8], ['qint16', 16], ['quint16', 16], ['qint32', 32],
]);
const OPAQUE = /^bytes([1-9][0-9]{0,6})$/;

/**
 * Bits of an element.
 * @param {string} dtype
 * @returns {number | null | undefined} null for string, undefined for what is no dtype
 */
export function bitsOf(dtype) {
  if (dtype === 'string') return null;
  const opaque = OPAQUE.exec(dtype);
  return opaque ? 8 * Number(opaque[1]) : BITS.get(dtype);
}

/** @param {string} dtype */
export const isDtype = (dtype) => bitsOf(dtype) !== undefined;

/**
 * Number of elements; Infinity above 2^53 (TEN-08: without overflow, a dimension of 0 first).
 * @param {ArrayLike<number>} shape
 */
export function elementsOf(shape) {
  let elements = 1;
  for (let i = 0; i < shape.length; i++) if (shape[i] === 0) return 0;
  for (let i = 0; i < shape.length; i++) {
    elements *= shape[i];
    if (elements > Number.MAX_SAFE_INTEGER) return Infinity;
  }
  return elements;
}

/**
 * Bytes of a tensor of fixed width; Infinity where no file holds as many.
 * @param {number} elements
 * @param {number} bits
 */
export function bytesOf(elements, bits) {
  if (elements === Infinity) return Infinity;
  const bytes = Number((BigInt(elements) * BigInt(bits) + 7n) / 8n);
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : Infinity;
}

/**
 * Splits the bytes of a string tensor (section 4.7), or says what is wrong with them (TEN-13).
 * @param {Uint8Array} bytes
 * @param {number} elements
 * @returns {{ elements: Uint8Array[] } | { error: string }}
 */
export function splitStrings(bytes, elements) {
  if (bytes.length < elements + 4) return { error: `${bytes.length} bytes for ${elements} elements` };
  let at = 0;
  let crc = 0;
  const lengths = new Array(elements);
  const fixed = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < elements; i++) {
    let value = 0;
    let scale = 1;
    for (let k = 0; ; k++, scale *= 128) {
      if (at >= bytes.length || k === 10) return { error: `length ${i} does not end` };
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    // A length above 2^53 is beyond the range in any case.
    if (value > bytes.length) return { error: `length ${i} is ${value}, beyond the range` };
    fixed.setUint32(0, value, true);
    crc = crc32c(new Uint8Array(fixed.buffer, 0, 4), crc);
    lengths[i] = value;
  }
  if (bytes.length - at < 4) return { error: 'no checksum' };
  const stated = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true);
  if (stated !== maskCrc(crc)) return { error: `checksum ${stated.toString(16)}, not ${maskCrc(crc).toString(16)}` };
  at += 4;
  const parts = [];
  for (const length of lengths) {
    if (length > bytes.length - at) return { error: 'content beyond the range' };
    parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at !== bytes.length) return { error: `${bytes.length - at} bytes after the content` };
  return { elements: parts };
}

/** @param {number} number @param {number[]} out */
function pushVarint(number, out) {
  for (; number > 127; number = Math.floor(number / 128)) out.push((number & 127) | 128);
  out.push(number);
}

/** The bytes of a string tensor (section 4.7). @param {Uint8Array[]} elements @returns {Uint8Array} */
export function encodeStrings(elements) {
  /** @type {number[]} */
  const lengths = [];
  let crc = 0;
  const fixed = new DataView(new ArrayBuffer(4));
  for (const { length } of elements) {
    pushVarint(length, lengths);
    fixed.setUint32(0, length, true);
    crc = crc32c(new Uint8Array(fixed.buffer), crc);
  }
  const content = elements.reduce((sum, { length }) => sum + length, 0);
  const out = new Uint8Array(lengths.length + 4 + content);
  out.set(lengths);
  new DataView(out.buffer).setUint32(lengths.length, maskCrc(crc), true);
  let at = lengths.length + 4;
  for (const element of elements) {
    out.set(element, at);
    at += element.length;
  }
  return out;
}
