/**
 * Bytes of tensors as numbers (section 4.6): what a histogram is made of.
 *
 *     const read = numbersOf('bfloat16');
 *     read(bytes, (value) => { … });
 *
 * 64-bit integers become the nearest float64. A complex number gives two values, its parts.
 */

/** @typedef {(bytes: Uint8Array, each: (value: number) => void) => void} Numbers */

/**
 * Value of a small float.
 * @param {number} bits
 * @param {number} exponentBits
 * @param {number} mantissaBits
 * @param {number} bias
 * @param {'ieee' | 'fn' | 'fnuz' | 'finite'} special which codes are infinite or NaN
 */
export function smallFloat(bits, exponentBits, mantissaBits, bias, special) {
  const sign = (bits >> (exponentBits + mantissaBits)) & 1;
  const exponent = (bits >> mantissaBits) & ((1 << exponentBits) - 1);
  const mantissa = bits & ((1 << mantissaBits) - 1);
  const top = (1 << exponentBits) - 1;
  if (special === 'fnuz' && sign && !exponent && !mantissa) return NaN;
  if (special === 'ieee' && exponent === top) return mantissa ? NaN : sign ? -Infinity : Infinity;
  if (special === 'fn' && exponent === top && mantissa === (1 << mantissaBits) - 1) return NaN;
  const magnitude = exponent
    ? (1 + mantissa / 2 ** mantissaBits) * 2 ** (exponent - bias)
    : (mantissa / 2 ** mantissaBits) * 2 ** (1 - bias);
  return sign ? -magnitude : magnitude;
}

/** Values of all codes. @param {number} bits @param {(code: number) => number} value */
const table = (bits, value) => Float64Array.from({ length: 1 << bits }, (_, code) => value(code));
/** @param {number} e @param {number} m @param {number} bias @param {'ieee' | 'fn' | 'fnuz' | 'finite'} special */
const floats = (e, m, bias, special) => () => table(1 + e + m, (code) => smallFloat(code, e, m, bias, special));
/** @param {number} bits */
const signed = (bits) => () => table(bits, (code) => (code << (32 - bits)) >> (32 - bits));
/** @param {number} bits */
const unsigned = (bits) => () => table(bits, (code) => code);

/** dtypes by the values of their codes: bits in storage, and the table. @type {Record<string, [number, () => Float64Array]>} */
const CODED = {
  float16: [16, floats(5, 10, 15, 'ieee')],
  bfloat16: [16, floats(8, 7, 127, 'ieee')],
  float8_e3m4: [8, floats(3, 4, 3, 'ieee')],
  float8_e4m3: [8, floats(4, 3, 7, 'ieee')],
  float8_e5m2: [8, floats(5, 2, 15, 'ieee')],
  float8_e4m3fn: [8, floats(4, 3, 7, 'fn')],
  float8_e4m3fnuz: [8, floats(4, 3, 8, 'fnuz')],
  float8_e5m2fnuz: [8, floats(5, 2, 16, 'fnuz')],
  float8_e4m3b11fnuz: [8, floats(4, 3, 11, 'fnuz')],
  float8_e8m0fnu: [8, () => table(8, (code) => (code === 255 ? NaN : 2 ** (code - 127)))],
  int2: [8, () => table(8, (code) => (code << 30) >> 30)],
  uint2: [8, () => table(8, (code) => code & 3)],
  int4: [8, () => table(8, (code) => (code << 28) >> 28)],
  uint4: [8, () => table(8, (code) => code & 15)],
  int2_packed: [2, signed(2)],
  uint2_packed: [2, unsigned(2)],
  int4_packed: [4, signed(4)],
  uint4_packed: [4, unsigned(4)],
  float4_e2m1fn_packed: [4, floats(2, 1, 1, 'finite')],
  float6_e2m3fn_packed: [6, floats(2, 3, 1, 'finite')],
  float6_e3m2fn_packed: [6, floats(3, 2, 3, 'finite')],
};

/** dtypes that a DataView reads: bytes of a value, and how. @type {Record<string, [number, (view: DataView, at: number) => number]>} */
const VIEWED = {
  bool: [1, (view, at) => view.getUint8(at)],
  int8: [1, (view, at) => view.getInt8(at)],
  uint8: [1, (view, at) => view.getUint8(at)],
  int16: [2, (view, at) => view.getInt16(at, true)],
  uint16: [2, (view, at) => view.getUint16(at, true)],
  int32: [4, (view, at) => view.getInt32(at, true)],
  uint32: [4, (view, at) => view.getUint32(at, true)],
  int64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  uint64: [8, (view, at) => Number(view.getBigUint64(at, true))],
  float32: [4, (view, at) => view.getFloat32(at, true)],
  float64: [8, (view, at) => view.getFloat64(at, true)],
};
/** @type {Record<string, string>} */
const SAME = { qint8: 'int8', quint8: 'uint8', qint16: 'int16', quint16: 'uint16', qint32: 'int32', complex64: 'float32', complex128: 'float64' };

/** @param {number} bits @param {Float64Array} values @param {number} most elements @returns {Numbers} */
const byCode = (bits, values, most) => (bytes, each) => {
  const mask = values.length - 1;
  const count = Math.min(most, Math.floor((bytes.length * 8) / bits));
  for (let i = 0; i < count; i++) {
    const bit = i * bits;
    const at = bit >>> 3;
    const pair = bytes[at] | ((bytes[at + 1] ?? 0) << 8);
    each(values[(pair >>> (bit & 7)) & mask]);
  }
};

/** @param {number} width @param {(view: DataView, at: number) => number} get @returns {Numbers} */
const byView = (width, get) => (bytes, each) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + width <= bytes.length; at += width) each(get(view, at));
};

/**
 * @param {string} dtype
 * @param {number} [elements] of the bytes, where the last byte of packed ones is filled up
 * @returns {Numbers | null} null for what is no number: `string` and `bytesN`
 */
export function numbersOf(dtype, elements = Infinity) {
  const name = Object.hasOwn(SAME, dtype) ? SAME[dtype] : dtype;
  if (Object.hasOwn(CODED, name)) return byCode(CODED[name][0], CODED[name][1](), elements);
  return Object.hasOwn(VIEWED, name) ? byView(...VIEWED[name]) : null;
}

/** Whether the values are integers, which bins follow. @param {string} dtype */
export const isInteger = (dtype) => /^(bool|q?u?int)/.test(dtype);
