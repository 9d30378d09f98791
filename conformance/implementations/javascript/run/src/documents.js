/**
 * Files of a bundle that a run needs: a topology, a file as a whole, each verified by its digest.
 *
 *     const topology = await topologyOf(bundle, 'model/config.json');
 */
import { NoAnswer, Report } from '../../src/findings.js';
import { parseJson } from '../../src/json.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */

const LARGEST_TOPOLOGY = 64 * 2 ** 20;
const LARGEST_FILE = 2 ** 30;

/** The bytes of a file; raises a Refusal where they are not those that the manifest names. @param {Bundle} bundle @param {string} path @param {number} [largest] */
export async function wholeFile(bundle, path, largest = LARGEST_FILE) {
  const file = bundle.files.get(path);
  if (!file) throw new NoAnswer(`${path} is not in the bundle`);
  if (file.size > largest) throw new NoAnswer(`${path} is larger than ${largest} bytes`);
  const bytes = new Uint8Array(file.size);
  let at = 0;
  for await (const piece of bundle.verified(file)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The topology of a Keras config; raises NoAnswer where there is none. @param {Bundle} bundle @param {string} component @returns {Promise<any>} */
export async function topologyOf(bundle, component) {
  const files = bundle.manifest.components.find(({ id }) => id === component)?.files ?? [];
  const path = files.find((one) => one === 'topology.json' || one.endsWith('/topology.json'));
  if (path === undefined) throw new NoAnswer(`${component} has no topology`);
  const report = new Report();
  const value = parseJson(await wholeFile(bundle, path, LARGEST_TOPOLOGY), path, report);
  report.stop();
  return value;
}
