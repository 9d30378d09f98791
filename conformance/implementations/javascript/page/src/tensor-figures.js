/**
 * What the page says of one tensor: figures of its values, read when a person asks for them.
 *
 *     const { figures, read, whole, digest } = await figuresOf(bundle, row);
 *
 * A tensor of up to 64 MiB is read whole and held against its digest (TEN-10). Of a larger one, pieces at equal
 * distances are read, 64 MiB together, and `whole` is false.
 */
import { bitsOf, elementsOf, splitStrings } from '../../src/dtypes.js';
import { Refusal } from '../../src/findings.js';
import { isInteger, numbersOf } from './elements.js';
import { measure } from './histogram.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('../../src/findings.js').Finding} Finding */

const MOST_BYTES = 64 * 2 ** 20;
const SAMPLES = 64;
/** A multiple of the width of every dtype that is a number: 3 bytes for 6 bits, 16 for complex. */
const SAMPLE = MOST_BYTES / SAMPLES - ((MOST_BYTES / SAMPLES) % 48);
const MOST_STRINGS = 20;
const LONGEST_STRING = 120;

/** @param {Bundle} bundle @param {string} file @param {number} offset @param {number} length */
async function samples(bundle, file, offset, length) {
  const step = Math.floor((length - SAMPLE) / (SAMPLES - 1) / 48) * 48;
  const pieces = [];
  for (let i = 0; i < SAMPLES; i++) pieces.push(await bundle.readStored(file, offset + i * step, SAMPLE));
  return pieces;
}

/** @param {Bundle} bundle @param {number} row @returns {Promise<{ pieces: Uint8Array[], findings: Finding[] }>} */
async function whole(bundle, row) {
  try {
    return { pieces: [await bundle.readTensor(row)], findings: [] };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { pieces: [], findings: error.findings };
  }
}

/** The first strings of a string tensor. @param {Uint8Array} bytes @param {number} elements */
function stringsOf(bytes, elements) {
  const split = splitStrings(bytes, elements);
  if ('error' in split) return [];
  return split.elements.slice(0, MOST_STRINGS).map((part) => new TextDecoder().decode(part.subarray(0, LONGEST_STRING)));
}

/** @param {Bundle} bundle @param {number} row */
export async function figuresOf(bundle, row) {
  const { dtype, shape, file, offset, length, digest } = /** @type {import('../../src/tensor-index.js').TensorIndex} */ (bundle.index).row(row);
  const elements = elementsOf(shape);
  const numbers = numbersOf(dtype, elements);
  const readable = numbers !== null || (dtype === 'string' && length <= MOST_BYTES);
  const entire = length <= MOST_BYTES;
  if (!readable) return { digest, figures: null, strings: null, whole: true, read: 0, findings: [], width: bitsOf(dtype) ?? null };
  const { pieces, findings } = entire ? await whole(bundle, row) : { pieces: await samples(bundle, file, offset, length), findings: [] };
  return {
    digest,
    figures: numbers && pieces.length ? measure(pieces, numbers, isInteger(dtype)) : null,
    strings: dtype === 'string' && pieces.length ? stringsOf(pieces[0], elements) : null,
    whole: entire,
    read: pieces.reduce((sum, piece) => sum + piece.length, 0),
    findings,
    width: bitsOf(dtype) ?? null,
  };
}
