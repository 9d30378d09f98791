/** Datasets as tensors: dtype, shape, and the range of their bytes or how they are decoded (section 13.2). */
import { bitsOf, bytesOf, elementsOf } from '../../dtypes.js';
import { decodeUtf8 } from '../../text.js';
import { decodeChunks, filled, listChunks } from './chunks.js';
import { DECODED_TIMES } from './limits.js';
import { MESSAGE, stringsOf } from './objects.js';
import { isSmall, readDataspace, readDatatype, readFill, readFilters, readLayout } from './types.js';
/** @typedef {import('./objects.js').Hdf5Object} Hdf5Object */
/** @typedef {import('./types.js').Datatype} Datatype */
/** @typedef {import('./types.js').Dataspace} Dataspace */
/** @typedef {import('./types.js').Layout} Layout */

/**
 * @typedef {object} Described
 * @property {string} dtype
 * @property {number[]} shape
 * @property {boolean} null  of a null dataspace
 * @property {number} offset  in the file, where it is a plain range
 * @property {number} length
 * @property {(() => Promise<Uint8Array>) | null} decode  null where it is a plain range
 * @property {{ at: number, length: number }[]} ranges  all stored bytes, by address
 */

const FILTERS = new Set([1, 2, 3]);
const INTEGERS = new Map([[1, '8'], [2, '16'], [4, '32'], [8, '64']]);

/** The dtype of a type without regard to attributes; null where the table has none. @param {Datatype} type @returns {string | null} */
function dtypeOf(type) {
  if (!isSmall(type)) return null;
  const bits = INTEGERS.get(type.size);
  const same = (/** @type {Datatype[]} */ parts) => {
    const [first, second] = parts;
    const width = { float32: 'complex64', float64: 'complex128' }[first.float ?? ''];
    return width && first.float === second.float && first.big === second.big && type.size === 2 * first.size ? width : null;
  };
  switch (type.class) {
    case 'fixed': return bits && !type.padded ? `${type.signed ? '' : 'u'}int${bits}` : null;
    case 'bits': return bits && !type.padded ? `uint${bits}` : null;
    case 'float': return type.float ?? null;
    case 'enum': return enumDtype(type);
    case 'compound': return isComplex(type) ? same((type.members ?? []).map(({ type: own }) => /** @type {Datatype} */ (own))) : null;
    case 'complex': return type.base ? same([type.base, type.base]) : null;
    case 'string': case 'opaque': return `bytes${type.size}`;
    default: return null;
  }
}

/** @param {Datatype} type */
function enumDtype({ base, members = [] }) {
  if (!base || base.class !== 'fixed') return null;
  const values = new Map(members.map(({ name, value }) => [name, value?.[0]]));
  const isBool = base.size === 1 && members.length === 2 && values.get('FALSE') === 0 && values.get('TRUE') === 1;
  return isBool ? 'bool' : dtypeOf(base);
}

/** @param {Datatype} type */
function isComplex({ members = [], size }) {
  const [real, imaginary] = members;
  return members.length === 2 && real.name === 'r' && imaginary.name === 'i' && real.offset === 0 && imaginary.offset === size / 2;
}

/** @param {Datatype} type */
const isBig = (type) => Boolean(type.big ?? type.base?.big ?? type.members?.[0]?.type?.big);

/** Width of what is swapped where elements are big-endian. @param {Datatype} type */
const wordOf = (type) => (type.class === 'compound' || type.class === 'complex' ? type.size / 2 : type.size);

/** Opaque elements whose attribute `dtype` names a dtype of their width. @param {Hdf5Object} object @param {Datatype} type */
async function opaqueDtype(object, type) {
  const attribute = (await object.attributes()).get('dtype');
  const [name] = (attribute && (await stringsOf(object, attribute))) ?? [];
  const dtype = name && decodeUtf8(name);
  return dtype && bitsOf(dtype) === 8 * type.size ? dtype : `bytes${type.size}`;
}

/** HDF-06. @param {Hdf5Object} object @param {Datatype} type */
async function checkedDtype(object, type) {
  const dtype = type.class === 'opaque' && isSmall(type) ? await opaqueDtype(object, type) : dtypeOf(type);
  return dtype ?? object.file.fail(object.address, 'a type that has a dtype', `${type.class} of ${type.size} bytes`, 'HDF-06');
}

/** @param {Uint8Array} data @param {Datatype} type */
function toLittle(data, type) {
  const word = wordOf(type);
  if (!isBig(type) || word === 1) return data;
  for (let at = 0; at < data.length; at += word) data.subarray(at, at + word).reverse();
  return data;
}

/** What follows the text of a fixed string becomes zero bytes. @param {Uint8Array} data @param {Datatype} type */
function padWithZeros(data, type) {
  if (type.class !== 'string' || type.padding === 'nulls') return data;
  for (let at = 0; at < data.length; at += type.size) {
    const element = data.subarray(at, at + type.size);
    let end = element.indexOf(0);
    if (type.padding === 'spaces') for (end = element.length; end && (element[end - 1] === 32);) end--;
    if (end >= 0) element.fill(0, end);
  }
  return data;
}

/** @param {Hdf5Object} object @returns {Promise<{ type: Datatype, space: Dataspace, layout: Layout }>} */
async function readMessages(object) {
  const { file, address } = object;
  if (object.has(MESSAGE.external)) file.fail(address, 'no external storage', 'data in another file', 'HDF-01');
  const [type, space, layout] = [await object.message(MESSAGE.type), await object.message(MESSAGE.space), await object.message(MESSAGE.layout)];
  if (!type || !space || !layout) return file.fail(address, 'a type, a dataspace and a layout', 'less');
  return { type: readDatatype(type), space: readDataspace(space), layout: readLayout(layout) };
}

/**
 * Describes a dataset (HDF-01, HDF-04 to HDF-06, HDF-09).
 * @param {Hdf5Object} object
 * @returns {Promise<Described>}
 */
export async function describe(object) {
  const { file, address } = object;
  const fail = (/** @type {string} */ expected, /** @type {unknown} */ found) => file.fail(address, expected, found, 'HDF-09');
  const { type, space, layout } = await readMessages(object);
  if (layout.class === 'virtual') file.fail(address, 'no virtual datasets', 'one', 'HDF-04');
  const filterMessage = await object.message(MESSAGE.filters);
  const filters = filterMessage ? readFilters(filterMessage) : [];
  const unknown = filters.find(({ id }) => !FILTERS.has(id));
  if (unknown) file.fail(address, 'deflate, shuffle and fletcher32 only', `filter ${unknown.id}`, 'HDF-05');
  const dtype = await checkedDtype(object, type);
  const shape = space.null ? [0] : space.dims;
  const length = bytesOf(elementsOf(shape), /** @type {number} */ (bitsOf(dtype)));
  const fill = await fillOf(object, type, length);
  const nothing = { dtype, shape, null: space.null, offset: 0, length: 0, decode: null, ranges: [] };
  if (length > Number.MAX_SAFE_INTEGER) return fail('a size that does not overflow', shape);
  if (layout.class === 'chunked') {
    const chunked = { layout, filters, shape, most: space.most, width: type.size, fill, length };
    const chunks = await listChunks(object, chunked, fail);
    if (!length) return nothing;
    checkDecoded(file, length, fail);
    const decode = async () => padWithZeros(toLittle(await decodeChunks(object, chunked, chunks, fail), type), type);
    return { ...nothing, length, decode, ranges: chunks.map(({ at, size }) => ({ at, length: size })) };
  }
  if (filters.length) fail('filters of chunks only', 'filters of another layout');
  const stored = layout.class === 'compact' ? { at: layout.at ?? 0, size: layout.size } : { at: layout.address ?? null, size: layout.size ?? length };
  if (!length) return nothing;
  return plainOrDecoded({ ...nothing, length }, stored, type, fill, object, fail);
}

/** @param {Hdf5Object} object @param {Datatype} type @param {number} length @returns {Promise<Uint8Array | null>} */
async function fillOf(object, type, length) {
  const current = await object.message(MESSAGE.fill);
  const old = current ? null : await object.message(MESSAGE.oldFill);
  const cursor = current ?? old;
  const fill = cursor && readFill(cursor, cursor === old);
  if (fill && fill.length !== type.size && length) object.file.fail(object.address, `a fill value of ${type.size} bytes`, fill.length, 'HDF-09');
  return fill;
}

/** @param {import('./bytes.js').Hdf5Bytes} file @param {number} length @param {(expected: string, found: unknown) => never} fail */
function checkDecoded(file, length, fail) {
  file.decoded += length;
  const most = DECODED_TIMES * file.source.size;
  if (file.decoded > most) fail(`at most ${most} bytes decoded`, file.decoded);
}

/**
 * A dataset of contiguous or compact layout.
 * @param {Described} described @param {{ at: number | null, size: number | undefined }} stored @param {Datatype} type
 * @param {Uint8Array | null} fill @param {Hdf5Object} object @param {(expected: string, found: unknown) => never} fail
 * @returns {Described}
 */
function plainOrDecoded(described, { at, size }, type, fill, { file }, fail) {
  const { length } = described;
  if (at === null) {
    // Never written: all elements have the fill value.
    if (size !== undefined && size !== length && size !== 0) fail(`${length} bytes, by shape and type`, size);
    checkDecoded(file, length, fail);
    return { ...described, decode: async () => padWithZeros(toLittle(filled(length, fill), type), type) };
  }
  if (size !== length) fail(`${length} bytes, by shape and type`, size);
  if (length > file.size - at) fail(`${length} bytes inside the file`, file.size - at);
  const ranges = [{ at, length }];
  const isPlain = !(isBig(type) && wordOf(type) > 1) && (type.class !== 'string' || type.padding === 'nulls');
  if (isPlain) return { ...described, offset: file.base + at, ranges };
  checkDecoded(file, length, fail);
  const decode = async () => padWithZeros(toLittle((await file.data(at, length)).slice(), type), type);
  return { ...described, ranges, decode };
}
