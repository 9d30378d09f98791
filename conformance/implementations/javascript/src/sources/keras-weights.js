/** What Keras calls the datasets of an HDF5 file (section 13.3), and their roles. */
import { refuse } from '../findings.js';
import { decodeUtf8 } from '../text.js';
import { stringsOf } from './hdf5/objects.js';
import { isInt4, variablesOf } from './keras-variables.js';
/** @typedef {import('./hdf5/file.js').Hdf5File} Hdf5File */
/** @typedef {import('./hdf5/objects.js').Hdf5Object} Hdf5Object */
/** @typedef {import('./keras-variables.js').Owner} Owner */
/** @typedef {{ name?: string, keras?: string, role: string, packing?: string }} Naming */

const TOP_LEVEL = 'top_level_model_weights';
const METRICS = new Set(['metrics', '_metrics', 'compile_metrics', '_compile_metrics']);
const PACKED = new Set(['kernel', 'embeddings', 'reverse_embeddings']);

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

/** @param {string} variable */
function roleByName(variable) {
  if (variable === 'moving_mean' || variable === 'moving_variance') return 'non-trainable';
  return variable === 'seed_generator_state' || variable === 'StateVar' ? 'rng' : 'other';
}

/** @typedef {{ path: string, layer: string, name: string }} Weight  A weight that a file lists: its dataset, its layer and its name there. */

/** The last part of a weight's name. @param {Weight} weight */
const variableOf = ({ name }) => name.slice(name.lastIndexOf('/') + 1);

/** What a weight's name says it belongs to. @param {Weight} weight */
const ownerOf = ({ name, layer }) => name.slice(0, Math.max(0, name.lastIndexOf('/'))) || layer;

/** Roles by dataset, where the weight's layer is known and has just these variables. @param {Weight[]} weights @param {Map<string, Owner>} owners by path */
function groupRoles(weights, owners) {
  const byName = new Map([...owners.values()].map((owner) => [owner.name, owner]));
  /** @type {Map<string, Weight[]>} */
  const groups = new Map();
  for (const weight of weights) {
    const key = JSON.stringify([weight.layer, ownerOf(weight)]);
    groups.set(key, [...(groups.get(key) ?? []), weight]);
  }
  /** @type {Map<string, string>} */
  const roles = new Map();
  for (const [key, owned] of groups) {
    const [layer, name] = JSON.parse(key);
    const owner = byName.get(`${layer}/${name}`) ?? byName.get(name) ?? (name === layer ? byName.get(layer) : undefined);
    const variables = owner && variablesOf(owner.className, owner.config, owned.length);
    const known = new Map((variables ?? []).map((variable) => [variable.name, variable.role]));
    const found = new Set(owned.map(variableOf));
    if (!known.size || found.size !== known.size || [...found].some((variable) => !known.has(variable))) continue;
    for (const weight of owned) roles.set(weight.path, String(known.get(variableOf(weight))));
  }
  return roles;
}

/** @param {string} group @param {string} name */
const join = (group, name) => (group ? `${group}/${name}` : name);

/** The weights that the attribute of a group lists (KHF-01). @param {Hdf5File} file @param {string} path @param {string} layer @returns {Promise<Weight[]>} */
async function weightsOf(file, path, layer) {
  const names = (await namesAttribute(/** @type {Hdf5Object} */ (file.groups.get(path)), 'weight_names')) ?? [];
  return names.map((name) => {
    const own = join(path, name);
    if (!file.datasets.has(own)) refuse('KHF-01', `${file.file.path}#${path}`, 'datasets that are there', name);
    return { path: own, layer, name: withoutNumber(name) };
  });
}

/**
 * Names of `keras-model` and `keras-weights`: by layer_names and weight_names (KHF-01).
 * @param {Hdf5File} file @param {Map<string, Owner>} owners
 * @returns {Promise<Map<string, Naming>>}
 */
export async function groupNames(file, owners) {
  const base = file.groups.has('model_weights') ? 'model_weights' : '';
  const layers = (await namesAttribute(/** @type {Hdf5Object} */ (file.groups.get(base)), 'layer_names')) ?? [];
  if (file.groups.has(join(base, TOP_LEVEL)) && !layers.includes(TOP_LEVEL)) layers.push(TOP_LEVEL);
  /** @type {Weight[]} */
  const weights = [];
  for (const layer of layers) {
    if (!file.groups.has(join(base, layer))) refuse('KHF-01', `${file.file.path}#${base}`, 'groups that are there', layer);
    weights.push(...(await weightsOf(file, join(base, layer), layer)));
  }
  const counts = new Map();
  for (const { name } of weights) counts.set(name, (counts.get(name) ?? 0) + 1);
  const roles = groupRoles(weights, owners);
  /** @type {Map<string, Naming>} */
  const names = new Map();
  for (const weight of weights) {
    const name = counts.get(weight.name) === 1 ? weight.name : `${weight.layer}/${weight.name}`;
    names.set(weight.path, { name, keras: name, role: roles.get(weight.path) ?? roleByName(variableOf(weight)) });
  }
  if (!file.groups.has('optimizer_weights')) return names;
  for (const { path, name } of await weightsOf(file, 'optimizer_weights', 'optimizer')) names.set(path, { name, keras: name, role: 'optimizer' });
  return names;
}

/** The object whose variables a group holds. @param {string} group @returns {string | null} */
const objectOf = (group) => (group === 'vars' ? '' : group.endsWith('/vars') ? group.slice(0, -'/vars'.length) : null);

/** The role of what an object stores, by its path. @param {string} object */
function roleByPath(object) {
  const steps = object.split('/');
  if (steps[0] === 'optimizer') return 'optimizer';
  if (METRICS.has(steps[0])) return 'metric';
  return /** @type {string} */ (steps.at(-1)).replace(/^_+/, '').startsWith('seed_generator') ? 'rng' : 'other';
}

/** The names of the objects that lead to one; null where the file has none of them. @param {string} object @param {Map<string, string>} stated @param {Set<string>} objects */
function calledBy(object, stated, objects) {
  if (!object) return stated.get('') ?? null;
  const steps = object.split('/');
  const prefixes = steps.map((_, i) => steps.slice(0, i + 1).join('/'));
  if (!prefixes.some((prefix) => stated.has(prefix))) return null;
  return prefixes.flatMap((prefix, i) => (objects.has(prefix) ? [stated.get(prefix) ?? steps[i]] : [])).join('/');
}

/**
 * Names of `keras-weights-v3`: by the objects along the path.
 * @param {{ file: Hdf5File }[]} shards @param {Map<string, Owner>} owners
 * @returns {Promise<Map<string, Naming>>}
 */
export async function objectNames(shards, owners) {
  /** @type {Map<string, string>} what users call objects */
  const stated = new Map();
  /** @type {Set<string>} */
  const objects = new Set();
  /** @type {Map<string, { path: string, index: string }[]>} what objects store */
  const stored = new Map();
  for (const { file } of shards) {
    for (const [path, group] of file.groups) {
      const object = objectOf(path);
      if (object === null) continue;
      objects.add(object);
      const name = await textAttribute(group, 'name');
      if (name) stated.set(object, name);
    }
    for (const path of file.datasets.keys()) {
      const cut = path.lastIndexOf('/');
      const object = cut < 0 ? null : objectOf(path.slice(0, cut));
      if (object !== null) stored.set(object, [...(stored.get(object) ?? []), { path, index: path.slice(cut + 1) }]);
    }
  }
  /** @type {Map<string, Naming>} */
  const names = new Map();
  for (const [object, own] of stored) nameObject(object, own, calledBy(object, stated, objects), matching(owners.get(object), stated.get(object)), names);
  return names;
}

/** What the config says of an object, unless the file calls it otherwise. @param {Owner | undefined} owner @param {string | undefined} stated */
const matching = (owner, stated) => (owner && (stated === undefined || stated === owner.name.slice(owner.name.lastIndexOf('/') + 1)) ? owner : undefined);

/** @param {string} object @param {{ path: string, index: string }[]} stored @param {string | null} called @param {Owner | undefined} owner @param {Map<string, Naming>} names */
function nameObject(object, stored, called, owner, names) {
  const variables = (owner && variablesOf(owner.className, owner.config, stored.length)) ?? [];
  const packed = owner && isInt4(owner.config);
  for (const { path, index } of stored) {
    const variable = /^[0-9]{1,9}$/.test(index) ? variables[Number(index)] : undefined;
    if (variable && owner) {
      const name = join(called ?? owner.name, variable.name);
      const isPacked = packed && PACKED.has(variable.name);
      names.set(path, { name, ...(/[0-9]$/.test(variable.name) ? {} : { keras: name }), role: variable.role, ...(isPacked ? { packing: 'int4' } : {}) });
    } else names.set(path, { ...(called === null ? {} : { name: join(called, index) }), role: roleByPath(object) });
  }
}
