/**
 * The golden vectors of a bundle, checked by GLD-01 to GLD-08 before anything is judged by them.
 *
 *     const vectors = await goldenVectors(bundle, schemas);
 */
import { checkSignatures, readGolden } from '../../src/sources/golden.js';
import { topologyOf, wholeFile } from './documents.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('../../src/schemas.js').Schemas} Schemas */
/** @typedef {import('../../src/sources/golden.js').Vector} Vector */

/** One file as a directory. @param {string} path @param {Uint8Array} bytes @returns {import('../../src/platform.js').Directory} */
const directoryOf = (path, bytes) => ({
  stat: async (one) => (one === path ? { kind: 'file', size: bytes.length, links: 1 } : null),
  open: async () => ({ size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length), close: async () => {} }),
  list: async () => [path],
});

/** All vectors, of all components of kind golden; raises a Refusal. @param {Bundle} bundle @param {Schemas} schemas @returns {Promise<Vector[]>} */
export async function goldenVectors(bundle, schemas) {
  const { components, signatures } = bundle.manifest;
  /** @type {Vector[]} */
  const all = [];
  for (const { id } of components.filter(({ kind }) => kind === 'golden')) {
    const directory = directoryOf(id, await wholeFile(bundle, id));
    const { vectors } = await readGolden({ platform: bundle.platform, directory, schemas }, id);
    await checkSignatures(vectors, id, {
      signatures: /** @type {any[]} */ (signatures),
      kindOf: (component) => components.find((one) => one.id === component)?.kind,
      topologyOf: (component) => topologyOf(bundle, component).catch(() => null),
    });
    all.push(...vectors);
  }
  return all;
}
