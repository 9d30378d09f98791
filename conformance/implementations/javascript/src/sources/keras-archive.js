/** `.keras` files (section 13.4). */
import { refuse, Report } from '../findings.js';
import { canonicalJson } from '../json.js';
import { checkPath, fold } from '../paths.js';
import { pieces } from '../platform.js';
import { encodeUtf8 } from '../text.js';
import { Artifact, MEDIA } from './artifact.js';
import { openFile, readWhole } from './files.js';
import { addHdf5, addShardedWeights } from './hdf5-source.js';
import { LARGEST_CONFIG, addRead, readConfig } from './keras-config.js';
import { ownersOf } from './keras-variables.js';
import { isMap, parseLoose } from './loose-json.js';
import { inMemory, slice } from './paged.js';
import { inflateMember, readZip } from './zip.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('./zip.js').Member} Member */
/** @typedef {import('../json.js').Json} Json */
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {import('../platform.js').Platform} Platform */

const CONFIG = 'config.json';
const METADATA = 'metadata.json';
const WEIGHTS = 'model.weights.h5';
const SHARDS = 'model.weights.json';
const ASSETS = 'assets/';

/** KAR-02 and KAR-03. @param {Member[]} members @param {string} path */
function checkNames(members, path) {
  /** @type {Map<string, string>} */
  const folded = new Map();
  for (const { name, directory } of members) {
    const report = new Report();
    checkPath(directory ? name.slice(0, -1) : name, `${path}#${name}`, report);
    if (report.errors) refuse('KAR-02', `${path}#${name}`, 'a bundle path', name);
    const form = fold(directory ? name.slice(0, -1) : name);
    if (folded.has(form)) refuse('KAR-03', `${path}#${name}`, 'members of different names', `${folded.get(form)} as well`);
    folded.set(form, name);
  }
  const files = new Set(members.filter(({ directory }) => !directory).map(({ name }) => fold(name)));
  for (const { name } of members) {
    const form = fold(name);
    for (let at = form.indexOf('/'); at >= 0; at = form.indexOf('/', at + 1)) {
      if (files.has(form.slice(0, at))) refuse('KAR-03', `${path}#${name}`, 'no member in the place of a directory', form.slice(0, at));
    }
  }
}

/** KAR-05: the CRC of a member. @param {Platform} platform @param {Bytes} bytes @param {Member} member @param {string} path */
async function checkCrc({ crc32 }, bytes, member, path) {
  let crc = 0;
  for await (const piece of pieces(bytes, 0, bytes.size)) crc = crc32(piece, crc);
  if (crc !== member.crc) refuse('KAR-05', `${path}#${member.name}`, `the CRC-32 ${member.crc.toString(16)}`, crc.toString(16));
}

/** A value as JSON; null where it holds what JSON does not have. @param {Loose} value @returns {{ json: Json } | null} */
function plainJson(value) {
  if (typeof value === 'number') {
    const inRange = Number.isSafeInteger(value) || !Number.isInteger(value) || Math.abs(value) >= 1e21;
    return Number.isFinite(value) && inRange ? { json: value } : null;
  }
  if (typeof value === 'bigint') return null;
  if (Array.isArray(value)) {
    const items = value.map(plainJson);
    return items.some((item) => !item) ? null : { json: items.map((item) => /** @type {{ json: Json }} */ (item).json) };
  }
  if (!isMap(value)) return { json: value };
  /** @type {import('../json.js').JsonObject} */
  const out = Object.create(null);
  for (const [name, member] of value) {
    const taken = plainJson(member);
    if (!taken) return null;
    out[name] = taken.json;
  }
  return { json: out };
}

/** @param {Bytes | undefined} bytes @param {string} place @returns {Promise<string | undefined>} */
async function versionIn(bytes, place) {
  if (!bytes || bytes.size > LARGEST_CONFIG) return undefined;
  try {
    const { value } = parseLoose(await readWhole(bytes), { nonFinite: true, surrogates: true, refuse: (_, at, expected, found) => refuse('KAR-06', `${place}@${at}`, expected, found) });
    const version = isMap(value) ? value.get('keras_version') : undefined;
    return typeof version === 'string' && version ? version : undefined;
  } catch (error) {
    if (/** @type {any} */ (error).findings) return undefined;
    throw error;
  }
}

class KerasArchive {
  /** @param {Surroundings} surroundings @param {string} root @param {Bytes} bytes */
  constructor(surroundings, root, bytes) {
    this.surroundings = surroundings;
    this.root = root;
    this.bytes = bytes;
    this.artifact = new Artifact(root);
    /** @type {Map<string, Bytes>} */
    this.members = new Map();
  }

  /** @param {string} name */
  path(name) {
    return `${this.root}.members/${name}`;
  }

  async read() {
    const all = await readZip(this.bytes, this.root);
    checkNames(all, this.root);
    const members = all.filter(({ directory }) => !directory);
    const madeOf = [];
    for (const member of members) {
      const part = member.method === 0;
      const bytes = part ? slice(this.bytes, member.data, member.size) : inMemory(await inflateMember(this.bytes, member, this.root));
      await checkCrc(this.surroundings.platform, bytes, member, this.root);
      this.members.set(member.name, bytes);
      const path = this.path(member.name);
      this.artifact.files.push({ path, role: part ? 'part' : 'derived', mediaType: mediaTypeOf(member.name), bytes });
      if (part) madeOf.push({ path, offset: member.data });
    }
    const mediaType = /\.(?:keras|zip)$/.test(this.root) ? MEDIA.zip : MEDIA.other;
    this.artifact.files.unshift({ path: this.root, role: 'source', mediaType, bytes: this.bytes, ...(madeOf.length ? { madeOf } : {}) });
    await this.describe();
    return this.artifact;
  }

  /** The components (KAR-06). */
  async describe() {
    const { artifact, root, members } = this;
    const config = members.get(CONFIG);
    if (!config || config.size > LARGEST_CONFIG) return refuse('KAR-06', `${root}#${CONFIG}`, `a ${CONFIG} of at most ${LARGEST_CONFIG} bytes`, config ? config.size : 'none');
    const weights = members.get(WEIGHTS);
    const shards = members.get(SHARDS);
    if (!weights && !shards) return refuse('KAR-06', root, `${WEIGHTS} or ${SHARDS}`, 'neither');
    const version = await versionIn(members.get(METADATA), this.path(METADATA));
    artifact.addComponent(root, 'keras.archive', [root, ...[...members.keys()].map((name) => this.path(name))], version ? { keras_version: version } : {});
    const read = readConfig(await readWhole(config), this.path(CONFIG), { model: true });
    addRead(artifact, read, this.path(CONFIG), root);
    const compile = isMap(read.value) ? read.value.get('compile_config') : undefined;
    if (isMap(compile) && compile.size) this.training(compile);
    const owners = ownersOf(read.value);
    if (weights) await addHdf5(artifact, weights, this.path(WEIGHTS), owners, root);
    else if (shards) await addShardedWeights(artifact, shards, this.path(SHARDS), (path) => this.open(path), owners, root);
    const assets = [...members.keys()].filter((name) => name.startsWith(ASSETS)).map((name) => this.path(name));
    if (assets.length) artifact.addComponent(this.path('assets'), 'assets', assets, undefined, root);
    return undefined;
  }

  /** @param {string} path of a member @returns {Promise<Bytes>} */
  async open(path) {
    return this.members.get(path.slice(this.path('').length)) ?? refuse('KHF-03', path, 'a shard', 'nothing');
  }

  /** @param {LooseMap} compile */
  training(compile) {
    const { artifact, root } = this;
    const path = `${root}.derived/training.json`;
    const plain = plainJson(compile);
    if (!plain) {
      artifact.addComponent(path, 'training', [this.path(CONFIG)], { pointer: '/compile_config' }, root);
      return;
    }
    artifact.addDerived(path, encodeUtf8(canonicalJson({ compile_config: plain.json })));
    artifact.addComponent(path, 'training', [path], undefined, root);
  }
}

/** @param {string} name */
const mediaTypeOf = (name) => (name.endsWith('.h5') ? MEDIA.hdf5 : name.endsWith('.json') ? MEDIA.json : MEDIA.other);

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readKerasArchive(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  return new KerasArchive(surroundings, root, bytes).read();
}
