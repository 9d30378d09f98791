/** Strict JSON (section 4.3): a parser that names the rule that is broken, and RFC 8785. */
import { CONTROL, decodeUtf8, encodeUtf8 } from './text.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {null | boolean | number | string | JsonArray | JsonObject} Json */
/** @typedef {Json[]} JsonArray */
/** @typedef {{ [name: string]: Json }} JsonObject */

export const DEEPEST_JSON = 64;
/** Members and items of a document, all levels together. */
const MOST_VALUES = 2 ** 20;

const STRING = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const LITERAL = /true|false|null|NaN|-?Infinity/y;
const SURROGATE = /\p{Surrogate}/u;
/** @type {Record<string, string>} */
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** Ends a parse that cannot go on; the finding stands in the report. */
class Halt extends Error {}

/** @param {unknown} value @returns {value is JsonObject} */
export const isObject = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

class Parser {
  /**
   * @param {string} text
   * @param {string} place
   * @param {Report} report
   * @param {number} deepest
   */
  constructor(text, place, report, deepest) {
    this.deepest = deepest;
    this.values = 0;
    this.text = text;
    this.place = place;
    this.report = report;
    this.at = 0;
  }

  /** @param {string} rule @param {string} expected @param {unknown} found */
  add(rule, expected, found) {
    const offset = encodeUtf8(this.text.slice(0, this.at)).length;
    this.report.add(rule, `${this.place}@${offset}`, expected, found);
  }

  /** @param {string} expected @returns {never} */
  malformed(expected) {
    this.add('JSN-08', expected, this.text.slice(this.at, this.at + 20) || 'the end');
    throw new Halt();
  }

  /** @param {RegExp} pattern @returns {RegExpExecArray | null} */
  match(pattern) {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match) this.at += match[0].length;
    return match;
  }

  document() {
    this.match(SPACE);
    const value = this.value(0);
    this.match(SPACE);
    if (this.at < this.text.length) this.malformed('nothing after the value');
    return value;
  }

  /** @param {number} depth @returns {Json} */
  value(depth) {
    if (this.values++ > MOST_VALUES) {
      this.add('JSN-04', `at most ${MOST_VALUES} members and items`, 'one more');
      throw new Halt();
    }
    const character = this.text[this.at];
    if (character === '"') return this.string();
    if (character === '{' || character === '[') {
      if (depth >= this.deepest) {
        this.add('JSN-04', `at most ${this.deepest} nested arrays and objects`, 'one more');
        throw new Halt();
      }
      this.at++;
      return character === '{' ? this.object(depth + 1) : this.array(depth + 1);
    }
    return this.scalar();
  }

  /** @returns {Json} */
  scalar() {
    const literal = this.match(LITERAL);
    if (literal) {
      if (literal[0] === 'null') return null;
      if (literal[0] === 'true' || literal[0] === 'false') return literal[0] === 'true';
      this.add('JSN-03', 'a finite number', literal[0]);
      return 0;
    }
    const number = this.match(NUMBER);
    if (!number) return this.malformed('a JSON value');
    const value = Number(number[0]);
    const integer = number[1] === undefined && number[2] === undefined;
    if (integer ? !Number.isSafeInteger(value) : !Number.isFinite(value)) {
      this.at -= number[0].length;
      this.add('JSN-05', 'an integer within ±(2^53 − 1), or a finite double', number[0]);
      this.at += number[0].length;
    }
    return Number.isFinite(value) ? value : 0;
  }

  string() {
    const start = this.at++;
    let value = '';
    for (;;) {
      value += /** @type {RegExpExecArray} */ (this.match(STRING))[0];
      const character = this.text[this.at];
      if (character === '"') break;
      if (character !== '\\') this.malformed('a string that ends, without raw control characters');
      const name = this.text[this.at + 1];
      if (name === 'u') {
        const digits = this.text.slice(this.at + 2, this.at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.malformed('four hexadecimal digits after \\u');
        value += String.fromCharCode(parseInt(digits, 16));
        this.at += 6;
      } else {
        if (!(name in ESCAPES) || name === undefined) this.malformed('an escape of RFC 8259');
        value += ESCAPES[name];
        this.at += 2;
      }
    }
    this.at++;
    if (SURROGATE.test(value)) {
      const end = this.at;
      this.at = start;
      this.add('JSN-06', 'no lone surrogate', value);
      this.at = end;
    }
    return value;
  }

  /** @param {number} depth @returns {JsonArray} */
  array(depth) {
    /** @type {JsonArray} */
    const items = [];
    this.match(SPACE);
    if (this.text[this.at] === ']') {
      this.at++;
      return items;
    }
    for (;;) {
      this.match(SPACE);
      items.push(this.value(depth));
      this.match(SPACE);
      const character = this.text[this.at];
      if (character !== ',' && character !== ']') this.malformed('"," or "]"');
      this.at++;
      if (character === ']') return items;
    }
  }

  /** @param {number} depth @returns {JsonObject} */
  object(depth) {
    /** @type {JsonObject} */
    const members = Object.create(null);
    this.match(SPACE);
    if (this.text[this.at] === '}') {
      this.at++;
      return members;
    }
    for (;;) {
      this.match(SPACE);
      if (this.text[this.at] !== '"') this.malformed('a name in quotes');
      const start = this.at;
      const name = this.string();
      if (name in members) {
        const end = this.at;
        this.at = start;
        this.add('JSN-02', 'each name once in an object', name);
        this.at = end;
      }
      this.match(SPACE);
      if (this.text[this.at] !== ':') this.malformed('":"');
      this.at++;
      this.match(SPACE);
      members[name] = this.value(depth);
      this.match(SPACE);
      const character = this.text[this.at];
      if (character !== ',' && character !== '}') this.malformed('"," or "}"');
      this.at++;
      if (character === '}') return members;
    }
  }
}

/**
 * Parses one document; every breach of JSN-01 to JSN-08 goes into the report.
 * @param {Uint8Array} bytes
 * @param {string} place
 * @param {Report} report
 * @param {{ deepest?: number, count?: (values: number) => void }} [options] for documents of other standards
 * @returns {Json | undefined} undefined where there is no value to be understood
 */
export function parseJson(bytes, place, report, { deepest = DEEPEST_JSON, count } = {}) {
  const before = report.errors;
  let text = decodeUtf8(bytes);
  if (text === null) {
    report.add('JSN-01', place, 'UTF-8', 'other bytes');
    for (let i = 0; i + 1 < bytes.length; i++) {
      if (bytes[i] === 0xed && bytes[i + 1] >= 0xa0) {
        report.add('JSN-06', `${place}@${i}`, 'no lone surrogate', 'an encoded surrogate');
        break;
      }
    }
    return undefined;
  }
  if (text.startsWith('\ufeff')) {
    report.add('JSN-01', `${place}@0`, 'no byte-order mark', 'a byte-order mark');
    text = text.slice(1);
  }
  /** @type {Json} */
  let value;
  try {
    const parser = new Parser(text, place, report, deepest);
    value = parser.document();
    count?.(parser.values);
  } catch (error) {
    if (error instanceof Halt) return undefined;
    throw error;
  }
  if (report.errors === before) {
    const canonical = canonicalJson(value);
    if (canonical !== text) {
      let at = 0;
      while (at < text.length && text[at] === canonical[at]) at++;
      const offset = encodeUtf8(text.slice(0, at)).length;
      const found = text.slice(at, at + 20) || 'the end';
      const expected = `the canonical form of RFC 8785: ${JSON.stringify(canonical.slice(at, at + 20))}`;
      report.add('JSN-07', `${place}@${offset}`, expected.replace(CONTROL, ''), found);
    }
  }
  return value;
}

/**
 * The canonical form of RFC 8785, as text.
 * @param {Json} value
 * @returns {string}
 */
export function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (isObject(value)) {
    // The default order of strings here is that of UTF-16 code units, as RFC 8785 asks.
    const members = Object.keys(value).sort();
    return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`).join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('JSN-03: not finite');
  return JSON.stringify(value);
}
