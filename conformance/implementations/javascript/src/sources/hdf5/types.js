/** Messages of object headers: datatypes, dataspaces, layouts, filters, fill values. */
import { LONGEST_ELEMENT } from './limits.js';
/** @typedef {import('./bytes.js').Cursor} Cursor */

/**
 * @typedef {object} Datatype
 * @property {string} class
 * @property {number} size
 * @property {boolean} [big]  big-endian
 * @property {boolean} [signed]
 * @property {boolean} [padded]  has padding bits
 * @property {string} [float]  float16, bfloat16, float32, float64; absent for any other
 * @property {'zero' | 'nulls' | 'spaces'} [padding]  of a string: ends at the first zero byte, filled with zeros, with spaces
 * @property {Datatype} [base]
 * @property {{ name: string, offset?: number, type?: Datatype, value?: Uint8Array }[]} [members]
 * @property {boolean} [text]  of variable length: whether a string
 *
 * @typedef {{ dims: number[], most: number[], null: boolean }} Dataspace  most: Infinity where there is no limit
 *
 * @typedef {object} Layout
 * @property {'compact' | 'contiguous' | 'chunked' | 'virtual'} class
 * @property {number} [at]  address of the data of a compact dataset
 * @property {number | null} [address]
 * @property {number} [size]
 * @property {number[]} [chunk]  dimensions, the width of an element last
 * @property {'tree' | 'single' | 'implicit' | 'fixed' | 'extensible' | 'tree2'} [index]
 * @property {number} [filteredSize]
 * @property {number} [mask]
 *
 * @typedef {{ id: number, values: number[] }} Filter
 */

const CLASSES = ['fixed', 'float', 'time', 'string', 'bits', 'opaque', 'compound', 'reference', 'enum', 'variable', 'array', 'complex'];
const MOST_NESTED = 32;
/** Precision, exponent's place and size, mantissa's size, bias, by name. */
const FLOATS = new Map([
  ['2 16 10 5 0 10 15', 'float16'], ['2 16 7 8 0 7 127', 'bfloat16'], ['4 32 23 8 0 23 127', 'float32'], ['8 64 52 11 0 52 1023', 'float64'],
]);
const LATIN = new TextDecoder('latin1');

/** @param {Cursor} cursor @param {number} [depth] @returns {Datatype} */
export function readDatatype(cursor, depth = 0) {
  if (depth > MOST_NESTED) cursor.fail('types that are not so deep', 'more');
  const first = cursor.u8();
  const version = first >> 4;
  const bits = cursor.uint(3);
  const size = cursor.u32();
  const name = CLASSES[first & 15];
  if (!name || version < 1 || version > 5) cursor.fail('a class and a version that are known', first);
  const type = /** @type {Datatype} */ ({ class: name, size });
  const read = READERS[name];
  read?.(cursor, type, { version, bits, depth });
  return type;
}

/** @typedef {{ version: number, bits: number, depth: number }} About */

/** @param {Cursor} cursor @param {Datatype} type @param {About} about */
function readFixed(cursor, type, { bits }) {
  const offset = cursor.u16();
  const precision = cursor.u16();
  Object.assign(type, { big: (bits & 1) === 1, signed: (bits & 8) !== 0, padded: offset !== 0 || precision !== 8 * type.size });
}

/** @param {Cursor} cursor @param {Datatype} type @param {About} about */
function readFloat(cursor, type, { bits }) {
  const offset = cursor.u16();
  const precision = cursor.u16();
  const [exponentAt, exponentSize, mantissaAt, mantissaSize] = [cursor.u8(), cursor.u8(), cursor.u8(), cursor.u8()];
  const bias = cursor.u32();
  const order = (bits & 1) | ((bits >> 5) & 2);
  const normal = ((bits >> 4) & 3) === 2 && ((bits >> 8) & 255) === precision - 1 && offset === 0 && order < 2;
  type.big = order === 1;
  const key = [type.size, precision, exponentAt, exponentSize, mantissaAt, mantissaSize, bias].join(' ');
  if (normal) type.float = FLOATS.get(key);
}

/** @param {Cursor} cursor @param {number} version */
function memberName(cursor, version) {
  const start = cursor.at;
  const name = LATIN.decode(cursor.zeroTerminated());
  if (version < 3) cursor.align8(start);
  return name;
}

/** Bytes that an offset in a compound takes from version 3 on. @param {number} size */
function offsetWidth(size) {
  let width = 1;
  while (256 ** width <= size) width++;
  return width;
}

/** @param {Cursor} cursor @param {Datatype} type @param {About} about */
function readCompound(cursor, type, { version, bits, depth }) {
  type.members = [];
  for (let i = 0; i < (bits & 0xffff); i++) {
    const name = memberName(cursor, version);
    const offset = version < 3 ? cursor.u32() : cursor.uint(offsetWidth(type.size));
    let rank = 0;
    if (version === 1) {
      rank = cursor.u8();
      cursor.skip(27);
    }
    const own = readDatatype(cursor, depth + 1);
    type.members.push({ name, offset, type: rank ? { class: 'array', size: own.size, base: own } : own });
  }
}

/** @param {Cursor} cursor @param {Datatype} type @param {About} about */
function readEnum(cursor, type, { version, bits, depth }) {
  const count = bits & 0xffff;
  type.base = readDatatype(cursor, depth + 1);
  const names = [];
  for (let i = 0; i < count; i++) names.push(memberName(cursor, version));
  const width = type.base.size;
  type.members = names.map((name) => ({ name, value: cursor.take(width) }));
}

/** @param {Cursor} cursor @param {Datatype} type @param {About} about */
function readArray(cursor, type, { version, depth }) {
  const rank = cursor.u8();
  if (version < 3) cursor.skip(3);
  cursor.skip(4 * rank * (version < 3 ? 2 : 1));
  type.base = readDatatype(cursor, depth + 1);
}

/** @type {Record<string, (cursor: Cursor, type: Datatype, about: About) => void>} */
const READERS = {
  fixed: readFixed,
  bits: readFixed,
  float: readFloat,
  time: (cursor) => cursor.skip(2),
  string: (_, type, { bits }) => { type.padding = (/** @type {const} */ (['zero', 'nulls', 'spaces']))[bits & 15]; },
  opaque: (cursor, _, { bits }) => cursor.skip(Math.min(bits & 255, cursor.left)),
  compound: readCompound,
  enum: readEnum,
  variable: (cursor, type, { bits, depth }) => {
    type.text = (bits & 15) === 1;
    type.base = readDatatype(cursor, depth + 1);
  },
  array: readArray,
  complex: (cursor, type, { depth }) => { type.base = readDatatype(cursor, depth + 1); },
};

/** The greatest size of a dimension: all bits where there is no limit. @param {Cursor} cursor */
const greatest = (cursor) => {
  const bytes = cursor.take(cursor.file.lengthSize);
  if (bytes.every((byte) => byte === 255)) return Infinity;
  cursor.at -= bytes.length;
  return cursor.size();
};

/** @param {Cursor} cursor @returns {Dataspace} */
export function readDataspace(cursor) {
  const version = cursor.version(1, 2);
  const rank = cursor.u8();
  const flags = cursor.u8();
  const type = cursor.u8();
  if (version === 1) cursor.skip(4);
  else if (type > 2) cursor.fail('a kind of dataspace that is known', type);
  if (rank > 32) cursor.fail('at most 32 dimensions', rank);
  const dims = Array.from({ length: rank }, () => cursor.size());
  const most = flags & 1 ? dims.map(() => greatest(cursor)) : dims;
  return { dims, most, null: version === 2 && type === 2 };
}

/** @param {Cursor} cursor @returns {Layout} */
export function readLayout(cursor) {
  const version = cursor.version(1, 2, 3, 4, 5);
  if (version < 3) return readOldLayout(cursor);
  const kind = cursor.u8();
  if (kind === 0) {
    const size = cursor.u16();
    const at = cursor.base + cursor.at;
    cursor.skip(size);
    return { class: 'compact', at, size };
  }
  if (kind === 1) return { class: 'contiguous', address: cursor.address(), size: cursor.size() };
  if (kind === 3) return { class: 'virtual' };
  if (kind !== 2) return cursor.fail('a layout that is known', kind);
  if (version > 3) return readChunkedLayout(cursor);
  const rank = cursor.u8();
  const address = cursor.address();
  return { class: 'chunked', index: 'tree', address, chunk: Array.from({ length: rank }, () => cursor.u32()) };
}

/** Versions 1 and 2. @param {Cursor} cursor @returns {Layout} */
function readOldLayout(cursor) {
  const rank = cursor.u8();
  const kind = cursor.u8();
  cursor.skip(5);
  const address = kind === 0 ? null : cursor.address();
  const dims = Array.from({ length: rank }, () => cursor.u32());
  if (kind === 1) return { class: 'contiguous', address };
  if (kind === 2) return { class: 'chunked', index: 'tree', address, chunk: dims };
  if (kind !== 0) return cursor.fail('a layout that is known', kind);
  const size = cursor.u32();
  const at = cursor.base + cursor.at;
  cursor.skip(size);
  return { class: 'compact', at, size };
}

const INDEXES = /** @type {const} */ ([undefined, 'single', 'implicit', 'fixed', 'extensible', 'tree2']);
/** Bytes of parameters of each index, which its own header repeats. */
const PARAMETERS = [0, 0, 0, 1, 5, 6];

/** Versions 4 and 5. @param {Cursor} cursor @returns {Layout} */
function readChunkedLayout(cursor) {
  const flags = cursor.u8();
  const rank = cursor.u8();
  const width = cursor.u8();
  if (width < 1 || width > 8) cursor.fail('a width of 1 to 8 bytes', width);
  const chunk = Array.from({ length: rank }, () => cursor.uint(width));
  const kind = cursor.u8();
  const index = INDEXES[kind];
  if (!index) return cursor.fail('an index of chunks that is known', kind);
  /** @type {Layout} */
  const layout = { class: 'chunked', index, chunk };
  if (index === 'single' && flags & 2) {
    layout.filteredSize = cursor.size();
    layout.mask = cursor.u32();
  }
  cursor.skip(PARAMETERS[kind]);
  layout.address = cursor.address();
  return layout;
}

/** @param {Cursor} cursor @returns {Filter[]} */
export function readFilters(cursor) {
  const version = cursor.version(1, 2);
  const count = cursor.u8();
  if (version === 1) cursor.skip(6);
  return Array.from({ length: count }, () => {
    const id = cursor.u16();
    const named = version === 1 || id >= 256 ? cursor.u16() : 0;
    cursor.skip(2);
    const values = cursor.u16();
    cursor.skip(version === 1 ? Math.ceil(named / 8) * 8 : named);
    const filter = { id, values: Array.from({ length: values }, () => cursor.u32()) };
    if (version === 1 && values % 2) cursor.skip(4);
    return filter;
  });
}

/** The fill value, if one is stated. @param {Cursor} cursor @param {boolean} old whether the message is the older one @returns {Uint8Array | null} */
export function readFill(cursor, old) {
  let stated = true;
  if (!old) {
    const version = cursor.version(1, 2, 3);
    if (version < 3) {
      cursor.skip(2);
      const defined = cursor.u8();
      stated = version === 1 || defined !== 0;
    } else stated = (cursor.u8() & 0x20) !== 0;
  }
  if (!stated) return null;
  const size = cursor.u32();
  // Version 1 writes a size below zero where there is no value.
  if (size === 0 || size > 0x7fffffff) return null;
  return cursor.take(size).slice();
}

/** Whether elements of a type can be described at all. @param {Datatype} type */
export const isSmall = ({ size }) => size >= 1 && size <= LONGEST_ELEMENT;
