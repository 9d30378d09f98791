/** safetensors files and sets of them (section 13.7). */
import { bitsOf, bytesOf, elementsOf } from '../dtypes.js';
import { refuse } from '../findings.js';
import { Artifact, MEDIA, SAFETENSORS_DTYPES } from './artifact.js';
import { folderOf, openFile, readWhole, shardsOf } from './files.js';
import { isMap, parseLoose } from './loose-json.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {{ name: string, dtype: string, shape: number[], offset: number, length: number }} Entry */

const LARGEST_HEADER = 100_000_000;
const MOST_MEMBERS = 200_000;
const LONGEST_STRING = 2 ** 23;
const LONGEST_ENTRY = 4096;
const LONGEST_METADATA = 65_536;
const HIGHEST_RANK = 32;

/** @param {Loose | undefined} value @returns {value is number[]} */
const areCounts = (value) => Array.isArray(value) && value.every((item) => typeof item === 'number' && Number.isSafeInteger(item) && item >= 0);
/** @param {string} rule @param {string} path @returns {import('./loose-json.js').Options} */
const strict = (rule, path) => ({
  deepest: 64,
  members: MOST_MEMBERS,
  longest: LONGEST_STRING,
  refuse: (_, at, expected, found) => refuse(rule, `${path}@${at}`, expected, found),
});

/** STF-01 to STF-03 for one member of a header. @param {string} name @param {Loose} entry @param {string} path @param {number} room @returns {Entry} */
function readEntry(name, entry, path, room) {
  const place = `${path}#${name}`;
  const members = isMap(entry) ? [...entry.keys()].sort().join() : '';
  if (!isMap(entry) || members !== 'data_offsets,dtype,shape') return refuse('STF-01', place, 'dtype, shape and data_offsets', members);
  const [stated, shape, offsets] = ['dtype', 'shape', 'data_offsets'].map((key) => /** @type {Loose} */ (entry.get(key)));
  const isShape = Array.isArray(shape) && shape.every((item) => typeof item === 'bigint' || areCounts([item]));
  if (typeof stated !== 'string' || !isShape || !areCounts(offsets) || offsets.length !== 2) return refuse('STF-01', place, 'a name, sizes and two offsets', 'other values');
  if (shape.length > HIGHEST_RANK) refuse('STF-01', place, `at most ${HIGHEST_RANK} dimensions`, shape.length);
  const written = JSON.stringify([stated, shape.map(String), offsets]).length + name.length;
  if (written > LONGEST_ENTRY) refuse('STF-01', place, `an entry of at most ${LONGEST_ENTRY} characters`, written);
  const dtype = SAFETENSORS_DTYPES.get(stated);
  if (dtype === undefined) return refuse('STF-03', place, 'a dtype of the table', stated);
  const [begin, end] = offsets;
  const sizes = shape.map(Number);
  const length = bytesOf(elementsOf(sizes), /** @type {number} */ (bitsOf(dtype)));
  if (begin > end || end > room || end - begin !== length) refuse('STF-02', place, `a range of ${length} bytes inside the data`, `${begin} to ${end} of ${room}`);
  return { name, dtype, shape: sizes, offset: begin, length };
}

/** @param {Loose | undefined} metadata @param {string} path @returns {Record<string, string>} */
function readMetadata(metadata, path) {
  if (!isMap(metadata) || ![...metadata.values()].every((value) => typeof value === 'string')) return refuse('STF-01', `${path}#__metadata__`, 'an object of strings', 'another value');
  return Object.fromEntries(/** @type {[string, string][]} */ ([...metadata]));
}

/**
 * The header of a file (STF-01 to STF-03).
 * @param {Bytes} bytes
 * @param {string} path
 * @returns {Promise<{ entries: Entry[], metadata: Record<string, string> }>}
 */
export async function readHeader(bytes, path) {
  if (bytes.size < 8) return refuse('STF-01', `${path}@0`, 'a header', `${bytes.size} bytes`);
  const head = await bytes.read(0, 8);
  const stated = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  if (stated > BigInt(Math.min(LARGEST_HEADER, bytes.size - 8))) return refuse('STF-01', `${path}@0`, 'a header inside the file', `${stated} bytes`);
  const start = 8 + Number(stated);
  const text = await bytes.read(8, start - 8);
  if (text[0] !== 0x7b) refuse('STF-01', `${path}@8`, '{', text[0] ?? 'nothing');
  const { value } = parseLoose(text, strict('STF-01', path));
  const header = /** @type {LooseMap} */ (value);
  const metadata = header.has('__metadata__') ? readMetadata(header.get('__metadata__'), path) : {};
  header.delete('__metadata__');
  const entries = [...header].map(([name, entry]) => readEntry(name, entry, path, bytes.size - start));
  let at = 0;
  for (const { name, offset, length } of [...entries].sort((a, b) => a.offset - b.offset || a.length - b.length)) {
    if (offset !== at) refuse('STF-02', `${path}#${name}`, `a range that begins at ${at}, without overlaps and holes`, offset);
    at += length;
  }
  if (start + at !== bytes.size) refuse('STF-02', path, `${bytes.size - start} bytes of data`, `ranges that end at ${at}`);
  return { entries: entries.map((entry) => ({ ...entry, offset: start + entry.offset })), metadata };
}

/** A file without `__metadata__` has an empty one, as the conformance cases have it. @param {Record<string, string>} metadata @returns {JsonObject} */
function metadataProperty(metadata) {
  const characters = Object.entries(metadata).reduce((sum, [key, value]) => sum + [...key].length + [...value].length, 0);
  return characters > LONGEST_METADATA ? {} : { metadata };
}

/** @param {Artifact} artifact @param {string} file @param {Entry[]} entries */
function addTensors(artifact, file, entries) {
  for (const entry of entries) artifact.addTensor({ ...entry, file, names: { safetensors: entry.name } });
}

/** @param {Surroundings} surroundings @param {string} root */
async function readSingle(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  const { entries, metadata } = await readHeader(bytes, root);
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes, MEDIA.safetensors);
  addTensors(artifact, root, entries);
  artifact.addComponent(root, 'safetensors', [root], metadataProperty(metadata));
  return artifact;
}

/** Members of the index's metadata that are strings or numbers (section 8.1). @param {Loose | undefined} metadata @returns {JsonObject} */
function indexMetadata(metadata) {
  if (!isMap(metadata)) return {};
  const kept = [...metadata].filter(([, value]) => typeof value === 'string' ||
    (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER));
  return { metadata: /** @type {JsonObject} */ (Object.fromEntries(kept)) };
}

/** STF-04: the shards of a set, and the tensors that the index says are in each. @param {Surroundings} surroundings @param {string} root */
async function readSet(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  if (bytes.size > LARGEST_HEADER) refuse('STF-04', root, `at most ${LARGEST_HEADER} bytes`, bytes.size);
  const { value } = parseLoose(await readWhole(bytes), strict('STF-04', root));
  const map = isMap(value) ? value.get('weight_map') : undefined;
  if (!isMap(value) || !isMap(map)) return refuse('STF-04', root, 'an object with a weight_map', 'none');
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes, MEDIA.json);
  const shards = shardsOf([...map.values()], 'STF-04', root);
  const seen = new Map();
  for (const shard of shards) {
    const path = folderOf(root) + shard;
    const own = await openFile(surroundings, path, 'STF-04');
    const { entries } = await readHeader(own, path);
    for (const { name } of entries) {
      if (seen.has(name)) refuse('STF-04', `${root}#${name}`, 'a tensor in one shard', `${seen.get(name)} and ${shard}`);
      if (seen.size === MOST_MEMBERS) refuse('STF-04', root, `at most ${MOST_MEMBERS} tensors in all shards`, 'more');
      seen.set(name, shard);
      if (map.get(name) !== shard) refuse('STF-04', `${root}#${name}`, shard, map.get(name) ?? 'nothing');
    }
    artifact.addSource(path, own, MEDIA.safetensors);
    addTensors(artifact, path, entries);
  }
  for (const name of map.keys()) if (!seen.has(name)) refuse('STF-04', `${root}#${name}`, `a tensor of ${map.get(name)}`, 'none');
  const properties = { ...indexMetadata(value.get('metadata')), shards: shards.length };
  artifact.addComponent(root, 'safetensors', artifact.files.map(({ path }) => path), properties);
  return artifact;
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export const readSafetensors = (surroundings, root) =>
  root.endsWith('.json') ? readSet(surroundings, root) : readSingle(surroundings, root);

/** Whether a file begins as one of safetensors does. @param {Bytes} bytes @param {Uint8Array} head */
export function looksLikeSafetensors(bytes, head) {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  return new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true) <= BigInt(bytes.size - 8);
}

export const SET_SUFFIX = '.safetensors.index.json';
