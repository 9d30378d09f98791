/**
 * Tables in LevelDB's format, uncompressed (TFC-01): keys and values, as TensorFlow writes the index
 * of a checkpoint.
 *
 *     for (const [key, value] of await readTable(source, 'ckpt-1.index')) …
 */
import { crc32c, maskCrc } from '../checksums.js';
import { refuse } from '../findings.js';
/** @typedef {import('./paged.js').PagedBytes} PagedBytes */
/** @typedef {{ offset: number, size: number }} Handle */
/** @typedef {{ key: Uint8Array, value: Uint8Array, at: number }} Entry */

const FOOTER = 48;
const TRAILER = 5;
const MAGIC = 0xdb4775248b80fb57n;
const LARGEST = 2 ** 30;
const LARGEST_BLOCK = 32 * 2 ** 20;
const LONGEST_KEY = 4096;
const KEYS_PER_BYTE = 64;

/** @param {Uint8Array} a @param {Uint8Array} b */
export function compareBytes(a, b) {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

class Table {
  /** @param {PagedBytes} source @param {string} path */
  constructor(source, path) {
    this.source = source;
    this.path = path;
    this.keyBytes = 0;
  }

  /** @param {number} at @param {string} expected @param {unknown} found @returns {never} */
  fail(at, expected, found) {
    return refuse('TFC-01', `${this.path}@${at}`, expected, found);
  }

  /** @param {Uint8Array} bytes @param {{ at: number }} cursor @param {number} base @param {number} end */
  varint(bytes, cursor, base, end) {
    let value = 0;
    for (let k = 0, scale = 1; k < 8; k++, scale *= 128) {
      if (cursor.at >= end) break;
      const byte = bytes[cursor.at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value <= Number.MAX_SAFE_INTEGER ? value : this.fail(base + cursor.at, 'a smaller number', value);
    }
    return this.fail(base + cursor.at, 'a varint that ends', 'another byte');
  }

  /** @param {Uint8Array} bytes @param {{ at: number }} cursor @param {number} base @returns {Handle} */
  handle(bytes, cursor, base) {
    const offset = this.varint(bytes, cursor, base, bytes.length);
    const size = this.varint(bytes, cursor, base, bytes.length);
    const room = this.source.size - FOOTER - TRAILER;
    if (size > LARGEST_BLOCK || size > room || offset > room - size) this.fail(base, 'a block inside the table', `offset ${offset}, size ${size}`);
    return { offset, size };
  }

  /** @param {Handle} handle */
  async block({ offset, size }) {
    const all = await this.source.read(offset, size + TRAILER);
    if (all[size] !== 0) this.fail(offset + size, 'a block without compression', all[size]);
    const stated = new DataView(all.buffer, all.byteOffset + size + 1, 4).getUint32(0, true);
    if (maskCrc(crc32c(all.subarray(0, size + 1))) !== stated) this.fail(offset, 'a block that has its CRC', 'another CRC');
    return all.slice(0, size);
  }

  /** The entries of a block, ascending by key. @param {Handle} handle @returns {Promise<Entry[]>} */
  async entries(handle) {
    const bytes = await this.block(handle);
    const base = handle.offset;
    if (bytes.length < 4) this.fail(base, 'a restart array', `${bytes.length} bytes`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const count = view.getUint32(bytes.length - 4, true);
    const end = bytes.length - 4 - 4 * count;
    if (count < 1 || end < 0) this.fail(base, 'a restart array inside the block', count);
    const restarts = new Set();
    let last = -1;
    for (let i = 0; i < count; i++) {
      const restart = view.getUint32(end + 4 * i, true);
      if (restart <= last || restart > end || (i === 0 && restart !== 0)) this.fail(base + end + 4 * i, 'ascending restarts', restart);
      last = restart;
      restarts.add(restart);
    }
    return this.decode(bytes, base, end, restarts);
  }

  /** @param {Uint8Array} bytes @param {number} base @param {number} end @param {Set<number>} restarts */
  decode(bytes, base, end, restarts) {
    /** @type {Entry[]} */
    const entries = [];
    const cursor = { at: 0 };
    let key = new Uint8Array(0);
    while (cursor.at < end) {
      const start = cursor.at;
      const shared = this.varint(bytes, cursor, base, end);
      const own = this.varint(bytes, cursor, base, end);
      const size = this.varint(bytes, cursor, base, end);
      if (shared > key.length || (restarts.has(start) && shared) || own + size > end - cursor.at) this.fail(base + start, 'an entry inside the block', `${shared}, ${own}, ${size}`);
      restarts.delete(start);
      if (shared + own > LONGEST_KEY) this.fail(base + start, `keys of at most ${LONGEST_KEY} bytes`, shared + own);
      const next = new Uint8Array(shared + own);
      next.set(key.subarray(0, shared));
      next.set(bytes.subarray(cursor.at, cursor.at + own), shared);
      if (entries.length && compareBytes(key, next) >= 0) this.fail(base + start, 'ascending keys', 'another order');
      key = next;
      this.keyBytes += key.length;
      if (this.keyBytes > KEYS_PER_BYTE * this.source.size) this.fail(base + start, `keys of at most ${KEYS_PER_BYTE} times the table`, 'more');
      cursor.at += own;
      entries.push({ key, value: bytes.subarray(cursor.at, cursor.at + size), at: base + cursor.at });
      cursor.at += size;
    }
    restarts.delete(end);
    if (restarts.size) this.fail(base, 'restarts at entries', [...restarts][0]);
    return entries;
  }

  async read() {
    const { size } = this.source;
    if (size < FOOTER || size > LARGEST) this.fail(0, `a table of ${FOOTER} bytes to 1 GiB`, size);
    const footer = (await this.source.read(size - FOOTER, FOOTER)).slice();
    const magic = new DataView(footer.buffer).getBigUint64(FOOTER - 8, true);
    if (magic !== MAGIC) this.fail(size - 8, 'the magic number of a table', magic.toString(16));
    const cursor = { at: 0 };
    const meta = this.handle(footer, cursor, size - FOOTER);
    const index = this.handle(footer, cursor, size - FOOTER);
    await this.entries(meta);
    /** @type {Entry[]} */
    const all = [];
    for (const { key, value, at } of await this.entries(index)) {
      const own = await this.entries(this.handle(value, { at: 0 }, at));
      for (const entry of own) {
        const before = all.at(-1);
        if (before && compareBytes(before.key, entry.key) >= 0) this.fail(entry.at, 'ascending keys', 'another order');
        if (compareBytes(entry.key, key) > 0) this.fail(entry.at, 'keys up to that of the index', 'a later one');
        all.push(entry);
      }
    }
    return all;
  }
}

/** @param {PagedBytes} source @param {string} path @returns {Promise<Entry[]>} */
export const readTable = (source, path) => new Table(source, path).read();
