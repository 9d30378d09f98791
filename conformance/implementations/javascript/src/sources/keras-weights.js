/** What Keras calls the datasets of an HDF5 file (section 13.3), and their roles. */
import { refuse } from '../findings.js';
import { decodeUtf8 } from '../text.js';
import { stringsOf } from './hdf5/objects.js';
import { layerOf, optimizerVariables, partOf, variablesOf } from './keras-variables.js';
/** @typedef {import('./hdf5/file.js').Hdf5File} Hdf5File */
/** @typedef {import('./hdf5/objects.js').Hdf5Object} Hdf5Object */
/** @typedef {import('./keras-variables.js').Record_} Record_ */
/** @typedef {{ name?: string, keras?: string, role: string }} Naming */

/** @param {Hdf5Object} object @param {string} name @returns {Promise<Uint8Array[] | null>} null where there is no such attribute */
async function strings(object, name) {
  const attributes = await object.attributes();
  const attribute = attributes.get(name);
  if (attribute) return (await stringsOf(object, attribute)) ?? wrongType(object, name);
  // An attribute that was too long for one is split into numbered parts.
  /** @type {Uint8Array[]} */
  const parts = [];
  for (let i = 0; attributes.has(`${name}${i}`); i++) {
    const part = /** @type {import('./hdf5/objects.js').Attribute} */ (attributes.get(`${name}${i}`));
    parts.push(...((await stringsOf(object, part)) ?? wrongType(object, `${name}${i}`)));
  }
  return attributes.has(`${name}0`) ? parts : null;
}

/** An empty list has no type of its own. @param {Hdf5Object} object @param {string} name @returns {Uint8Array[]} */
function wrongType(object, name) {
  const { space, at } = /** @type {{ space: any, at: number }} */ (object.known?.get(name));
  if (space?.dims.some((/** @type {number} */ size) => size === 0)) return [];
  return object.file.fail(at, `${name} as strings`, 'another type', 'HDF-07');
}

/** @param {Hdf5Object} object @param {string} name */
export async function bytesAttribute(object, name) {
  const parts = await strings(object, name);
  if (!parts) return null;
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (out.set(part, at), at + part.length), 0);
  return out;
}

/** @param {Hdf5Object} object @param {string} name @returns {Promise<string | undefined>} */
export async function textAttribute(object, name) {
  const bytes = await bytesAttribute(object, name).catch((error) => {
    if (error.findings) return null;
    throw error;
  });
  return (bytes && decodeUtf8(bytes)) || undefined;
}

/** @param {Hdf5Object} object @param {string} name @returns {Promise<string[] | null>} */
export async function namesAttribute(object, name) {
  const found = await strings(object, name);
  return found && found.map((bytes) => decodeUtf8(bytes) ?? object.file.fail(object.address, `${name} in UTF-8`, 'other bytes', 'HDF-07'));
}

/** @param {string} name */
const withoutNumber = (name) => name.replace(/:[0-9]+$/, '');

/** Roles by names. @param {string} path @param {string} name */
function roleByName(path, name) {
  const segments = path.split('/');
  if (segments.includes('optimizer_weights') || segments.includes('optimizer')) return 'optimizer';
  if (segments.includes('metrics') || segments.includes('compile_metrics')) return 'metric';
  const last = /** @type {string} */ (name.split('/').at(-1));
  if (last === 'moving_mean' || last === 'moving_variance') return 'non-trainable';
  return last === 'seed_generator_state' || last === 'StateVar' ? 'rng' : 'other';
}

/** All records of layers by name; null for a name that two have. @param {Record_ | null} record @param {boolean} frozen @param {Map<string, Record_ | null>} found */
function collect(record, frozen, found) {
  for (const layer of [...(record?.layers ?? []), ...(record?.sublayers ?? [])]) {
    const own = frozen || layer.trainable === false;
    if (layer.name) found.set(layer.name, found.has(layer.name) ? null : own ? { ...layer, trainable: false } : layer);
    collect(layer, own, found);
  }
  return found;
}

/** Weights of Keras's layers that training never changes. */
const FROZEN = new Set(['moving_mean', 'moving_variance', 'mean', 'variance', 'count', 'vector_u', 'seed_generator_state']);

/** The role of a weight of a layer group. @param {string} path @param {string} weight @param {string} group @param {Map<string, Record_ | null>} layers */
function groupRole(path, weight, group, layers) {
  const byName = roleByName(path, weight);
  const [layer] = [...weight.split('/').slice(0, -1).reverse(), group].map((name) => layers.get(name)).filter((record) => record !== undefined);
  const outer = layers.get(group);
  if (byName !== 'other' || !layer || layer.custom) return byName;
  const last = /** @type {string} */ (weight.split('/').at(-1));
  return layer.trainable === false || outer?.trainable === false || FROZEN.has(last) ? 'non-trainable' : 'trainable';
}

/**
 * Names of `keras-model` and `keras-weights`: by layer_names and weight_names (KHF-01).
 * @param {Hdf5File} file @param {string} base path of the group that has layer_names @param {Record_ | null} model
 * @returns {Promise<Map<string, Naming>>}
 */
export async function groupNames(file, base, model) {
  const at = (/** @type {string} */ name) => (base ? `${base}/${name}` : name);
  const root = /** @type {Hdf5Object} */ (file.groups.get(base));
  const layers = collect(model, model?.trainable === false, new Map());
  const groups = (await namesAttribute(root, 'layer_names')) ?? [];
  const listed = groups.map((name) => ({ layer: name, path: at(name), needed: true }));
  if (file.groups.has(at('top_level_model_weights'))) listed.push({ layer: 'top_level_model_weights', path: at('top_level_model_weights'), needed: false });
  if (file.groups.has('optimizer_weights')) listed.push({ layer: 'optimizer_weights', path: 'optimizer_weights', needed: false });
  /** @type {{ path: string, name: string, layer: string }[]} */
  const weights = [];
  for (const { layer, path, needed } of listed) {
    const group = file.groups.get(path);
    const missing = (/** @type {string} */ name) => refuse('KHF-01', `${file.file.path}#${name}`, 'a group and datasets that are there', 'nothing');
    if (!group) {
      if (needed) missing(path);
      continue;
    }
    for (const name of (await namesAttribute(group, 'weight_names')) ?? []) {
      const own = `${path}/${name}`.replace(/\/+/g, '/');
      if (!file.datasets.has(own)) missing(own);
      weights.push({ path: own, name: withoutNumber(name), layer });
    }
  }
  return named(weights, layers);
}

/** @param {{ path: string, name: string, layer: string }[]} weights @param {Map<string, Record_ | null>} layers */
function named(weights, layers) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { name } of weights) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Map(weights.map(({ path, name, layer }) => {
    const unique = /** @type {number} */ (counts.get(name)) > 1 ? `${layer}/${name}` : name;
    return [path, /** @type {Naming} */ ({ name: unique, keras: unique, role: groupRole(path, name, layer, layers) })];
  }));
}

/**
 * Names of `keras-weights-v3`: by the objects along the path.
 * @param {{ file: Hdf5File }[]} shards @param {Record_ | null} model @param {{ class: string, config: any } | null} optimizer
 * @returns {Promise<Map<string, Naming>>}
 */
export async function objectNames(shards, model, optimizer) {
  /** @type {Map<string, Hdf5Object[]>} groups by path, over all shards */
  const groups = new Map();
  /** @type {Set<string>} */
  const datasets = new Set();
  for (const { file } of shards) {
    for (const [path, group] of file.groups) groups.set(path, [...(groups.get(path) ?? []), group]);
    for (const path of file.datasets.keys()) datasets.add(path);
  }
  const stated = new Map();
  for (const [path, owners] of groups) {
    if (path !== 'vars' && !path.endsWith('/vars')) continue;
    for (const owner of owners) stated.set(path, stated.get(path) ?? (await textAttribute(owner, 'name')) ?? null);
  }
  if (!model && ![...stated.values()].some((name) => name !== null)) return new Map();
  return new ObjectNames(groups, datasets, stated, model, optimizer).all();
}

class ObjectNames {
  /** @param {Map<string, unknown>} groups @param {Set<string>} datasets @param {Map<string, string | null>} stated @param {Record_ | null} model @param {{ class: string, config: any } | null} optimizer */
  constructor(groups, datasets, stated, model, optimizer) {
    this.groups = groups;
    this.datasets = datasets;
    this.stated = stated;
    this.model = model;
    this.optimizer = optimizer;
    /** @type {Map<string, { names: string[], record: Record_ | null }>} */
    this.known = new Map([['', { names: [], record: model }]]);
  }

  /** What is known of an object by its path. @param {string} path @returns {{ names: string[], record: Record_ | null }} */
  object(path) {
    const known = this.known.get(path);
    if (known) return known;
    const cut = path.lastIndexOf('/');
    const key = path.slice(cut + 1);
    const above = cut < 0 ? '' : path.slice(0, cut);
    const vars = `${path}/vars`;
    const parent = this.object(above);
    let found = parent;
    if (this.groups.has(vars)) {
      const name = this.stated.get(vars) ?? null;
      const container = above.slice(above.lastIndexOf('/') + 1);
      const isContainer = above !== '' && !this.groups.has(`${above}/vars`);
      const record = isContainer && (container === 'layers' || container === '_layers') ? layerOf(parent.record, key, name) : isContainer ? null : partOf(parent.record, key);
      found = { names: [...parent.names, name ?? record?.name ?? key], record };
    }
    this.known.set(path, found);
    return found;
  }

  /** @returns {Map<string, Naming>} */
  all() {
    /** @type {Map<string, string[]>} datasets by the group that holds them */
    const owned = new Map();
    for (const path of this.datasets) {
      const above = path.slice(0, Math.max(0, path.lastIndexOf('/')));
      if (this.stated.has(above)) owned.set(above, [...(owned.get(above) ?? []), path]);
    }
    /** @type {Map<string, Naming>} */
    const names = new Map();
    for (const [vars, paths] of owned) {
      const object = vars === 'vars' ? '' : vars.slice(0, -'/vars'.length);
      const { names: above, record } = this.object(object);
      const variables = object === 'optimizer' ? optimizerVariables(this.optimizer, paths.length) : variablesOf(object === '' ? null : record, paths.length);
      for (const path of paths) this.name(path, above, variables, names);
    }
    return names;
  }

  /** @param {string} path @param {string[]} above @param {import('./keras-variables.js').Variable[] | null} variables @param {Map<string, Naming>} names */
  name(path, above, variables, names) {
    const number = path.slice(path.lastIndexOf('/') + 1);
    const variable = /^[0-9]+$/.test(number) ? variables?.[Number(number)] : undefined;
    const name = [...above, variable?.name ?? number].join('/');
    const byName = roleByName(path, name);
    const role = byName === 'other' || variable?.role === 'rng' ? variable?.role ?? byName : byName;
    const made = variable !== undefined || !/^[0-9]+$/.test(number);
    names.set(path, { name, ...(made ? { keras: name } : {}), role });
  }
}
