/**
 * Protocol buffers by their wire format: a message is a range of bytes, a field a number with its
 * value, and the value of a length-delimited field again a range. Nothing is read but what is asked for.
 *
 *     for await (const { number, range } of source.fields(whole)) …
 */
import { refuse } from '../findings.js';
import { decodeUtf8 } from '../text.js';
/** @typedef {import('./paged.js').PagedBytes} PagedBytes */
/** @typedef {{ offset: number, length: number }} Range */
/** @typedef {{ number: number, wire: number, value: bigint, range: Range, at: number }} Field  value: of a varint or a fixed number */

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;
const LONGEST_TEXT = 64 * 2 ** 20;
const LONGEST_LIST = 2 ** 20;
const WINDOW = 1 << 16;
const WORD = (1n << 64n) - 1n;
const NOTHING = { offset: 0, length: 0 };

/** A message as an object: what is known of its fields, by a table. @typedef {Record<string, any>} Message */
/** @typedef {'message' | 'text' | 'bytes' | 'int' | 'uint' | 'bool' | 'range' | 'float' | 'double' | 'fixed32' | 'ints'} Type */
/** @typedef {Record<number, { name: string, type: Type, many?: boolean, table?: Table, map?: boolean }>} Table */

/** A varint as a signed number of 64 bits. @param {bigint} value */
export const signed = (value) => Number(BigInt.asIntN(64, value));

export class Protobuf {
  /**
   * @param {PagedBytes} source
   * @param {string} path
   * @param {string} rule that malformed messages break
   */
  constructor(source, path, rule) {
    this.source = source;
    this.path = path;
    this.rule = rule;
  }

  /** @returns {Range} */
  get whole() {
    return { offset: 0, length: this.source.size };
  }

  /** @param {number} at @param {string} expected @param {unknown} found @returns {never} */
  fail(at, expected, found) {
    return refuse(this.rule, `${this.path}@${at}`, expected, found);
  }

  /** The fields of a message, in their order. @param {Range} range @returns {AsyncGenerator<Field>} */
  async *fields({ offset, length }) {
    const end = offset + length;
    let at = offset;
    let start = at;
    /** @type {Uint8Array} */
    let bytes = new Uint8Array(0);
    const byte = () => {
      if (at >= end) this.fail(at, 'a field that ends within its message', 'the end');
      return bytes[at++ - start];
    };
    const varint = () => {
      let value = 0;
      for (let k = 0, scale = 1; k < 7; k++, scale *= 128) {
        const next = byte();
        value += (next & 127) * scale;
        if (next < 128) return BigInt(value);
      }
      let big = BigInt(value);
      for (let k = 7n; k < 10n; k++) {
        const next = byte();
        big |= BigInt(next & 127) << (7n * k);
        if (next < 128) return big & WORD;
      }
      return this.fail(at, 'a varint of at most 10 bytes', 'a longer one');
    };
    while (at < end) {
      // A tag, and a length or a number behind it, have at most 20 bytes.
      if (at + 20 > start + bytes.length) {
        start = at;
        bytes = await this.source.read(at, Math.min(end - at, WINDOW));
      }
      const begin = at;
      const tag = varint();
      const number = Number(tag >> 3n);
      const wire = Number(tag & 7n);
      if (!number || tag > 0xffffffffn) this.fail(begin, 'a field number', number);
      let value = 0n;
      let range = NOTHING;
      if (wire === VARINT) value = varint();
      else if (wire === FIXED64 || wire === FIXED32) {
        const width = wire === FIXED64 ? 8 : 4;
        if (at + width > end) this.fail(at, `${width} bytes`, end - at);
        for (let i = 0; i < width; i++) value |= BigInt(byte()) << BigInt(8 * i);
      } else if (wire === BYTES) {
        const size = varint();
        if (size > BigInt(end - at)) this.fail(begin, `a length of at most ${end - at}`, String(size));
        range = { offset: at, length: Number(size) };
        at += range.length;
      } else this.fail(begin, 'a wire type of 0, 1, 2 or 5', wire);
      yield { number, wire, value, range, at: begin };
    }
  }

  /** @param {Range} range */
  async bytes({ offset, length }) {
    if (length > LONGEST_TEXT) this.fail(offset, `at most ${LONGEST_TEXT} bytes`, length);
    return (await this.source.read(offset, length)).slice();
  }

  /** @param {Range} range */
  async text(range) {
    return decodeUtf8(await this.bytes(range)) ?? this.fail(range.offset, 'UTF-8', 'other bytes');
  }

  /**
   * A small message as an object, by a table of its fields; of a field that is there twice, the last counts.
   * Lists and maps are always present.
   * @param {Range} range @param {Table} table @param {number} [deepest] messages inside one another
   * @returns {Promise<Message>}
   */
  async message(range, table, deepest = 100) {
    if (!deepest) this.fail(range.offset, 'messages that are not so deep', 'more');
    /** @type {Message} */
    const found = { at: range.offset };
    for (const { name, many, map } of Object.values(table)) if (many || map) found[name] = map ? new Map() : [];
    for await (const field of this.fields(range)) {
      const known = table[field.number];
      if (!known) continue;
      await this.put(found, known, field, deepest);
    }
    return found;
  }

  /** @param {Message} found @param {Table[number]} known @param {Field} field @param {number} deepest */
  async put(found, { name, type, many, table, map }, field, deepest) {
    const numeric = type === 'int' || type === 'uint' || type === 'bool';
    if (many && numeric && field.wire === BYTES) {
      for await (const value of this.packed(field.range)) this.append(found[name], numberOf(type, value), field);
      return;
    }
    const wire = numeric ? VARINT : type === 'float' || type === 'fixed32' ? FIXED32 : type === 'double' ? FIXED64 : BYTES;
    if (field.wire !== wire) this.fail(field.at, `wire type ${wire} of ${name}`, field.wire);
    if (map) {
      const entry = await this.message(field.range, { 1: { name: 'key', type: 'text' }, 2: { name: 'value', type, table } }, deepest - 1);
      found[name].set(entry.key ?? '', entry.value);
    } else {
      const value = numeric || wire !== BYTES ? numberOf(type, field.value)
        : type === 'text' ? await this.text(field.range)
        : type === 'bytes' ? await this.bytes(field.range)
        : type === 'range' ? field.range
        : await this.message(field.range, /** @type {Table} */ (table), deepest - 1);
      if (many) this.append(found[name], value, field);
      else found[name] = value;
    }
  }

  /** @param {any[]} list @param {any} value @param {Field} field */
  append(list, value, field) {
    if (list.length >= LONGEST_LIST) this.fail(field.at, `at most ${LONGEST_LIST} items`, 'more');
    list.push(value);
  }

  /** The varints of a packed field. @param {Range} range */
  async *packed({ offset, length }) {
    const bytes = await this.source.read(offset, length);
    for (let at = 0; at < length; ) {
      let value = 0n;
      for (let k = 0n; ; k++) {
        if (at >= length || k === 10n) this.fail(offset + at, 'varints that end', 'another byte');
        const next = bytes[at++];
        value |= BigInt(next & 127) << (7n * k);
        if (next < 128) break;
      }
      yield value & WORD;
    }
  }
}

/** @param {Type} type @param {bigint} value */
function numberOf(type, value) {
  if (type === 'bool') return value !== 0n;
  return type === 'int' ? signed(value) : Number(value);
}
