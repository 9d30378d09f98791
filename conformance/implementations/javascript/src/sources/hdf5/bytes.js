/**
 * Structure of an HDF5 file: numbers out of a range, checksums, and a budget of bytes, so that no
 * structure that is reached again and again costs more than a sound file would.
 *
 *     const cursor = await file.cursor(address, 24);
 *     cursor.signature('TREE'); const level = cursor.u8();
 */
import { refuse } from '../../findings.js';
import { PagedBytes } from '../paged.js';
/** @typedef {import('../../platform.js').Bytes} Bytes */

/** Bytes of structure that a file may cost: this many times its size, and some more. */
const BUDGET_TIMES = 24;
const BUDGET_MORE = 4 * 2 ** 20;

export class Cursor {
  /** @param {Hdf5Bytes} file @param {Uint8Array} bytes @param {number} base address of the first byte */
  constructor(file, bytes, base) {
    this.file = file;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.base = base;
    this.at = 0;
  }

  get left() {
    return this.bytes.length - this.at;
  }

  /** @param {string} expected @param {unknown} found @returns {never} */
  fail(expected, found) {
    return this.file.fail(this.base + this.at, expected, found);
  }

  /** @param {number} length */
  skip(length) {
    if (length > this.left) this.fail(`${length} bytes more`, `${this.left} bytes`);
    this.at += length;
  }

  /** @param {number} length */
  take(length) {
    this.skip(length);
    return this.bytes.subarray(this.at - length, this.at);
  }

  u8() {
    this.skip(1);
    return this.bytes[this.at - 1];
  }

  u16() {
    this.skip(2);
    return this.view.getUint16(this.at - 2, true);
  }

  u32() {
    this.skip(4);
    return this.view.getUint32(this.at - 4, true);
  }

  /** An unsigned number of some bytes; Infinity beyond 2^53. @param {number} width */
  uint(width) {
    const bytes = this.take(width);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[i];
    return Number.isSafeInteger(value) ? value : Infinity;
  }

  /** A length, of the size that the superblock states. */
  size() {
    return this.uint(this.file.lengthSize);
  }

  /** An address, or null where it is not defined. @returns {number | null} */
  address() {
    const bytes = this.take(this.file.offsetSize);
    if (bytes.every((byte) => byte === 255)) return null;
    let value = 0;
    for (let i = bytes.length - 1; i >= 0; i--) value = value * 256 + bytes[i];
    return value < this.file.size ? value : this.fail('an address inside the file', value);
  }

  /** @param {string} text */
  signature(text) {
    const found = String.fromCharCode(...this.take(Math.min(4, this.left)));
    if (found !== text) {
      this.at = 0;
      this.fail(`the signature ${text}`, found);
    }
  }

  /** @param {...number} known */
  version(...known) {
    const version = this.u8();
    return known.includes(version) ? version : this.fail(`version ${known.join(' or ')}`, version);
  }

  /** Bytes up to a zero byte, which is passed. */
  zeroTerminated() {
    const end = this.bytes.indexOf(0, this.at);
    if (end < 0) return this.fail('a name that ends', 'none');
    const text = this.bytes.subarray(this.at, end);
    this.at = end + 1;
    return text;
  }

  /** To a multiple of 8 from a start. @param {number} start */
  align8(start) {
    this.skip((8 - ((this.at - start) % 8)) % 8);
  }

  /** Checks the checksum that stands here, of all bytes before it. */
  checksum() {
    const computed = lookup3(this.bytes.subarray(0, this.at));
    const stated = this.u32();
    if (stated !== computed) {
      this.at = 0;
      this.fail(`the checksum ${computed.toString(16)}`, stated.toString(16));
    }
  }
}

export class Hdf5Bytes {
  /** @param {Bytes} bytes @param {string} path @param {number} base where the file begins in the bytes */
  constructor(bytes, path, base) {
    this.source = new PagedBytes(bytes);
    this.path = path;
    this.base = base;
    this.size = bytes.size - base;
    this.offsetSize = 8;
    this.lengthSize = 8;
    this.budget = BUDGET_TIMES * bytes.size + BUDGET_MORE;
    this.decoded = 0;
  }

  /** @param {number} at address @param {string} expected @param {unknown} found @param {string} [rule] @returns {never} */
  fail(at, expected, found, rule = 'HDF-08') {
    return refuse(rule, `${this.path}@${this.base + at}`, expected, found);
  }

  /** Bytes of structure, as far as they are in the file. @param {number} address @param {number} length @param {boolean} [short] whether there can be fewer */
  async cursor(address, length, short = false) {
    if (address > this.size || (!short && length > this.size - address)) this.fail(address, `${length} bytes inside the file`, `${this.size - address} bytes`);
    const size = Math.min(length, this.size - address);
    // Small structures cost as much as it takes to look at them.
    this.budget -= size + 16;
    if (this.budget < 0) this.fail(address, 'structure that is reached once', 'more structure than the file can hold');
    return new Cursor(this, await this.source.read(this.base + address, size), address);
  }

  /** Bytes of data. @param {number} address @param {number} length */
  data(address, length) {
    return this.source.bytes.read(this.base + address, length);
  }
}

/** @param {number} x @param {number} k */
const rotate = (x, k) => (x << k) | (x >>> (32 - k));

/** Checksum of metadata: Bob Jenkins's lookup3, hashlittle with the initial value 0. @param {Uint8Array} bytes */
export function lookup3(bytes) {
  let a = (0xdeadbeef + bytes.length) | 0;
  let b = a;
  let c = a;
  let at = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (; bytes.length - at > 12; at += 12) {
    a = (a + view.getInt32(at, true)) | 0;
    b = (b + view.getInt32(at + 4, true)) | 0;
    c = (c + view.getInt32(at + 8, true)) | 0;
    a = (a - c) ^ rotate(c, 4); c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 6); a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 8); b = (b + a) | 0;
    a = (a - c) ^ rotate(c, 16); c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 19); a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 4); b = (b + a) | 0;
  }
  if (at === bytes.length) return c >>> 0;
  const rest = new DataView(new ArrayBuffer(12));
  new Uint8Array(rest.buffer).set(bytes.subarray(at));
  a = (a + rest.getInt32(0, true)) | 0;
  b = (b + rest.getInt32(4, true)) | 0;
  c = (c + rest.getInt32(8, true)) | 0;
  c = (c ^ b) - rotate(b, 14);
  a = (a ^ c) - rotate(c, 11);
  b = (b ^ a) - rotate(a, 25);
  c = (c ^ b) - rotate(b, 16);
  a = (a ^ c) - rotate(c, 4);
  b = (b ^ a) - rotate(a, 14);
  c = (c ^ b) - rotate(b, 24);
  return c >>> 0;
}
