/** Portable graphs: a StableHLO artifact, its arguments and its constants (section 13.11, SHL-01 to SHL-05). */
import { bitsOf } from '../dtypes.js';
import { Report, refuse } from '../findings.js';
import { parseJson } from '../json.js';
import { Artifact, MEDIA } from './artifact.js';
import { checkSchema, isFile, openFile, readWhole } from './files.js';
import { LARGEST_CONFIG } from './keras-config.js';
import { readHeader } from './safetensors.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {{ input?: string, tensor?: string, output?: string, dtype: string, shape: (number | string)[] }} Item */
/** @typedef {{ signature: string, platforms?: string[], arguments: Item[], results: Item[] }} Arguments */

export const MAGIC = [0x4d, 0x4c, 0xef, 0x52];
const VERSION = /^StableHLO_v([0-9]+\.[0-9]+\.[0-9]+)\0/;
const LONGEST_VERSION = 64;

/** @param {Uint8Array} head */
export const looksLikeStablehlo = (head) => MAGIC.every((byte, i) => head[i] === byte);

/** SHL-01. @param {Uint8Array} head @param {string} path */
function versionOf(head, path) {
  if (!looksLikeStablehlo(head)) refuse('SHL-01', `${path}@0`, 'the magic number of MLIR bytecode', 'other bytes');
  const found = VERSION.exec(String.fromCharCode(...head.subarray(MAGIC.length + 1)));
  return found ? found[1] : refuse('SHL-01', `${path}@5`, 'the version of StableHLO', 'another text');
}

/** Two items of one name: a port twice, or a tensor of two kinds. @param {Item[]} items @param {string} place */
function checkItems(items, place) {
  /** @type {Map<string, string>} */
  const seen = new Map();
  for (const { input, tensor, output, dtype, shape } of items) {
    if (!bitsOf(dtype)) refuse('SHL-02', place, 'a dtype of fixed width', dtype);
    const key = JSON.stringify([input, tensor, output]);
    const kind = JSON.stringify([dtype, shape]);
    if (seen.has(key) && (tensor === undefined || seen.get(key) !== kind)) refuse('SHL-02', place, 'one place for a port, one dtype and shape for a tensor', tensor ?? input ?? output);
    seen.set(key, kind);
  }
}

/** SHL-02. @param {Surroundings} surroundings @param {string} path @returns {Promise<Arguments>} */
async function readArguments(surroundings, path) {
  const bytes = await openFile(surroundings, path, 'SHL-02');
  if (bytes.size > LARGEST_CONFIG) refuse('SHL-02', path, `at most ${LARGEST_CONFIG} bytes`, bytes.size);
  const report = new Report();
  const value = parseJson(await readWhole(bytes), path, report);
  const finding = report.findings.find(({ rule }) => rule !== 'JSN-07');
  if (finding) refuse('SHL-02', finding.place, finding.expected, finding.found);
  checkSchema(surroundings, 'stablehlo_arguments', value, 'SHL-02', path);
  const found = /** @type {Arguments} */ (/** @type {unknown} */ (value));
  checkItems(found.arguments, `${path}#/arguments`);
  checkItems(found.results, `${path}#/results`);
  return found;
}

/** @param {Item[]} items @param {'input' | 'output'} key */
const portsOf = (items, key) => items.flatMap(({ [key]: name, dtype, shape }) => (name === undefined ? [] : [{ name, dtype, shape }]));

/** Adds the constants, and leaves out of the tensors those that they are. @param {Surroundings} surroundings @param {Artifact} artifact @param {string} path @param {Map<string, Item>} tensors */
async function addConstants(surroundings, artifact, path, tensors) {
  const bytes = await openFile(surroundings, path);
  const { entries } = await readHeader(bytes, path);
  artifact.addSource(path, bytes, MEDIA.safetensors);
  for (const { name, dtype, shape, offset, length } of entries) {
    const taken = tensors.get(name);
    if (!taken) return refuse('SHL-02', `${path}#${name}`, 'a tensor that an argument takes', 'another');
    if (taken.dtype !== dtype || taken.shape.join() !== shape.join()) refuse('SHL-04', `${path}#${name}`, `${taken.dtype} [${taken.shape}]`, `${dtype} [${shape}]`);
    tensors.delete(name);
    artifact.addTensor({ name: `${artifact.root}/${name}`, dtype, shape, file: path, offset, length, role: 'non-trainable', names: { stablehlo: name } });
  }
  return undefined;
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readStablehlo(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  const version = versionOf(await bytes.read(0, Math.min(bytes.size, LONGEST_VERSION)), root);
  const [listed, constants] = [`${root}.arguments.json`, `${root}.constants.safetensors`];
  const { signature, platforms, arguments: items, results } = await readArguments(surroundings, listed);
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes);
  artifact.addSource(listed, await openFile(surroundings, listed), MEDIA.json);
  const tensors = new Map(items.flatMap((item) => (item.tensor === undefined ? [] : [[item.tensor, item]])));
  if (await isFile(surroundings, constants)) await addConstants(surroundings, artifact, constants, tensors);
  artifact.bindings = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape: /** @type {number[]} */ (shape) }));
  const properties = { format_version: version, ...(platforms?.length ? { platforms } : {}) };
  artifact.addComponent(root, 'stablehlo', artifact.files.map(({ path }) => path), properties);
  artifact.signatures.push(/** @type {any} */ ({ name: signature, component: root, inputs: portsOf(items, 'input'), outputs: portsOf(results, 'output') }));
  return artifact;
}
