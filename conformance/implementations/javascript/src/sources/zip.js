/** ZIP files as Keras writes them: local and central headers agree, and nothing stands between members (KAR-01 to KAR-05). */
import { refuse } from '../findings.js';
import { decodeUtf8 } from '../text.js';
import { inflate } from './inflate.js';
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {import('../platform.js').Platform} Platform */
/** @typedef {{ name: string, raw: Uint8Array, method: number, crc: number, stored: number, size: number, header: number, data: number, end: number, flags: number, directory: boolean }} Member */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const DESCRIPTOR = 0x08074b50;
const LIMIT = 0xffffffff;
const MOST_MEMBERS = 2 ** 16;
const LARGEST_DIRECTORY = 64 * 2 ** 20;
const INFLATED_TIMES = 1024;
const ENCRYPTED = 0x2041;
const HAS_DESCRIPTOR = 8;

class Zip {
  /** @param {Bytes} bytes @param {string} path */
  constructor(bytes, path) {
    this.bytes = bytes;
    this.path = path;
  }

  /** @param {number} at @param {string} expected @param {unknown} found @param {string} [rule] @returns {never} */
  fail(at, expected, found, rule = 'KAR-01') {
    return refuse(rule, `${this.path}@${at}`, expected, found);
  }

  /** @param {number} at @param {number} length */
  async view(at, length) {
    if (at < 0 || length > this.bytes.size - at) this.fail(at, `${length} bytes`, this.bytes.size - at);
    const bytes = await this.bytes.read(at, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** The end records. */
  async end() {
    const at = this.bytes.size - 22;
    const view = await this.view(at, 22);
    if (view.getUint32(0, true) !== END) this.fail(at, 'the end record at the end, without a comment', 'other bytes');
    if (view.getUint16(4, true) || view.getUint16(6, true)) this.fail(at + 4, 'one disk', view.getUint16(4, true));
    if (view.getUint16(20, true)) this.fail(at + 20, 'no comment', view.getUint16(20, true));
    const [here, count, size, offset] = [view.getUint16(8, true), view.getUint16(10, true), view.getUint32(12, true), view.getUint32(16, true)];
    const found = { here, count, size, offset, end: at };
    if (at >= 20 && (await this.view(at - 20, 4)).getUint32(0, true) === LOCATOR64) Object.assign(found, await this.end64(at - 20));
    else if (count === 0xffff || size === LIMIT || offset === LIMIT) this.fail(at, 'zip64 end records', 'none');
    if (found.here !== found.count) this.fail(at + 8, 'all members on one disk', found.here);
    if (found.count > MOST_MEMBERS) this.fail(at + 10, `at most ${MOST_MEMBERS} members`, found.count);
    if (found.size > LARGEST_DIRECTORY) this.fail(at + 12, `a central directory of at most ${LARGEST_DIRECTORY} bytes`, found.size);
    if (found.offset + found.size !== found.end) this.fail(at + 16, `a central directory that ends at ${found.end}`, found.offset + found.size);
    return found;
  }

  /** @param {number} locator */
  async end64(locator) {
    const view = await this.view(locator, 20);
    const at = Number(view.getBigUint64(8, true));
    if (view.getUint32(4, true) || view.getUint32(16, true) !== 1 || at + 56 !== locator) this.fail(locator, 'the zip64 end record before its locator', at);
    const record = await this.view(at, 56);
    if (record.getUint32(0, true) !== END64 || record.getUint32(16, true) || record.getUint32(20, true)) this.fail(at, 'a zip64 end record of one disk', 'another');
    const [here, count, size, offset] = [24, 32, 40, 48].map((k) => Number(record.getBigUint64(k, true)));
    return { here, count, size, offset, end: at };
  }

  /** Sizes and offset that overflow stand in a field of their own. @param {DataView} extra @param {(number | null)[]} values null for one that overflows @param {number} at @returns {number[]} */
  widen(extra, values, at) {
    let field = -1;
    for (let i = 0; i + 4 <= extra.byteLength; i += 4 + extra.getUint16(i + 2, true)) {
      if (i + 4 + extra.getUint16(i + 2, true) > extra.byteLength) this.fail(at, 'extra fields that end', 'others');
      if (extra.getUint16(i, true) === 1) field = i + 4;
    }
    let next = field;
    return values.map((value) => {
      if (value !== null) return value;
      if (field < 0 || next + 8 > extra.byteLength) return this.fail(at, 'a zip64 field', 'none');
      next += 8;
      return Number(extra.getBigUint64(next - 8, true));
    });
  }

  /** @returns {Promise<{ members: Member[], central: number }>} */
  async read() {
    const { count, size, offset } = await this.end();
    const central = await this.view(offset, size);
    /** @type {Member[]} */
    const members = [];
    let at = 0;
    for (let i = 0; i < count; i++) {
      if (at + 46 > size || central.getUint32(at, true) !== CENTRAL) this.fail(offset + at, `${count} central headers`, i);
      const lengths = [28, 30, 32].map((k) => central.getUint16(at + k, true));
      const own = 46 + lengths[0] + lengths[1] + lengths[2];
      if (at + own > size) this.fail(offset + at, 'a header inside the directory', own);
      members.push(this.member(central, at, lengths, offset));
      at += own;
    }
    if (at !== size) this.fail(offset + at, 'nothing behind the central headers', size - at);
    members.sort((a, b) => a.header - b.header);
    let next = 0;
    for (const member of members) {
      if (member.header !== next) this.fail(member.header, `a member at ${next}`, member.header);
      await this.local(member);
      next = member.end;
    }
    if (next !== offset) this.fail(next, `a central directory at ${next}`, offset);
    return { members, central: offset };
  }

  /** @param {DataView} central @param {number} at @param {number[]} lengths @param {number} base @returns {Member} */
  member(central, at, [nameLength, extraLength, comment], base) {
    const raw = new Uint8Array(central.buffer, central.byteOffset + at + 46, nameLength).slice();
    const extra = new DataView(central.buffer, central.byteOffset + at + 46 + nameLength, extraLength);
    const word = (/** @type {number} */ k) => (central.getUint32(at + k, true) === LIMIT ? null : central.getUint32(at + k, true));
    const [size, stored, header] = this.widen(extra, [word(24), word(20), word(42)], base + at);
    const flags = central.getUint16(at + 8, true);
    const method = central.getUint16(at + 10, true);
    if (comment || central.getUint16(at + 34, true)) this.fail(base + at, 'no comment and one disk', 'others');
    const name = decodeUtf8(raw) ?? this.fail(base + at + 46, 'a name in UTF-8', 'other bytes', 'KAR-02');
    if (flags & ENCRYPTED) this.fail(base + at + 8, 'a member that is not encrypted', name, 'KAR-04');
    if (method !== 0 && method !== 8) this.fail(base + at + 10, 'method 0 or 8', method, 'KAR-04');
    if (method === 0 && size !== stored) this.fail(base + at + 20, `${size} bytes`, stored, 'KAR-05');
    return { name, raw, method, flags, crc: central.getUint32(at + 16, true), stored, size, header, data: 0, end: 0, directory: name.endsWith('/') };
  }

  /** Compares the local header of a member, and its data descriptor. @param {Member} member */
  async local(member) {
    const at = member.header;
    const head = await this.view(at, 30);
    const fail = (/** @type {unknown} */ found) => this.fail(at, 'a local header like the central one', found);
    if (head.getUint32(0, true) !== LOCAL) fail('another signature');
    if (head.getUint16(6, true) !== member.flags || head.getUint16(8, true) !== member.method) fail('other flags or another method');
    const [nameLength, extraLength] = [head.getUint16(26, true), head.getUint16(28, true)];
    const rest = await this.view(at + 30, nameLength + extraLength);
    const name = new Uint8Array(rest.buffer, rest.byteOffset, nameLength);
    if (nameLength !== member.raw.length || !name.every((byte, i) => byte === member.raw[i])) fail('another name');
    const described = (member.flags & HAS_DESCRIPTOR) !== 0;
    const word = (/** @type {number} */ k) => (head.getUint32(k, true) === LIMIT ? null : head.getUint32(k, true));
    const extra = new DataView(rest.buffer, rest.byteOffset + nameLength, extraLength);
    const [size, stored] = this.widen(extra, [word(22), word(18)], at);
    const crc = head.getUint32(14, true);
    const empty = described && !crc && !size && !stored;
    if (!empty && (crc !== member.crc || size !== member.size || stored !== member.stored)) fail('another CRC or size');
    member.data = at + 30 + nameLength + extraLength;
    member.end = member.data + member.stored;
    if (described) member.end += await this.descriptor(member);
  }

  /** Length of the data descriptor. @param {Member} member */
  async descriptor(member) {
    for (const [signed, wide] of [[true, false], [true, true], [false, false], [false, true]]) {
      const length = (signed ? 4 : 0) + 4 + (wide ? 16 : 8);
      if (member.end + length > this.bytes.size) continue;
      const view = await this.view(member.end, length);
      const at = signed ? 4 : 0;
      const sizes = wide ? [Number(view.getBigUint64(at + 4, true)), Number(view.getBigUint64(at + 12, true))] : [view.getUint32(at + 4, true), view.getUint32(at + 8, true)];
      if ((!signed || view.getUint32(0, true) === DESCRIPTOR) && view.getUint32(at, true) === member.crc && sizes[0] === member.stored && sizes[1] === member.size) return length;
    }
    return this.fail(member.end, 'a data descriptor like the central header', 'another');
  }
}

/** @param {Bytes} bytes @param {string} path @returns {Promise<Member[]>} ascending by offset */
export async function readZip(bytes, path) {
  const { members } = await new Zip(bytes, path).read();
  const inflated = members.reduce((sum, { size }) => sum + size, 0);
  if (inflated > INFLATED_TIMES * bytes.size) refuse('KAR-05', path, `at most ${INFLATED_TIMES} times its size`, inflated);
  return members;
}

/** The content of a deflated member (KAR-05). @param {Bytes} bytes @param {Member} member @param {string} path @returns {Promise<Uint8Array>} */
export async function inflateMember(bytes, member, path) {
  const data = await inflate(await bytes.read(member.data, member.stored), 'deflate-raw', member.size);
  if (!data || data.length !== member.size) return refuse('KAR-05', `${path}#${member.name}`, `${member.size} bytes`, data ? data.length : 'what does not inflate to them');
  return data;
}
