/**
 * How numbers and names are shown.
 *
 *     bytes(1536)            // '1.5 kB'
 *     shown(name)            // control and direction characters made visible (SEC-02), long names cut
 */
import { escapeText } from '../../src/text.js';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
/** Characters that change the direction of what follows, or take no room. */
const TRICKY = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const LONGEST = 300;

/** @param {number} n */
export function bytes(n) {
  let unit = 0;
  let value = n;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit && value < 99.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** @param {number} n */
export const count = (n) => n.toLocaleString('en-US');

/** Few digits, for a box of the graph. @param {number} n */
export const brief = (n) => new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 }).format(n);

/** @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A value of a tensor. @param {number} x */
export function number(x) {
  if (Number.isNaN(x)) return '–';
  if (Number.isInteger(x) && Math.abs(x) < 1e9) return count(x);
  const size = Math.abs(x);
  return size >= 1e6 || size < 1e-4 ? x.toExponential(3) : String(Number(x.toPrecision(5)));
}

/** Text of a bundle, safe to be read. @param {string} text @param {number} [longest] */
export function shown(text, longest = LONGEST) {
  const short = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return escapeText(short).replace(TRICKY, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** @param {ArrayLike<number>} shape */
export const shapeText = (shape) => (shape.length ? Array.from(shape, (n) => n.toLocaleString('en-US', { useGrouping: false })).join(' × ') : 'scalar');
