/**
 * JSON of other standards, such as Keras configs and headers of safetensors: objects become Maps, so
 * that the order of members stays; integers beyond 2^53 − 1 become bigints; limits are the caller's.
 *
 *     parseLoose(bytes, { refuse: (limit, at, expected, found) => { throw … } })
 */
import { decodeUtf8, encodeUtf8 } from '../text.js';
/** @typedef {null | boolean | number | bigint | string | LooseArray | LooseMap} Loose */
/** @typedef {Loose[]} LooseArray */
/** @typedef {Map<string, Loose>} LooseMap */

/**
 * @typedef {object} Options
 * @property {(limit: boolean, at: number, expected: string, found: unknown) => never} refuse  limit: whether a limit is exceeded
 * @property {boolean} [nonFinite]  whether NaN and Infinity are accepted
 * @property {number} [deepest]
 * @property {number} [values]  most values and keys
 * @property {number} [escapes]  most escapes
 * @property {number} [members]  most members of one object
 * @property {number} [longest]  most characters of one string, as written
 * @property {boolean} [surrogates]  whether lone surrogates are accepted
 */

const STRING = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const LITERAL = /true|false|null|NaN|-?Infinity/y;
const SURROGATE = /\p{Surrogate}/u;
/** @type {Record<string, string>} */
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
/** @type {Record<string, Loose>} */
const WORDS = { true: true, false: false, null: null, NaN, Infinity, '-Infinity': -Infinity };

/** @param {unknown} value @returns {value is LooseMap} */
export const isMap = (value) => value instanceof Map;

class Parser {
  /** @param {string} text @param {Options} options */
  constructor(text, options) {
    this.text = text;
    this.options = options;
    this.at = 0;
    this.values = 0;
    this.escapes = 0;
    this.nonFinite = false;
    /** Where the values of the document's own members stand in the text. @type {Map<string, [number, number]>} */
    this.spans = new Map();
  }

  /** @param {string} expected @param {boolean} [limit] @returns {never} */
  fail(expected, limit = false) {
    const at = encodeUtf8(this.text.slice(0, this.at)).length;
    return this.options.refuse(limit, at, expected, this.text.slice(this.at, this.at + 20) || 'the end');
  }

  /** @param {RegExp} pattern */
  match(pattern) {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match) this.at += match[0].length;
    return match;
  }

  count() {
    const { values = Infinity } = this.options;
    if (++this.values > values) this.fail(`at most ${values} values and keys`, true);
  }

  document() {
    this.match(SPACE);
    const value = this.value(1);
    this.match(SPACE);
    if (this.at < this.text.length) this.fail('nothing after the value');
    return value;
  }

  /** @param {number} depth @returns {Loose} */
  value(depth) {
    this.count();
    const character = this.text[this.at];
    if (character === '"') return this.string();
    if (character !== '{' && character !== '[') return this.scalar();
    const { deepest = 500 } = this.options;
    if (depth > deepest) this.fail(`at most ${deepest} nested arrays and objects`, true);
    this.at++;
    return character === '{' ? this.object(depth) : this.array(depth);
  }

  /** @returns {Loose} */
  scalar() {
    const literal = this.match(LITERAL);
    if (literal) {
      const value = WORDS[literal[0]];
      if (typeof value === 'number') {
        this.nonFinite = true;
        if (!this.options.nonFinite) this.fail('a finite number');
      }
      return value;
    }
    const number = this.match(NUMBER);
    if (!number) return this.fail('a JSON value');
    const [digits, fraction, exponent] = number;
    const value = Number(digits);
    if (fraction !== undefined || exponent !== undefined) return value;
    return Number.isSafeInteger(value) ? value + 0 : BigInt(digits);
  }

  string() {
    const start = this.at++;
    let value = '';
    for (;;) {
      value += /** @type {RegExpExecArray} */ (this.match(STRING))[0];
      const character = this.text[this.at];
      if (character === '"') break;
      if (character !== '\\') this.fail('a string that ends, without control characters');
      const { escapes = Infinity } = this.options;
      if (++this.escapes > escapes) this.fail(`at most ${escapes} escapes`, true);
      value += this.escape();
    }
    this.at++;
    const { longest = Infinity } = this.options;
    if (this.at - start > longest) this.fail(`a string of at most ${longest} characters`, true);
    if (!this.options.surrogates && SURROGATE.test(value)) this.fail('no lone surrogate');
    return value;
  }

  escape() {
    const name = this.text[this.at + 1];
    if (name === 'u') {
      const digits = this.text.slice(this.at + 2, this.at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('four hexadecimal digits after \\u');
      this.at += 6;
      return String.fromCharCode(parseInt(digits, 16));
    }
    if (name === undefined || !(name in ESCAPES)) this.fail('an escape of RFC 8259');
    this.at += 2;
    return ESCAPES[name];
  }

  /** @param {number} depth @returns {LooseArray} */
  array(depth) {
    /** @type {LooseArray} */
    const items = [];
    this.match(SPACE);
    if (this.take(']')) return items;
    for (;;) {
      this.match(SPACE);
      items.push(this.value(depth + 1));
      this.match(SPACE);
      if (this.take(']')) return items;
      if (!this.take(',')) this.fail('"," or "]"');
    }
  }

  /** @param {number} depth @returns {LooseMap} */
  object(depth) {
    /** @type {LooseMap} */
    const members = new Map();
    this.match(SPACE);
    if (this.take('}')) return members;
    for (;;) {
      this.match(SPACE);
      if (this.text[this.at] !== '"') this.fail('a name in quotes');
      this.count();
      const name = this.string();
      const { members: most = Infinity } = this.options;
      if (members.size === most) this.fail(`at most ${most} members`, true);
      if (members.has(name)) this.fail(`each name once in an object, not ${name} again`);
      this.match(SPACE);
      if (!this.take(':')) this.fail('":"');
      this.match(SPACE);
      const start = this.at;
      members.set(name, this.value(depth + 1));
      if (depth === 1) this.spans.set(name, [start, this.at]);
      this.match(SPACE);
      if (this.take('}')) return members;
      if (!this.take(',')) this.fail('"," or "}"');
    }
  }

  /** @param {string} character */
  take(character) {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {Options} options
 * @returns {{ value: Loose, nonFinite: boolean, spans: Map<string, [number, number]> }}
 */
export function parseLoose(bytes, options) {
  const text = decodeUtf8(bytes);
  if (text === null) return options.refuse(false, 0, 'UTF-8', 'other bytes');
  if (text.startsWith('\ufeff')) options.refuse(false, 0, 'no byte-order mark', 'a byte-order mark');
  const parser = new Parser(text, options);
  const value = parser.document();
  return { value, nonFinite: parser.nonFinite, spans: parser.spans };
}
