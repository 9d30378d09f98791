/** HDF5 files, those of Keras among them (sections 13.2 and 13.3), and sets of shards. */
import { refuse } from '../findings.js';
import { Artifact, MEDIA, placeDecoded } from './artifact.js';
import { folderOf, openFile, readWhole, shardsOf } from './files.js';
import { readFile } from './hdf5/file.js';
import { addConfig } from './keras-config.js';
import { ownersOf } from './keras-variables.js';
import { bytesAttribute, groupNames, objectNames, textAttribute } from './keras-weights.js';
import { isMap, parseLoose } from './loose-json.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./hdf5/file.js').Hdf5File} Hdf5File */
/** @typedef {import('./hdf5/objects.js').Hdf5Object} Hdf5Object */
/** @typedef {import('./keras-weights.js').Naming} Naming */
/** @typedef {import('./keras-variables.js').Owner} Owner */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {{ path: string, bytes: Bytes, file: Hdf5File }} Shard */

/** What no config tells. @type {Map<string, Owner>} */
const NOTHING = new Map();
const LARGEST_INDEX = 100_000_000;

/** @param {Hdf5File} file */
const hasVariables = (file) => [...file.groups.keys()].some((path) => path === 'vars' || path.endsWith('/vars'));

/** Names of datasets that are no path of another, and that no other has. @param {Shard[]} shards @param {Map<string, Naming>} names */
function dropShared(shards, names) {
  const paths = new Set(shards.flatMap(({ file }) => [...file.datasets.keys()]));
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { name } of names.values()) if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const [path, naming] of names) {
    const { name } = naming;
    if (name === undefined || (counts.get(name) === 1 && (name === path || !paths.has(name)))) continue;
    delete naming.name;
    delete naming.keras;
  }
}

/** @param {Hdf5Object} object @returns {Promise<Record<string, string>>} */
async function attributesOf(object, isNull = false) {
  const packing = (await object.attributes()).has('packing') ? await textAttribute(object, 'packing') : undefined;
  return { ...(packing ? { packing } : {}), ...(isNull ? { 'hdf5.dataspace': 'null' } : {}) };
}

/** @param {Artifact} artifact @param {Shard[]} shards @param {Map<string, Naming>} names */
async function addTensors(artifact, shards, names) {
  dropShared(shards, names);
  for (const { path: file, file: { datasets } } of shards) {
    for (const { path, dtype, shape, offset, length, decode, object, null: isNull } of datasets.values()) {
      const { name = path, keras, role, packing } = names.get(path) ?? { role: 'other' };
      artifact.addTensor({
        name, dtype, shape, file, offset, length, role,
        names: { hdf5: path, ...(keras === undefined ? {} : { keras }) },
        attributes: { ...(packing ? { packing } : {}), ...(await attributesOf(object, isNull)) },
        ...(decode ? { data: await decode() } : {}),
      });
    }
  }
}

/** The layout of a file, as its attributes tell it. @param {Hdf5File} file @returns {Promise<string>} */
async function layoutOf({ groups }) {
  const root = /** @type {Hdf5Object} */ (groups.get(''));
  const has = async (/** @type {Hdf5Object | undefined} */ object, /** @type {string} */ name) => {
    const attributes = await object?.attributes();
    return Boolean(attributes?.has(name) || attributes?.has(`${name}0`));
  };
  if (await has(root, 'model_config')) return 'keras-model';
  return (await has(root, 'layer_names')) || (await has(groups.get('model_weights'), 'layer_names')) ? 'keras-weights' : 'plain';
}

/**
 * Adds the tensors of one file, and its component.
 * @param {Artifact} artifact
 * @param {Bytes} bytes @param {string} path
 * @param {Map<string, Owner>} owners what a config at hand tells of objects @param {string} [derivedFrom]
 */
export async function addHdf5(artifact, bytes, path, owners = NOTHING, derivedFrom) {
  const file = await readFile(bytes, path);
  const root = /** @type {Hdf5Object} */ (file.groups.get(''));
  const found = await layoutOf(file);
  const layout = found === 'plain' && hasVariables(file) ? 'keras-weights-v3' : found;
  const [version, backend] = [await textAttribute(root, 'keras_version'), await textAttribute(root, 'backend')];
  const properties = { layout, ...(version ? { keras_version: version } : {}), ...(backend ? { backend } : {}) };
  artifact.addComponent(path, 'hdf5', [path], properties, derivedFrom);
  const shards = [{ path, bytes, file }];
  const known = layout === 'keras-model' ? await addModel(artifact, file, path) : owners;
  /** @type {Map<string, Naming>} */
  let names = new Map();
  if (layout === 'keras-weights-v3') names = await objectNames(shards, known);
  else if (layout !== 'plain') names = await groupNames(file, known);
  await addTensors(artifact, shards, names);
  placeDecoded(artifact, `${derivedFrom === undefined ? artifact.root : path}.derived/tensors.safetensors`, path);
}

/** The config in a file (KHF-02). @param {Artifact} artifact @param {Hdf5File} file @param {string} path @returns {Promise<Map<string, Owner>>} */
async function addModel(artifact, file, path) {
  const root = /** @type {Hdf5Object} */ (file.groups.get(''));
  const config = /** @type {Uint8Array} */ (await bytesAttribute(root, 'model_config'));
  const training = await bytesAttribute(root, 'training_config');
  if (training) {
    parseLoose(training, { nonFinite: true, surrogates: true, refuse: (_, at, expected, found) => refuse('KHF-02', `${path}#training_config@${at}`, expected, found) });
  }
  const read = addConfig(artifact, { config, training: training ?? undefined, model: true }, path, 'KHF-02');
  return ownersOf(read.value);
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readHdf5(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes, MEDIA.hdf5);
  await addHdf5(artifact, bytes, root);
  return artifact;
}

/** The groups that an index lists, by shard (KHF-03). @param {Bytes} bytes @param {string} path */
async function readIndex(bytes, path) {
  if (bytes.size > LARGEST_INDEX) refuse('KHF-03', path, `at most ${LARGEST_INDEX} bytes`, bytes.size);
  const { value } = parseLoose(await readWhole(bytes), { deepest: 64, refuse: (_, at, expected, found) => refuse('KHF-03', `${path}@${at}`, expected, found) });
  const map = isMap(value) ? value.get('weight_map') : undefined;
  if (!isMap(map)) return refuse('KHF-03', path, 'an object with a weight_map', 'another value');
  /** @type {{ group: string, shard: string }[]} */
  const pairs = [];
  for (const [group, named] of map) {
    for (const shard of Array.isArray(named) ? named : [named]) {
      if (typeof shard !== 'string') return refuse('KHF-03', `${path}#${group}`, 'the name of a shard', shard);
      pairs.push({ group: group.replace(/^\/+|\/+$/g, ''), shard });
    }
  }
  return pairs;
}

/**
 * Adds the tensors of a set of shards, and its component.
 * @param {Artifact} artifact @param {Bytes} bytes of the index @param {string} path
 * @param {(path: string) => Promise<Bytes>} open @param {Map<string, Owner>} [owners] @param {string} [derivedFrom]
 * @returns {Promise<Shard[]>}
 */
export async function addShardedWeights(artifact, bytes, path, open, owners = NOTHING, derivedFrom) {
  const pairs = await readIndex(bytes, path);
  /** @type {Shard[]} */
  const shards = [];
  for (const name of shardsOf(pairs.map(({ shard }) => shard), 'KHF-03', path)) {
    const own = folderOf(path) + name;
    const data = await open(own);
    shards.push({ path: own, bytes: data, file: await readFile(data, own) });
  }
  const byName = new Map(shards.map((shard) => [shard.path.slice(folderOf(path).length), shard]));
  for (const { group, shard } of pairs) {
    if (!byName.get(shard)?.file.groups.has(group)) refuse('KHF-03', `${path}#${group}`, `a group of ${shard}`, 'nothing');
  }
  const seen = new Set();
  for (const { file } of shards) {
    for (const name of file.datasets.keys()) {
      if (seen.has(name)) refuse('KHF-03', `${path}#${name}`, 'a dataset in one shard', 'two');
      seen.add(name);
    }
  }
  artifact.addComponent(path, 'hdf5', [path, ...shards.map((shard) => shard.path)], { layout: 'keras-weights-sharded' }, derivedFrom);
  await addTensors(artifact, shards, await objectNames(shards, owners));
  placeDecoded(artifact, `${derivedFrom === undefined ? artifact.root : path}.derived/tensors.safetensors`, path);
  return shards;
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readShardedWeights(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes, MEDIA.json);
  const shards = await addShardedWeights(artifact, bytes, root, (path) => openFile(surroundings, path, 'KHF-03'));
  for (const { path, bytes: own } of shards) artifact.addSource(path, own, MEDIA.hdf5);
  return artifact;
}
