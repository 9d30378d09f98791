/** TensorFlow checkpoints of version 2 (section 13.5). */
import { crc32c, maskCrc } from '../checksums.js';
import { bitsOf, bytesOf, elementsOf, splitStrings } from '../dtypes.js';
import { refuse } from '../findings.js';
import { pieces } from '../platform.js';
import { compareText, decodeUtf8 } from '../text.js';
import { Artifact, placeDecoded } from './artifact.js';
import { isFile, openFile, walk } from './files.js';
import { byGraph, byName, nameTensors } from './checkpoint-variables.js';
import { encodeObjectGraph, readObjectGraph } from './object-graph.js';
import { PagedBytes, inMemory } from './paged.js';
import { Protobuf } from './protobuf.js';
import { firstElement, isRun, place, sliceKey, tiles } from './slices.js';
import { readTable } from './table.js';
import { SHAPE, TF_DTYPES, dtypeName } from './tf-types.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./artifact.js').Tensor} Tensor */
/** @typedef {import('./object-graph.js').Node} Node */
/** @typedef {import('./protobuf.js').Message} Message */
/** @typedef {import('./protobuf.js').Table} Table */
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {{ key: string, bytes: Uint8Array, dtype: string, shape: number[], shard: number, offset: number, size: number, crc: number, slices: { start: number, length: number }[][] }} Entry */

export const OBJECT_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH';
const NEWEST_VERSION = 1;

/** @type {Table} */
const HEADER = {
  1: { name: 'shards', type: 'int' }, 2: { name: 'endianness', type: 'uint' },
  3: { name: 'version', type: 'message', table: { 1: { name: 'producer', type: 'int' }, 2: { name: 'consumer', type: 'int' }, 3: { name: 'bad', type: 'int', many: true } } },
};
/** @type {Table} */
const ENTRY = {
  1: { name: 'dtype', type: 'uint' }, 2: { name: 'shape', type: 'message', table: SHAPE }, 3: { name: 'shard', type: 'int' },
  4: { name: 'offset', type: 'int' }, 5: { name: 'size', type: 'int' }, 6: { name: 'crc', type: 'fixed32' },
  7: {
    name: 'slices', type: 'message', many: true,
    table: { 1: { name: 'extents', type: 'message', many: true, table: { 1: { name: 'start', type: 'int' }, 2: { name: 'length', type: 'int' } } } },
  },
};

/** @param {number} number */
const five = (number) => String(number).padStart(5, '0');

/** A table and its data files, without what names mean. */
export class Checkpoint {
  /** @param {Surroundings} surroundings @param {string} prefix */
  constructor(surroundings, prefix) {
    this.surroundings = surroundings;
    this.prefix = prefix;
    this.index = `${prefix}.index`;
    /** @type {{ path: string, bytes: Bytes }[]} */
    this.shards = [];
    /** @type {Tensor[]} ascending by key, which is the name */
    this.tensors = [];
    /** @type {Node[] | null} */
    this.graph = null;
    /** @type {Map<string, number>} CRC by key */
    this.crcs = new Map();
  }

  /** @param {string} rule @param {string} key @param {string} expected @param {unknown} found @returns {never} */
  fail(rule, key, expected, found) {
    return refuse(rule, `${this.index}#${key}`, expected, found);
  }

  async read() {
    this.indexBytes = await openFile(this.surroundings, this.index, 'TFC-01');
    const rows = await readTable(new PagedBytes(this.indexBytes), this.index);
    if (!rows.length || rows[0].key.length) return refuse('TFC-06', this.index, 'a header', 'none');
    await this.header(rows[0].value);
    /** @type {Map<string, Entry>} slices by their key as characters of one byte */
    const slices = new Map();
    /** @type {Entry[]} */
    const entries = [];
    for (const { key, value, at } of rows.slice(1)) {
      const entry = await this.entry(key, value, at);
      if (key[0] === 0) slices.set(key.join(), entry);
      else entries.push(entry);
    }
    for (const entry of entries) this.tensors.push(await this.tensor(entry, slices));
    for (const { key } of slices.values()) this.fail('TFC-08', key, 'a slice of a variable', 'a slice of none');
    await this.readGraph();
    // The graph that TensorFlow 1 saved is kept and not read.
    const meta = `${this.prefix}.meta`;
    if (await isFile(this.surroundings, meta)) this.meta = { path: meta, bytes: await openFile(this.surroundings, meta) };
    return this;
  }

  /** @param {Uint8Array} value */
  message(value) {
    return new Protobuf(new PagedBytes(inMemory(value)), this.index, 'TFC-01');
  }

  /** TFC-06 and TFC-02. @param {Uint8Array} value */
  async header(value) {
    const proto = this.message(value);
    const { shards = 0, endianness = 0, version } = await proto.message(proto.whole, HEADER);
    if (endianness) refuse('TFC-06', this.index, 'little-endian', endianness);
    if ((version?.consumer ?? 0) > NEWEST_VERSION || (version?.producer ?? 0) < 0 || version?.bad.includes(NEWEST_VERSION)) {
      refuse('TFC-06', this.index, `version ${NEWEST_VERSION}`, version?.consumer);
    }
    if (shards < 0) refuse('TFC-01', this.index, 'a number of shards', shards);
    for (let i = 0; i < shards; i++) {
      const path = `${this.prefix}.data-${five(i)}-of-${five(shards)}`;
      this.shards.push({ path, bytes: await openFile(this.surroundings, path, 'TFC-02') });
    }
  }

  /** @param {Uint8Array} key @param {Uint8Array} value @param {number} at @returns {Promise<Entry>} */
  async entry(key, value, at) {
    const name = decodeUtf8(key) ?? (key[0] === 0 ? 'a slice' : refuse('TFC-01', `${this.index}@${at}`, 'keys in UTF-8', 'other bytes'));
    const proto = this.message(value);
    const { dtype: type = 0, shape, shard = 0, offset = 0, size = 0, crc = 0, slices } = await proto.message(proto.whole, ENTRY);
    const dtype = TF_DTYPES.get(type);
    if (!dtype) return this.fail('TFC-05', name, 'a dtype with plain bytes', dtypeName(type));
    const dims = (shape?.dims ?? []).map((/** @type {Message} */ dim) => dim.size ?? 0);
    if (shape?.unknown || dims.some((/** @type {number} */ dim) => dim < 0)) this.fail('TFC-04', name, 'a shape', 'one that is not known');
    return { key: name, bytes: key, dtype, shape: dims, shard, offset, size, crc, slices: slices.map((/** @type {Message} */ { extents }) => extents.map(extentOf)) };
  }

  /** @param {Entry} entry @param {Map<string, Entry>} slices @returns {Promise<Tensor>} */
  async tensor(entry, slices) {
    const { key, dtype, shape } = entry;
    this.crcs.set(key, entry.crc);
    const there = entry.slices.length ? await this.sliced(entry, slices) : await this.plain(entry);
    return { name: key, dtype, shape, file: '', offset: 0, role: 'other', names: {}, attributes: {}, ...there };
  }

  /** A range of a shard (TFC-03, TFC-04). @param {Entry} entry */
  async plain({ key, dtype, shape, shard, offset, size, crc }) {
    const file = this.shards[shard];
    if (!file) return this.fail('TFC-04', key, `a shard below ${this.shards.length}`, shard);
    const room = file.bytes.size;
    if (offset < 0 || size < 0 || size > room || offset > room - size) this.fail('TFC-04', key, `a range inside ${file.path}, which has ${room} bytes`, `offset ${offset}, size ${size}`);
    const bits = bitsOf(dtype);
    const expected = bits ? bytesOf(elementsOf(shape), bits) : size;
    if (size !== expected) this.fail('TFC-04', key, `${expected} bytes, by dtype and shape`, size);
    const found = bits ? await crcOf(file.bytes, offset, size) : await this.stringCrc(key, await file.bytes.read(offset, size), shape);
    if (maskCrc(found) !== crc) this.fail('TFC-03', key, 'bytes that have the CRC-32C of the entry', 'other bytes');
    return { file: file.path, offset, length: size };
  }

  /** The CRC of a string tensor: lengths in fixed width, checksum, content. @param {string} key @param {Uint8Array} bytes @param {number[]} shape */
  async stringCrc(key, bytes, shape) {
    const split = splitStrings(bytes, elementsOf(shape));
    // A wrong checksum within is a wrong CRC as well.
    if ('error' in split) return this.fail(split.error.startsWith('checksum') ? 'TFC-03' : 'TFC-04', key, 'strings as section 4.7 has them', split.error);
    let crc = 0;
    const word = new DataView(new ArrayBuffer(4));
    let content = 0;
    for (const { length } of split.elements) {
      word.setUint32(0, length, true);
      crc = crc32c(new Uint8Array(word.buffer), crc);
      content += length;
    }
    return crc32c(bytes.subarray(bytes.length - content - 4), crc);
  }

  /** A variable in slices (TFC-08). @param {Entry} entry @param {Map<string, Entry>} all */
  async sliced({ key, bytes, dtype, shape, slices }, all) {
    const bits = bitsOf(dtype);
    if (!bits) return this.fail('TFC-08', key, 'strings in one piece', `${slices.length} slices`);
    /** @type {{ extents: { start: number, length: number }[], file: string, offset: number, length: number }[]} */
    const parts = [];
    for (const stated of slices) {
      const name = sliceKey(bytes, stated).join();
      const entry = all.get(name);
      if (!entry || stated.length !== shape.length) return this.fail('TFC-08', key, 'all its slices', 'one is missing');
      all.delete(name);
      const extents = stated.map(({ start, length }, d) => ({ start, length: length < 0 ? shape[d] : length }));
      if (extents.map(({ length }) => length).join() !== entry.shape.join() || entry.dtype !== dtype) this.fail('TFC-08', key, 'slices of its shape and dtype', entry.shape);
      parts.push({ extents, ...(await this.plain(entry)) });
    }
    const region = shape.map((length) => ({ start: 0, length }));
    if (!tiles(region, parts.map(({ extents }) => extents))) this.fail('TFC-08', key, 'slices that tile the shape', 'others');
    parts.sort((a, b) => firstElement(a.extents, shape) - firstElement(b.extents, shape));
    const next = (/** @type {number} */ i) => i === 0 || (parts[i].file === parts[0].file && parts[i].offset === parts[i - 1].offset + parts[i - 1].length);
    const length = bytesOf(elementsOf(shape), bits);
    if (parts.every(({ extents }, i) => isRun(extents, shape) && next(i))) return { file: parts[0].file, offset: parts[0].offset, length };
    const data = new Uint8Array(length);
    for (const { extents, file, offset, length: size } of parts) {
      const shard = /** @type {{ bytes: Bytes }} */ (this.shards.find(({ path }) => path === file));
      place(data, shape, extents, await shard.bytes.read(offset, size), bits / 8);
    }
    return { data, length };
  }

  async readGraph() {
    const tensor = this.tensors.find(({ name }) => name === OBJECT_GRAPH);
    if (!tensor) return;
    const shard = this.shards.find(({ path }) => path === tensor.file);
    const split = shard && tensor.dtype === 'string' && !tensor.shape.length
      ? splitStrings(await shard.bytes.read(tensor.offset, tensor.length), 1) : { error: 'another tensor' };
    if ('error' in split) return this.fail('TFC-07', OBJECT_GRAPH, 'a string', split.error);
    this.graph = await readObjectGraph(new Protobuf(new PagedBytes(inMemory(split.elements[0])), `${this.index}#${OBJECT_GRAPH}`, 'TFC-07'));
  }

  get files() {
    return [this.index, ...this.shards.map(({ path }) => path), ...(this.meta ? [this.meta.path] : [])];
  }

  /** @param {Artifact} artifact */
  addFiles(artifact) {
    artifact.addSource(this.index, /** @type {Bytes} */ (this.indexBytes));
    for (const { path, bytes } of [...this.shards, ...(this.meta ? [this.meta] : [])]) artifact.addSource(path, bytes);
  }
}

/** @param {Message} extent */
const extentOf = ({ start = 0, length = -1 }) => ({ start, length });

/** @param {Bytes} bytes @param {number} offset @param {number} length */
async function crcOf(bytes, offset, length) {
  let crc = 0;
  for await (const piece of pieces(bytes, offset, length)) crc = crc32c(piece, crc);
  return crc;
}

/**
 * Names the tensors of a checkpoint.
 * @param {Checkpoint} checkpoint
 * @param {string} system of the keys
 * @param {Map<string, import('./checkpoint-variables.js').Variable>} [variables] what is known of the keys
 * @param {Map<string, string>} [copies] keys of second copies, with those of the first
 */
export function nameCheckpoint({ tensors, graph }, system, variables = graph ? byGraph(graph) : byName(tensors), copies = new Map()) {
  nameTensors(tensors, system, variables, copies);
}

/** @param {Checkpoint} checkpoint @param {string} prefix relative to the root */
const propertiesOf = ({ graph, shards }, prefix) => ({ keys: graph ? 'object' : 'name', shards: shards.length, prefix });

/** @param {Surroundings} surroundings @param {string} root the prefix @returns {Promise<Artifact>} */
export async function readCheckpoint(surroundings, root) {
  const checkpoint = await new Checkpoint(surroundings, root).read();
  const artifact = new Artifact(root);
  checkpoint.addFiles(artifact);
  const files = checkpoint.files;
  if (checkpoint.graph) {
    const path = `${root}.derived/object_graph.json`;
    artifact.addDerived(path, encodeObjectGraph(checkpoint.graph));
    files.push(path);
  }
  nameCheckpoint(checkpoint, 'tensorflow.checkpoint');
  artifact.tensors.push(...checkpoint.tensors);
  artifact.addComponent(root, 'tensorflow.checkpoint', files, propertiesOf(checkpoint, ''));
  placeDecoded(artifact, `${root}.derived/tensors.safetensors`, root);
  return artifact;
}

/** All names of a tensor begin with the prefix of its checkpoint. @param {Tensor} tensor @param {string} prefix */
function prefixNames(tensor, prefix) {
  tensor.name = `${prefix}/${tensor.name}`;
  for (const [system, name] of Object.entries(tensor.names)) tensor.names[system] = `${prefix}/${name}`;
  for (const key of ['of', 'copy_of']) if (tensor.attributes[key] !== undefined) tensor.attributes[key] = `${prefix}/${tensor.attributes[key]}`;
}

/** A directory with one checkpoint or several. @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readCheckpointDirectory(surroundings, root) {
  const { files, empty } = await walk(surroundings, root);
  const prefixes = files.filter((path) => path.endsWith('.index')).map((path) => path.slice(root.length + 1, -'.index'.length)).sort(compareText);
  if (!prefixes.length) return refuse('TFC-01', root, 'the index of a checkpoint', 'none');
  const artifact = new Artifact(root);
  artifact.directories.push(...empty);
  for (const path of files) artifact.addSource(path, await openFile(surroundings, path));
  const all = [...files];
  const several = prefixes.length > 1;
  for (const prefix of prefixes) {
    const checkpoint = await new Checkpoint(surroundings, `${root}/${prefix}`).read();
    const own = several ? checkpoint.files : all;
    if (checkpoint.graph) {
      const path = `${root}.derived/${several ? `${prefix}/` : ''}object_graph.json`;
      artifact.addDerived(path, encodeObjectGraph(checkpoint.graph));
      own.push(path);
      if (several) all.push(path);
    }
    nameCheckpoint(checkpoint, 'tensorflow.checkpoint');
    if (several) for (const tensor of checkpoint.tensors) prefixNames(tensor, prefix);
    artifact.tensors.push(...checkpoint.tensors);
    if (several) artifact.addComponent(checkpoint.index, 'tensorflow.checkpoint', own, propertiesOf(checkpoint, prefix), root);
    else artifact.addComponent(root, 'tensorflow.checkpoint', own, propertiesOf(checkpoint, prefix));
  }
  if (several) artifact.addComponent(root, 'tensorflow.checkpoint', all, { prefixes });
  placeDecoded(artifact, `${root}.derived/tensors.safetensors`, root);
  return artifact;
}
