/** TensorFlow Lite models (section 13.10): carried whole, only the root is looked at. */
import { refuse } from '../findings.js';
import { Artifact } from './artifact.js';
import { openFile } from './files.js';
import { PagedBytes } from './paged.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */

export const IDENTIFIER = 'TFL3';
const HEADER = 8;
/** In the vtable, behind its size and that of the table, 2 bytes each. */
const VERSION_SLOT = 4;

/** @param {Uint8Array} head */
export const looksLikeTflite = (head) => String.fromCharCode(...head.subarray(4, 8)) === IDENTIFIER;

/** The version that the root table states (TFL-01). @param {PagedBytes} source @param {string} path */
async function readVersion(source, path) {
  const fail = (/** @type {number} */ at, /** @type {unknown} */ found) => refuse('TFL-01', `${path}@${at}`, 'a root table and its vtable inside the file', found);
  const root = (await source.view(0, 4)).getUint32(0, true);
  if (root < HEADER || root + 4 > source.size) return fail(0, root);
  const vtable = root - (await source.view(root, 4)).getInt32(0, true);
  if (vtable < 0 || vtable + 4 > source.size) return fail(root, vtable);
  const sizes = await source.view(vtable, 4);
  const vtableSize = sizes.getUint16(0, true);
  const tableSize = sizes.getUint16(2, true);
  if (vtableSize < 4 || vtable + vtableSize > source.size || tableSize < 4 || root + tableSize > source.size) return fail(vtable, vtableSize);
  if (vtableSize < VERSION_SLOT + 2) return 0;
  const field = (await source.view(vtable + VERSION_SLOT, 2)).getUint16(0, true);
  if (!field) return 0;
  if (field + 4 > tableSize) return fail(vtable + VERSION_SLOT, field);
  return (await source.view(root + field, 4)).getUint32(0, true);
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readTflite(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  const source = new PagedBytes(bytes);
  if (bytes.size < HEADER || !looksLikeTflite(await source.read(0, HEADER))) refuse('TFL-01', `${root}@4`, IDENTIFIER, 'another identifier');
  const version = await readVersion(source, root);
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes);
  artifact.addComponent(root, 'tflite', [root], { version });
  return artifact;
}
