/** What kind of source something is (section 13.1), and the artifact that it becomes. */
import { refuse } from '../findings.js';
import { readCheckpoint, readCheckpointDirectory } from './checkpoint.js';
import { isFile, openFile, walk } from './files.js';
import { looksLikeGolden, readGolden } from './golden.js';
import { readHdf5 } from './hdf5-source.js';
import { readShardedWeights } from './hdf5-source.js';
import { readKerasArchive } from './keras-archive.js';
import { readKerasConfig } from './keras-config.js';
import { looksLikeOnnx, readOnnx } from './onnx.js';
import { looksLikeKerasModel, readKerasModel } from './keras-model.js';
import { PagedBytes } from './paged.js';
import { SET_SUFFIX, looksLikeSafetensors, readSafetensors } from './safetensors.js';
import { readSavedModel } from './saved-model.js';
import { looksLikeStablehlo, readStablehlo } from './stablehlo.js';
import { looksLikeTflite, readTflite } from './tflite.js';
/** @typedef {import('./artifact.js').Artifact} Artifact */
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {(surroundings: Surroundings, root: string) => Promise<Artifact>} Read */

const HEAD = 4096;
const TAIL = 65_536;
const MANIFEST = 'manifest.json';
const HDF5 = '\x89HDF\r\n\x1a\n';
const FARTHEST_SUPERBLOCK = 64 * 2 ** 20;
const TABLE_MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
const LATIN = new TextDecoder('latin1');

/** @param {PagedBytes} source @param {string} root */
async function isKerasArchive(source, root) {
  const head = LATIN.decode(await source.read(0, Math.min(source.size, 30 + MANIFEST.length)));
  if (!head.startsWith('PK\x03\x04') || head.slice(30) === MANIFEST) return false;
  const tail = Math.min(TAIL, source.size);
  return root.endsWith('.keras') || LATIN.decode(await source.read(source.size - tail, tail)).includes('config.json');
}

/** @param {PagedBytes} source */
async function isHdf5(source) {
  for (let at = 0; at <= FARTHEST_SUPERBLOCK && at + 8 <= source.size; at = at ? at * 2 : 512) {
    if (LATIN.decode(await source.read(at, 8)) === HDF5) return true;
  }
  return false;
}

/** @param {Surroundings} surroundings @param {PagedBytes} source @param {string} root */
async function isTable({ directory }, source, root) {
  if (!root.endsWith('.index')) return false;
  const magic = source.size < 48 ? [] : await source.read(source.size - 8, 8);
  if (TABLE_MAGIC.every((byte, i) => magic[i] === byte)) return true;
  const folder = root.slice(0, root.lastIndexOf('/') + 1);
  const stem = `${root.slice(folder.length, -'.index'.length)}.data-`;
  return (await directory.list(folder)).some((name) => name?.startsWith(stem));
}

/** @param {Uint8Array} head */
const firstCharacter = (head) => LATIN.decode(head).trimStart()[0];

/** The reader of a file, by its content. @param {Surroundings} surroundings @param {string} root @param {Bytes} bytes @returns {Promise<Read | null>} */
async function readerOf(surroundings, root, bytes) {
  const source = new PagedBytes(bytes);
  const head = await source.read(0, Math.min(HEAD, source.size));
  if (await isKerasArchive(source, root)) return readKerasArchive;
  if (await isHdf5(source)) return readHdf5;
  const begin = firstCharacter(head);
  const text = LATIN.decode(head);
  if (root.endsWith('.json') && begin === '{' && text.includes('"weight_map"') && !text.includes('.safetensors"')) return readShardedWeights;
  if (await isTable(surroundings, source, root)) return readCheckpointIndex;
  if (root.endsWith(SET_SUFFIX) || looksLikeSafetensors(bytes, head)) return readSafetensors;
  if (looksLikeTflite(head)) return readTflite;
  if (looksLikeGolden(head)) return readGolden;
  if (looksLikeStablehlo(head)) return readStablehlo;
  if (begin === '{' || begin === '[') return readKerasConfig;
  return (await looksLikeOnnx(source)) ? readOnnx : null;
}

/** @type {Read} */
const readCheckpointIndex = (surroundings, root) => readCheckpoint(surroundings, root.slice(0, -'.index'.length));

/** @type {Read} */
async function readDirectory(surroundings, root) {
  if (await looksLikeKerasModel(surroundings, root)) return readKerasModel(surroundings, root);
  if (await isFile(surroundings, `${root}/saved_model.pb`)) return readSavedModel(surroundings, root);
  if (await isFile(surroundings, `${root}/saved_model.pbtxt`)) refuse('SVM-01', `${root}/saved_model.pbtxt`, 'saved_model.pb', 'a SavedModel as text');
  const { files } = await walk(surroundings, root);
  if (files.some((path) => path.endsWith('.index'))) return readCheckpointDirectory(surroundings, root);
  return refuse('SRC-01', root, 'a SavedModel or checkpoints', 'another directory');
}

/**
 * Reads a source; throws a Refusal for what breaks a rule of chapter 13.
 * @param {Surroundings} surroundings in which the source stands
 * @param {string} root name of the file, the directory, or the prefix
 * @returns {Promise<Artifact>}
 */
export async function readSource(surroundings, root) {
  const entry = await surroundings.directory.stat(root);
  if (!entry) {
    if (await isFile(surroundings, `${root}.index`)) return readCheckpoint(surroundings, root);
    return refuse('SRC-04', root, 'a source', 'nothing');
  }
  if (entry.kind === 'directory') return readDirectory(surroundings, root);
  const bytes = await openFile(surroundings, root);
  const read = await readerOf(surroundings, root, bytes);
  return read ? read(surroundings, root) : refuse('SRC-01', root, 'a source of a known format', 'another file');
}
