/** Canonical MessagePack (section 4.4): a strict decoder that names the broken rule, and an encoder. */
import { compareText, decodeUtf8, encodeUtf8 } from './text.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {number | bigint | string | Uint8Array | PackedArray | PackedMap} Packed */
/** @typedef {Packed[]} PackedArray */
/** @typedef {{ [key: string]: Packed }} PackedMap */

export const DEEPEST_MSGPACK = 16;

class Halt extends Error {}

/** @param {unknown} value @returns {value is PackedMap} */
export const isMap = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

class Decoder {
  /**
   * @param {Uint8Array} bytes
   * @param {string} place
   * @param {Report} report
   */
  constructor(bytes, place, report) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.place = place;
    this.report = report;
    this.at = 0;
  }

  /** @param {string} rule @param {number} at @param {string} expected @param {unknown} found */
  add(rule, at, expected, found) {
    this.report.add(rule, `${this.place}@${at}`, expected, found);
  }

  /** @param {string} rule @param {number} at @param {string} expected @param {unknown} found @returns {never} */
  halt(rule, at, expected, found) {
    this.add(rule, at, expected, found);
    throw new Halt();
  }

  get left() {
    return this.bytes.length - this.at;
  }

  /**
   * An unsigned big-endian number of 1, 2, 4 or 8 bytes.
   * @param {number} width
   * @param {number} least the least number that needs this width
   * @returns {number | bigint}
   */
  number(width, least) {
    const at = this.at - 1;
    if (this.left < width) this.halt('MSG-04', at, `${width} bytes of a number`, `${this.left} bytes`);
    /** @type {number | bigint} */
    let value;
    if (width === 1) value = this.view.getUint8(this.at);
    else if (width === 2) value = this.view.getUint16(this.at);
    else if (width === 4) value = this.view.getUint32(this.at);
    else {
      value = this.view.getBigUint64(this.at);
      if (value <= BigInt(Number.MAX_SAFE_INTEGER)) value = Number(value);
    }
    this.at += width;
    if (value < least) this.add('MSG-01', at, 'the shortest encoding', `${value} in ${width} bytes`);
    return value;
  }

  /** @param {number} width @param {number} least @returns {number} */
  length(width, least) {
    return Number(this.number(width, least));
  }

  /** @param {number} depth containers around the value @returns {Packed} */
  value(depth) {
    const start = this.at;
    if (this.left < 1) this.halt('MSG-04', start, 'a value', 'the end');
    const code = this.bytes[this.at++];
    if (code <= 0x7f) return code;
    if (code <= 0x8f) return this.map(code & 0x0f, depth, start);
    if (code <= 0x9f) return this.array(code & 0x0f, depth, start);
    if (code <= 0xbf) return this.text(code & 0x1f, start);
    switch (code) {
      case 0xc4: return this.binary(this.length(1, 0), start);
      case 0xc5: return this.binary(this.length(2, 0x100), start);
      case 0xc6: return this.binary(this.length(4, 0x10000), start);
      case 0xcc: return this.number(1, 0x80);
      case 0xcd: return this.number(2, 0x100);
      case 0xce: return this.number(4, 0x10000);
      case 0xcf: return this.number(8, 0x100000000);
      case 0xd9: return this.text(this.length(1, 32), start);
      case 0xda: return this.text(this.length(2, 0x100), start);
      case 0xdb: return this.text(this.length(4, 0x10000), start);
      case 0xdc: return this.array(this.length(2, 16), depth, start);
      case 0xdd: return this.array(this.length(4, 0x10000), depth, start);
      case 0xde: return this.map(this.length(2, 16), depth, start);
      case 0xdf: return this.map(this.length(4, 0x10000), depth, start);
      case 0xc1: return this.halt('MSG-04', start, 'MessagePack', 'the byte c1');
      default:
        return this.halt('MSG-02', start, 'map, array, str, bin or unsigned integer', `type ${code.toString(16)}`);
    }
  }

  /** @param {number} length @param {number} least @param {number} start */
  within(length, least, start) {
    if (length * least > this.left) {
      this.halt('MSG-03', start, `no length beyond the ${this.left} bytes that remain`, length);
    }
  }

  /** @param {number} depth @param {number} start */
  nest(depth, start) {
    if (depth >= DEEPEST_MSGPACK) {
      this.halt('MSG-03', start, `at most ${DEEPEST_MSGPACK} nested maps and arrays`, 'one more');
    }
  }

  /** @param {number} length @param {number} start */
  binary(length, start) {
    this.within(length, 1, start);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** @param {number} length @param {number} start @returns {string} */
  text(length, start) {
    const text = decodeUtf8(this.binary(length, start));
    return text ?? this.halt('MSG-04', start, 'str in UTF-8', 'other bytes');
  }

  /** @param {number} length @param {number} depth @param {number} start @returns {Packed[]} */
  array(length, depth, start) {
    this.nest(depth, start);
    this.within(length, 1, start);
    const items = [];
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
    return items;
  }

  /** @param {number} length @param {number} depth @param {number} start @returns {PackedMap} */
  map(length, depth, start) {
    this.nest(depth, start);
    this.within(length, 2, start);
    /** @type {PackedMap} */
    const entries = Object.create(null);
    /** @type {string | undefined} */
    let last;
    for (let i = 0; i < length; i++) {
      const at = this.at;
      const code = this.bytes[at];
      const isText = (code >= 0xa0 && code <= 0xbf) || (code >= 0xd9 && code <= 0xdb);
      if (at < this.bytes.length && !isText) this.halt('MSG-02', at, 'str as key of a map', `type ${code.toString(16)}`);
      const key = /** @type {string} */ (this.value(depth + 1));
      if (last !== undefined && compareText(last, key) >= 0) {
        this.add('MSG-01', at, 'keys unique and ascending', `${key} after ${last}`);
      }
      last = key;
      const value = this.value(depth + 1);
      if (!(key in entries)) entries[key] = value;
    }
    return entries;
  }
}

/**
 * Decodes one map; every breach of MSG-01 to MSG-04 goes into the report.
 * @param {Uint8Array} bytes
 * @param {string} place
 * @param {Report} report
 * @returns {PackedMap | undefined} undefined where there is no map to be understood
 */
export function decodeMsgpack(bytes, place, report) {
  const decoder = new Decoder(bytes, place, report);
  try {
    const value = decoder.value(0);
    if (decoder.left) decoder.add('MSG-01', decoder.at, 'nothing after the value', `${decoder.left} bytes`);
    if (isMap(value)) return value;
    decoder.add('MSG-02', 0, 'a map as the value', Array.isArray(value) ? 'an array' : typeof value);
  } catch (error) {
    if (!(error instanceof Halt)) throw error;
  }
  return undefined;
}

/** Gathers bytes. */
class Sink {
  constructor() {
    this.bytes = new Uint8Array(1024);
    this.view = new DataView(this.bytes.buffer);
    this.size = 0;
  }

  /** @param {number} more */
  room(more) {
    if (this.size + more > this.bytes.length) {
      const bytes = new Uint8Array(Math.max(2 * this.bytes.length, this.size + more));
      bytes.set(this.bytes);
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer);
    }
    this.size += more;
    return this.size - more;
  }

  /** @param {Uint8Array} bytes */
  put(bytes) {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  /**
   * A code and a length: the first of the forms that holds it.
   * @param {number} value
   * @param {[number, number, number][]} forms code, width in bytes, greatest value
   */
  head(value, forms) {
    for (const [code, width, greatest] of forms) {
      if (value > greatest) continue;
      const at = this.room(1 + width);
      this.bytes[at] = width ? code : code + value;
      if (width === 1) this.view.setUint8(at + 1, value);
      else if (width === 2) this.view.setUint16(at + 1, value);
      else if (width === 4) this.view.setUint32(at + 1, value);
      else if (width === 8) this.view.setBigUint64(at + 1, BigInt(value));
      return;
    }
    throw new RangeError(`${value} is too large for MessagePack`);
  }
}

/** @type {Record<'integer' | 'text' | 'binary' | 'array' | 'map', [number, number, number][]>} */
const FORMS = {
  integer: [[0, 0, 0x7f], [0xcc, 1, 0xff], [0xcd, 2, 0xffff], [0xce, 4, 0xffffffff], [0xcf, 8, 2 ** 64]],
  text: [[0xa0, 0, 31], [0xd9, 1, 0xff], [0xda, 2, 0xffff], [0xdb, 4, 0xffffffff]],
  binary: [[0xc4, 1, 0xff], [0xc5, 2, 0xffff], [0xc6, 4, 0xffffffff]],
  array: [[0x90, 0, 15], [0xdc, 2, 0xffff], [0xdd, 4, 0xffffffff]],
  map: [[0x80, 0, 15], [0xde, 2, 0xffff], [0xdf, 4, 0xffffffff]],
};

/** @param {Sink} sink @param {Packed} value */
function encodeValue(sink, value) {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('MSG-02: unsigned integers only');
    sink.head(value, FORMS.integer);
  } else if (typeof value === 'string') {
    const bytes = encodeUtf8(value);
    sink.head(bytes.length, FORMS.text);
    sink.put(bytes);
  } else if (value instanceof Uint8Array) {
    sink.head(value.length, FORMS.binary);
    sink.put(value);
  } else if (Array.isArray(value)) {
    sink.head(value.length, FORMS.array);
    for (const item of value) encodeValue(sink, item);
  } else if (isMap(value)) {
    const keys = Object.keys(value).sort(compareText);
    sink.head(keys.length, FORMS.map);
    for (const key of keys) {
      encodeValue(sink, key);
      encodeValue(sink, value[key]);
    }
  } else throw new TypeError('MSG-02: map, array, str, bin and unsigned integers only');
}

/** The canonical form of a value (MSG-01). @param {Packed} value @returns {Uint8Array} */
export function encodeMsgpack(value) {
  const sink = new Sink();
  encodeValue(sink, value);
  return sink.bytes.slice(0, sink.size);
}
