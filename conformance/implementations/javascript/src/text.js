/** Text: UTF-8, its order, and how text from an input is shown (section 4.1, SEC-02). */

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const SHOWN = /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/gu;

/** @param {string} text */
export const encodeUtf8 = (text) => ENCODER.encode(text);

/**
 * Decodes strict UTF-8; a byte-order mark stays a character.
 * @param {Uint8Array} bytes
 * @returns {string | null} null where the bytes are not UTF-8
 */
export function decodeUtf8(bytes) {
  try {
    return DECODER.decode(bytes);
  } catch {
    return null;
  }
}

/** Length in bytes of UTF-8. @param {string} text */
export function utf8Length(text) {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      length += 4;
      i++;
    } else length += 3;
  }
  return length;
}

/**
 * Compares by UTF-8 bytes, which is by code points (chapter 2, "ascending").
 * @param {string} a
 * @param {string} b
 */
export function compareText(a, b) {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x !== y) {
      // Surrogates come after U+E000 to U+FFFF in the order of code points.
      if (x >= 0xd800 && y >= 0xd800) {
        x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
        y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
      }
      return x - y;
    }
  }
  return a.length - b.length;
}

/**
 * Compares tuples of texts item by item.
 * @param {string[]} a
 * @param {string[]} b
 */
export function compareTuples(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareText(a[i], b[i]);
    if (order) return order;
  }
  return a.length - b.length;
}

/** Text from an input, safe to be shown (SEC-02). @param {unknown} value */
export function show(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value) ?? String(value);
  const short = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return escapeText(short);
}

/** Escapes control characters and lone surrogates (SEC-02). @param {string} text */
export const escapeText = (text) =>
  text.replace(SHOWN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** @param {Uint8Array} bytes */
export function toHex(bytes) {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** @param {string} text an even number of hexadecimal digits */
export function fromHex(text) {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
