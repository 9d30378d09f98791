/** Object headers of HDF5 files (versions 1 and 2), their messages, attributes and links. */
import { compareText, decodeUtf8 } from '../../text.js';
import { FractalHeap, globalObject, localHeap } from './heaps.js';
import { ATTRIBUTE_BYTES, MOST_OBJECTS } from './limits.js';
import { leaves1, records2 } from './trees.js';
import { readDataspace, readDatatype } from './types.js';
/** @typedef {import('./bytes.js').Cursor} Cursor */
/** @typedef {import('./bytes.js').Hdf5Bytes} Hdf5Bytes */
/** @typedef {import('./types.js').Datatype} Datatype */
/** @typedef {import('./types.js').Dataspace} Dataspace */
/** @typedef {{ type: number, flags: number, at: number, size: number }} Message */
/** @typedef {{ name: string, at: number }} Link */
/** @typedef {{ type: Datatype, space: Dataspace, at: number, length: number }} Attribute */

export const MESSAGE = {
  space: 1, linkInfo: 2, type: 3, oldFill: 4, fill: 5, link: 6, external: 7, layout: 8, groupInfo: 10, filters: 11,
  attribute: 12, more: 16, table: 17, attributeInfo: 21,
};
const LAST_KNOWN = 25;
const SHARED = 2;
const FAIL_IF_UNKNOWN = 0x80;
const MOST_MESSAGES = 2 ** 20;

/** One object: a group, a dataset, or a type that has a name. */
export class Hdf5Object {
  /** @param {Hdf5Bytes} file @param {number} address @param {Message[]} messages @param {{ attributes: number }} spent */
  constructor(file, address, messages, spent) {
    this.file = file;
    this.address = address;
    this.messages = messages;
    this.spent = spent;
    /** @type {Map<string, Attribute> | undefined} The attributes, once they were read. */
    this.known = undefined;
  }

  /** @param {number} type */
  has(type) {
    return this.messages.some((message) => message.type === type);
  }

  get isDataset() {
    return this.has(MESSAGE.layout) || (this.has(MESSAGE.space) && this.has(MESSAGE.type));
  }

  get isGroup() {
    return [MESSAGE.table, MESSAGE.linkInfo, MESSAGE.link, MESSAGE.groupInfo].some((type) => this.has(type));
  }

  /** The content of a message, also where it is shared. @param {number} type @returns {Promise<Cursor | null>} */
  async message(type) {
    const message = this.messages.find((one) => one.type === type);
    return message ? content(this.file, message) : null;
  }

  /** The links of a group, ascending by name (HDF-02, HDF-03). @returns {Promise<Link[]>} */
  async links() {
    const table = await this.message(MESSAGE.table);
    const links = table ? await oldLinks(this.file, table) : await newLinks(this);
    links.sort((a, b) => compareText(a.name, b.name));
    for (let i = 1; i < links.length; i++) if (links[i].name === links[i - 1].name) this.file.fail(this.address, 'links of different names', links[i].name);
    return links;
  }

  /** The attributes, by name (HDF-07). @returns {Promise<Map<string, Attribute>>} */
  async attributes() {
    this.known ??= await readAttributes(this);
    return this.known;
  }
}

/** @param {Hdf5Bytes} file @param {Message} message @returns {Promise<Cursor>} */
async function content(file, { type, flags, at, size }) {
  const cursor = await file.cursor(at, size);
  if (!(flags & SHARED)) return cursor;
  const version = cursor.version(1, 2, 3);
  const kind = cursor.u8();
  if (version === 3 && kind !== 2) return cursor.fail('a message that another object holds', kind);
  if (version === 1) cursor.skip(6);
  const address = cursor.address();
  if (address === null) return cursor.fail('an object', 'none');
  const other = (await readHeader(file, address)).find((one) => one.type === type);
  if (!other || other.flags & SHARED) return cursor.fail('the message that is shared', 'none');
  return file.cursor(other.at, other.size);
}

/** The messages of an object header. @param {Hdf5Bytes} file @param {number} address @returns {Promise<Message[]>} */
async function readHeader(file, address) {
  const first = await file.cursor(address, 16, true);
  const isNew = String.fromCharCode(...first.bytes.subarray(0, 4)) === 'OHDR';
  return isNew ? readNewHeader(file, address) : readOldHeader(file, first);
}

/** @param {Hdf5Bytes} file @param {Cursor} head @returns {Promise<Message[]>} */
async function readOldHeader(file, head) {
  head.version(1);
  head.skip(1);
  const count = head.u16();
  head.skip(4);
  const size = head.u32();
  /** @type {Message[]} */
  const messages = [];
  const blocks = [{ at: head.base + 16, size }];
  let seen = 0;
  for (let i = 0; i < blocks.length && seen < count; i++) {
    const cursor = await file.cursor(blocks[i].at, blocks[i].size);
    while (cursor.left >= 8 && seen < count) {
      const type = cursor.u16();
      const own = cursor.u16();
      const flags = cursor.u8();
      cursor.skip(3);
      const at = cursor.base + cursor.at;
      cursor.skip(own);
      seen++;
      await take(file, messages, blocks, { type, flags, at, size: own });
    }
  }
  return messages;
}

/** @param {Hdf5Bytes} file @param {number} address @returns {Promise<Message[]>} */
async function readNewHeader(file, address) {
  const head = await file.cursor(address, 34, true);
  head.signature('OHDR');
  head.version(2);
  const flags = head.u8();
  head.skip((flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0));
  const size = head.uint(1 << (flags & 3));
  const prefix = head.at;
  /** @type {Message[]} */
  const messages = [];
  const blocks = [{ at: address, size: prefix + size + 4 }];
  for (let i = 0; i < blocks.length; i++) {
    const cursor = await file.cursor(blocks[i].at, blocks[i].size);
    if (i) cursor.signature('OCHK');
    else cursor.skip(prefix);
    const extra = flags & 4 ? 2 : 0;
    while (cursor.left >= 8 + extra) {
      const type = cursor.u8();
      const own = cursor.u16();
      const how = cursor.u8();
      cursor.skip(extra);
      const at = cursor.base + cursor.at;
      cursor.skip(own);
      await take(file, messages, blocks, { type, flags: how, at, size: own });
    }
    if (cursor.left < 4) cursor.fail('a checksum', `${cursor.left} bytes`);
    cursor.at = cursor.bytes.length - 4;
    cursor.checksum();
  }
  return messages;
}

/** @param {Hdf5Bytes} file @param {Message[]} messages @param {{ at: number, size: number }[]} blocks @param {Message} message */
async function take(file, messages, blocks, message) {
  if (messages.length >= MOST_MESSAGES) file.fail(message.at, 'fewer messages', 'more');
  if (message.type > LAST_KNOWN && message.flags & FAIL_IF_UNKNOWN) file.fail(message.at, 'a message that is known', message.type);
  if (message.type !== MESSAGE.more) {
    messages.push(message);
    return;
  }
  const cursor = await file.cursor(message.at, message.size);
  const at = cursor.address();
  if (at === null) cursor.fail('a block', 'none');
  else blocks.push({ at, size: cursor.size() });
}

/** @param {Cursor} cursor @param {Uint8Array} bytes */
const nameIn = (cursor, bytes) => {
  const name = decodeUtf8(bytes);
  return name ? name : cursor.fail('a name in UTF-8', name ?? 'other bytes');
};

/** @param {Hdf5Bytes} file @param {Cursor} table */
async function oldLinks(file, table) {
  const tree = table.address();
  const heapAt = table.address();
  if (tree === null || heapAt === null) return table.fail('a B-tree and a heap', 'none');
  const heap = await localHeap(file, heapAt);
  /** @type {Link[]} */
  const links = [];
  for await (const { child } of leaves1(file, tree, 0, file.lengthSize)) {
    const head = await file.cursor(child, 8);
    head.signature('SNOD');
    head.version(1);
    head.skip(1);
    const count = head.u16();
    const cursor = await file.cursor(child + 8, count * (24 + 2 * file.offsetSize));
    for (let i = 0; i < count; i++) {
      const offset = cursor.uint(file.offsetSize);
      const at = cursor.address();
      const cache = cursor.u32();
      cursor.skip(20);
      if (offset >= heap.bytes.length) cursor.fail('a name inside the heap', offset);
      heap.at = offset;
      const name = nameIn(heap, heap.zeroTerminated());
      if (cache === 2) file.fail(cursor.base, 'no soft links', name, 'HDF-03');
      add(links, name, at, cursor);
    }
  }
  return links;
}

/** @param {Link[]} links @param {string} name @param {number | null} at @param {Cursor} cursor */
function add(links, name, at, cursor) {
  if (at === null) cursor.fail('an object', 'none');
  else links.push({ name, at });
  if (name.includes('/') || name === '.') cursor.fail('a name of one segment', name);
  if (links.length > MOST_OBJECTS) cursor.fail(`at most ${MOST_OBJECTS} links`, 'more');
}

/** A link message. @param {Cursor} cursor @param {Link[]} links */
function readLink(cursor, links) {
  cursor.version(1);
  const flags = cursor.u8();
  const type = flags & 8 ? cursor.u8() : 0;
  cursor.skip((flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0));
  const name = nameIn(cursor, cursor.take(cursor.uint(1 << (flags & 3))));
  if (type === 64) cursor.file.fail(cursor.base, 'no external links', name, 'HDF-02');
  if (type !== 0) cursor.file.fail(cursor.base, 'no soft or user-defined links', name, 'HDF-03');
  add(links, name, cursor.address(), cursor);
}

/** @param {Hdf5Object} object */
async function newLinks(object) {
  const { file } = object;
  /** @type {Link[]} */
  const links = [];
  for (const message of object.messages) if (message.type === MESSAGE.link) readLink(await content(file, message), links);
  const info = await object.message(MESSAGE.linkInfo);
  if (!info) return links;
  info.version(0);
  if (info.u8() & 1) info.skip(8);
  for await (const cursor of dense(file, info, [5, 6], (record, type) => record.skip(type === 5 ? 4 : 8))) readLink(cursor, links);
  return links;
}

/**
 * Objects of a fractal heap that a B-tree lists.
 * @param {Hdf5Bytes} file @param {Cursor} info with the addresses of both
 * @param {number[]} types of records @param {(record: Cursor, type: number) => void} pass what stands before the id
 */
async function* dense(file, info, types, pass) {
  const heapAt = info.address();
  const tree = info.address();
  if (heapAt === null || tree === null) return;
  const heap = await new FractalHeap(file, heapAt).open();
  for await (const record of records2(file, tree, types)) {
    pass(record, types[0]);
    yield await heap.object(record);
  }
}

/** @param {Hdf5Object} object */
async function readAttributes(object) {
  const { file } = object;
  /** @type {Map<string, Attribute>} */
  const found = new Map();
  for (const message of object.messages) {
    if (message.type === MESSAGE.attribute) await readAttribute(await content(file, message), found, object);
  }
  const info = await object.message(MESSAGE.attributeInfo);
  if (!info) return found;
  info.version(0);
  if (info.u8() & 1) info.skip(2);
  for await (const cursor of dense(file, info, [8], () => {})) await readAttribute(cursor, found, object);
  return found;
}

/** @param {Cursor} cursor @param {Map<string, Attribute>} found @param {Hdf5Object} object */
async function readAttribute(cursor, found, object) {
  const { file } = cursor;
  const version = cursor.version(1, 2, 3);
  const flags = cursor.u8();
  const sizes = [cursor.u16(), cursor.u16(), cursor.u16()];
  if (version === 3) cursor.skip(1);
  const [nameAt, typeAt, spaceAt] = sizes.map((size) => {
    const at = cursor.at;
    cursor.skip(version === 1 ? Math.ceil(size / 8) * 8 : size);
    return at;
  });
  const raw = cursor.bytes.subarray(nameAt, nameAt + sizes[0]);
  const end = raw.indexOf(0);
  const name = decodeUtf8(end < 0 ? raw : raw.subarray(0, end));
  if (name === null) return;
  object.spent.attributes += cursor.bytes.length;
  if (object.spent.attributes > ATTRIBUTE_BYTES) file.fail(cursor.base, `attributes of at most ${ATTRIBUTE_BYTES} bytes`, 'more', 'HDF-07');
  // What a type or dataspace cannot be read as matters only where the value is needed.
  const at = cursor.base + cursor.at;
  const length = cursor.left;
  const part = (/** @type {number} */ start, /** @type {number} */ size, /** @type {number} */ shared, /** @type {number} */ type) =>
    content(file, { type, flags: flags & shared ? SHARED : 0, at: cursor.base + start, size });
  const entry = { at, length, type: /** @type {any} */ (null), space: /** @type {any} */ (null) };
  try {
    entry.type = readDatatype(await part(typeAt, sizes[1], 1, MESSAGE.type));
    entry.space = readDataspace(await part(spaceAt, sizes[2], 2, MESSAGE.space));
  } catch (error) {
    if (!(/** @type {any} */ (error).findings)) throw error;
  }
  found.set(name, entry);
}

/** @param {Uint8Array} bytes @param {string | undefined} padding */
function withoutPadding(bytes, padding) {
  const zero = bytes.indexOf(0);
  let end = zero < 0 ? bytes.length : zero;
  if (padding === 'nulls') for (end = bytes.length; end && !bytes[end - 1];) end--;
  if (padding === 'spaces') while (end && bytes[end - 1] === 32) end--;
  return bytes.subarray(0, end);
}

/**
 * The strings of an attribute; null where it is of another type (HDF-07).
 * @param {Hdf5Object} object @param {Attribute} attribute
 * @returns {Promise<Uint8Array[] | null>}
 */
export async function stringsOf({ file, spent }, { type, space, at, length }) {
  if (!type || !space) return null;
  const isText = type.class === 'string' || (type.class === 'variable' && type.text);
  if (!isText) return null;
  const count = space.null ? 0 : space.dims.reduce((product, size) => product * size, 1);
  if (count * type.size > length) return file.fail(at, `${count} strings of ${type.size} bytes`, `${length} bytes`, 'HDF-07');
  const cursor = await file.cursor(at, count * type.size);
  const strings = [];
  for (let i = 0; i < count; i++) {
    if (type.class === 'string') {
      strings.push(withoutPadding(cursor.take(type.size), type.padding));
      continue;
    }
    const size = cursor.u32();
    const address = cursor.address();
    const index = cursor.u32();
    spent.attributes += size;
    if (spent.attributes > ATTRIBUTE_BYTES) file.fail(at, `attributes of at most ${ATTRIBUTE_BYTES} bytes`, 'more', 'HDF-07');
    const bytes = size && address ? await globalObject(file, address, index) : new Uint8Array(0);
    if (size > bytes.length) cursor.fail(`a string of ${size} bytes`, bytes.length);
    strings.push(withoutPadding(bytes.subarray(0, size), undefined));
  }
  return strings;
}

/** Opens an object. @param {Hdf5Bytes} file @param {number} address @param {{ attributes: number }} spent */
export async function openObject(file, address, spent) {
  return new Hdf5Object(file, address, await readHeader(file, address), spent);
}
