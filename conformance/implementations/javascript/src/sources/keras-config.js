/** Keras configs (section 13.8): as sources of their own, and as parts of others. */
import { refuse, Report } from '../findings.js';
import { canonicalJson, parseJson } from '../json.js';
import { encodeUtf8 } from '../text.js';
import { Artifact, MEDIA } from './artifact.js';
import { openFile, readWhole } from './files.js';
import { Findings } from './keras-findings.js';
import { Topology } from './keras-topology.js';
import { isMap, parseLoose } from './loose-json.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./keras-topology.js').Dialect} Dialect */
/** @typedef {import('./keras-topology.js').Form} Form */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {import('../json.js').Json} Json */

/**
 * @typedef {object} GivenConfig  A config in another source.
 * @property {Uint8Array} config
 * @property {Uint8Array} [training]
 * @property {boolean} model  whether the source is a model
 * @property {string} [kerasVersion]  as what is around the config says; a fact of the source, not of the config
 *
 * @typedef {object} ReadConfig
 * @property {Loose} value
 * @property {Uint8Array} topology
 * @property {JsonObject} document  the topology
 * @property {JsonObject} properties
 * @property {string[]} layers
 * @property {{ registeredName: string, className: string, module?: string }[]} custom
 * @property {Dialect} dialect
 */

export const LARGEST_CONFIG = 64 * 2 ** 20;
const DEEPEST = 500;
const MOST_VALUES = 2 ** 20;

/** Keys that only one dialect writes, in the order in which they decide. @type {[Dialect, Set<string>][]} */
const MARKS = [
  ['keras1', new Set(['nb_filter', 'W_regularizer', 'inner_init', 'border_mode'])],
  ['keras3', new Set(['batch_shape', 'keras_history'])],
  ['keras2', new Set(['batch_input_shape'])],
  ['keras3', new Set(['module'])],
];

/** All keys of a value. @param {Loose} value @param {Set<string>} keys */
function keysOf(value, keys) {
  if (Array.isArray(value)) for (const item of value) keysOf(item, keys);
  if (isMap(value)) {
    for (const [key, member] of value) {
      keys.add(key);
      keysOf(member, keys);
    }
  }
  return keys;
}

/** @param {Loose} value @returns {Dialect} */
function dialectOf(value) {
  const stated = isMap(value) ? value.get('keras_version') : undefined;
  const major = typeof stated === 'string' ? /^([0-9]+)(?:\.|$)/.exec(stated)?.[1] : undefined;
  if (major !== undefined) return Number(major) < 2 ? 'keras1' : Number(major) === 2 ? 'keras2' : 'keras3';
  if (Array.isArray(value) || (isMap(value) && Array.isArray(value.get('config')))) return 'keras1';
  const keys = keysOf(value, new Set());
  return MARKS.find(([, marks]) => [...marks].some((key) => keys.has(key)))?.[0] ?? 'keras2';
}

/** Whether the shapes of parameters cannot be told from the config alone. @param {Form} form @param {JsonObject} document */
function needsBuild(form, document) {
  if (form === 'functional') return false;
  if (form !== 'sequential') return document.build_config === undefined;
  const [first] = /** @type {JsonObject[]} */ (document.layers);
  return first?.batch_shape === undefined;
}

/** The topology has limits of its own (KCF-02). @param {JsonObject} document @param {string} place */
function encodeTopology(document, place) {
  const topology = encodeUtf8(canonicalJson(document));
  const report = new Report();
  parseJson(topology, place, report);
  const [finding] = report.findings;
  if (finding) refuse('KCF-02', place, `a topology within the limits: ${finding.expected}`, finding.found);
  if (topology.length > LARGEST_CONFIG) refuse('KCF-02', place, `a topology of at most ${LARGEST_CONFIG} bytes`, topology.length);
  return topology;
}

/** @param {Loose} value @param {string} name */
const textAt = (value, name) => {
  const text = isMap(value) ? value.get(name) : undefined;
  return typeof text === 'string' ? text : undefined;
};

/**
 * Reads a config (KCF-01 to KCF-03).
 * @param {Uint8Array} bytes
 * @param {string} place
 * @param {{ model?: boolean, rule?: string }} [about] model: whether the source is one; rule: that text which is not JSON breaks
 * @returns {ReadConfig}
 */
export function readConfig(bytes, place, { model = false, rule = 'KCF-01' } = {}) {
  if (bytes.length > LARGEST_CONFIG) refuse('KCF-02', place, `at most ${LARGEST_CONFIG} bytes`, bytes.length);
  const { value, nonFinite } = parseLoose(bytes, {
    nonFinite: true, deepest: DEEPEST, values: MOST_VALUES, escapes: MOST_VALUES,
    refuse: (limit, at, expected, found) => refuse(limit ? 'KCF-02' : rule, `${place}@${at}`, expected, found),
  });
  const dialect = dialectOf(value);
  const topology = new Topology(value, dialect, place, model);
  const { document, form, config } = topology.document();
  const { listed, layers, custom } = new Findings(value);
  const [version, engine, name] = [textAt(value, 'keras_version'), textAt(value, 'backend'), textAt(config, 'name')];
  return {
    value, document, dialect,
    topology: encodeTopology(document, place),
    layers: [...layers],
    custom: [...custom.values()],
    properties: {
      dialect, form,
      ...(name === undefined ? {} : { name }),
      ...(version === undefined ? {} : { keras_version: version }),
      ...(engine === undefined ? {} : { backend: engine }),
      parameters_need_build: needsBuild(form, document),
      ...(nonFinite ? { non_finite: true } : {}),
      ...(listed.length ? { hazards: /** @type {any} */ (listed) } : {}),
    },
  };
}

/**
 * Adds the topology, the component and the requirements of a config that was read.
 * @param {Artifact} artifact @param {ReadConfig} read @param {string} path of the config, which is the id @param {string} [derivedFrom]
 */
export function addRead(artifact, read, path, derivedFrom) {
  const topology = `${artifact.root}.derived/topology.json`;
  artifact.addDerived(topology, read.topology);
  artifact.addComponent(path, 'keras.config', [path, topology], read.properties, derivedFrom);
  for (const name of read.layers) artifact.layers.add(name);
  artifact.customObjects.push(...read.custom.map((one) => ({ ...one, component: path })));
}

/** Adds a config that another source holds, and its training config. @param {Artifact} artifact @param {GivenConfig} given @param {string} derivedFrom @param {string} [rule] @returns {ReadConfig} */
export function addConfig(artifact, given, derivedFrom, rule) {
  const path = `${artifact.root}.derived/config.json`;
  const read = readConfig(given.config, path, { ...given, rule });
  artifact.addDerived(path, given.config);
  addRead(artifact, read, path, derivedFrom);
  if (given.training) {
    const training = `${artifact.root}.derived/training.json`;
    artifact.addDerived(training, given.training);
    artifact.addComponent(training, 'training', [training], undefined, derivedFrom);
  }
  return read;
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readKerasConfig(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  if (bytes.size > LARGEST_CONFIG) refuse('KCF-02', root, `at most ${LARGEST_CONFIG} bytes`, bytes.size);
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes, MEDIA.json);
  addRead(artifact, readConfig(await readWhole(bytes), root), root);
  return artifact;
}
