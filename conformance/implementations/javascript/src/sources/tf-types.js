/** Data types and shapes of TensorFlow's protocol buffers. */
/** @typedef {import('./protobuf.js').Message} Message */
/** @typedef {import('./protobuf.js').Table} Table */

/** DataType, without those that have no plain bytes. @type {Map<number, string>} */
export const TF_DTYPES = new Map([
  [1, 'float32'], [2, 'float64'], [3, 'int32'], [4, 'uint8'], [5, 'int16'], [6, 'int8'], [7, 'string'], [8, 'complex64'], [9, 'int64'],
  [10, 'bool'], [11, 'qint8'], [12, 'quint8'], [13, 'qint32'], [14, 'bfloat16'], [15, 'qint16'], [16, 'quint16'], [17, 'uint16'],
  [18, 'complex128'], [19, 'float16'], [22, 'uint32'], [23, 'uint64'], [24, 'float8_e5m2'], [25, 'float8_e4m3fn'],
  [26, 'float8_e4m3fnuz'], [27, 'float8_e4m3b11fnuz'], [28, 'float8_e5m2fnuz'], [29, 'int4'], [30, 'uint4'], [31, 'int2'], [32, 'uint2'],
]);
const OTHERS = new Map([[20, 'resource'], [21, 'variant']]);
/** The first of the numbers that stand for references to variables of a type. */
const REFERENCE = 100;

/** @param {number} type */
export const dtypeName = (type) => TF_DTYPES.get(type % REFERENCE) ?? OTHERS.get(type % REFERENCE) ?? 'unknown';

/** TensorShapeProto. @type {Table} */
export const SHAPE = { 2: { name: 'dims', type: 'message', many: true, table: { 1: { name: 'size', type: 'int' } } }, 3: { name: 'unknown', type: 'bool' } };

/** Dimensions, null where unknown; null where the rank is. @param {Message | undefined} shape @returns {(number | null)[] | null} */
export function dimensions(shape) {
  if (!shape || shape.unknown) return null;
  return shape.dims.map((/** @type {Message} */ { size = 0 }) => (size < 0 ? null : size));
}

/** ObjectReference. @type {Table} */
export const CHILD = { 1: { name: 'node', type: 'int' }, 2: { name: 'name', type: 'text' } };
/** SlotVariableReference. @type {Table} */
export const SLOT = { 1: { name: 'variable', type: 'int' }, 2: { name: 'slot', type: 'text' }, 3: { name: 'value', type: 'int' } };
