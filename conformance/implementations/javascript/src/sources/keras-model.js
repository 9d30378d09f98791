/** Captured Keras models (section 13.11): a directory with `model.json` and files of safetensors. */
import { bitsOf, bytesOf, elementsOf } from '../dtypes.js';
import { Report, refuse } from '../findings.js';
import { isObject, parseJson } from '../json.js';
import { compareText } from '../text.js';
import { Artifact, MEDIA, declared, encodeHeader } from './artifact.js';
import { checkSchema, openFile, readWhole, walk } from './files.js';
import { LARGEST_CONFIG, addRead, readConfig } from './keras-config.js';
import { Findings } from './keras-findings.js';
import { numberShared } from './keras-values.js';
import { isMap, parseLoose } from './loose-json.js';
import { readHeader } from './safetensors.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('./safetensors.js').Entry} Entry */
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {{ name: string, role: string, dtype?: string, shape?: number[], slot?: string, of?: string, packing?: string }} Fact */
/** @typedef {{ kind: string, selection: string[], tensors: Fact[] } & Record<string, any>} Facts */

const MODEL = 'model.json';
const CONFIG = 'config.json';
const TRAINING = 'training.json';
const SELECTION = ['architecture', 'weights', 'training'];
/** Which files a part of the selection has. @type {Record<string, RegExp>} */
const FILES = {
  architecture: /^(?:config\.json|assets\/.+\/[^/]+)$/,
  weights: /^weights\.safetensors$/,
  training: /^(?:training\.json|optimizer\.safetensors|state\.safetensors)$/,
};
/** Files of tensors, with the roles that they hold, in the order of the table. */
const TENSORS = new Map([
  ['weights.safetensors', new Set(['trainable', 'non-trainable'])], ['optimizer.safetensors', new Set(['optimizer'])], ['state.safetensors', new Set(['metric', 'rng', 'other'])],
]);
const PROPERTIES = ['keras_version', 'backend', 'class_name', 'module', 'registered_name'];
const FLOATS = ['NaN', 'Infinity', '-Infinity'];
const LARGEST_ALIGNMENT = 64;

/** @param {Surroundings} surroundings @param {string} root */
export async function looksLikeKerasModel(surroundings, root) {
  const entry = await surroundings.directory.stat(`${root}/${MODEL}`);
  if (entry?.kind !== 'file') return false;
  const bytes = await surroundings.directory.open(`${root}/${MODEL}`);
  if (bytes.size > LARGEST_CONFIG) return false;
  const value = parseJson(await readWhole(bytes), MODEL, new Report());
  return isObject(value) && Object.hasOwn(value, 'keras_model');
}

/** @param {number} length */
function alignmentOf(length) {
  if (!length) return LARGEST_ALIGNMENT;
  let power = 1;
  while (power < LARGEST_ALIGNMENT && length % (2 * power) === 0) power *= 2;
  return power;
}

/** A value as plain JSON, for a schema. @param {Loose} value @returns {unknown} */
function plain(value) {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!isMap(value)) return value;
  return Object.fromEntries([...value].map(([key, member]) => [key, plain(member)]));
}

/** What is wrong with a tagged value (KMD-04), or null. @param {LooseMap} value @returns {string | null} */
function wrongTag(value) {
  const name = value.get('class_name');
  const members = [...value.keys()].sort().join();
  if (name === '__float__') return members === 'class_name,value' && FLOATS.includes(String(value.get('value'))) ? null : 'NaN, Infinity or -Infinity';
  if (name !== '__tuple__' && name !== '__dict__') return null;
  const items = value.get('items');
  if (members !== 'class_name,items' || !Array.isArray(items)) return 'a list of items';
  if (name === '__tuple__') return null;
  if (!items.every((item) => Array.isArray(item) && item.length === 2)) return 'pairs of key and value';
  const keys = items.map((item) => /** @type {Loose[]} */ (item)[0]);
  if (keys.every((key) => typeof key === 'string')) return 'a key that is no string';
  return new Set(keys.map((key) => JSON.stringify(plain(key)))).size === keys.length ? null : 'each key once';
}

/** KMD-04. @param {Loose} value @param {string} place */
function checkTags(value, place) {
  if (Array.isArray(value)) for (const item of value) checkTags(item, place);
  if (!isMap(value)) return;
  const wrong = wrongTag(value);
  if (wrong) refuse('KMD-04', place, wrong, [...value.keys()].join());
  for (const member of value.values()) checkTags(member, place);
}

/** KMD-04: numbers of shared objects are those of their first appearance. @param {Loose} value @param {string} place */
function checkShared(value, place) {
  for (const [written, number] of numberShared(value)) if (written !== number) refuse('KMD-04', place, `shared object ${number}`, String(written));
}

class KerasModel {
  /** @param {Surroundings} surroundings @param {string} root */
  constructor(surroundings, root) {
    this.surroundings = surroundings;
    this.root = root;
    this.artifact = new Artifact(root);
    /** @type {Map<string, Bytes>} by name below the root */
    this.files = new Map();
  }

  /** @param {string} name */
  path(name) {
    return `${this.root}/${name}`;
  }

  async read() {
    const { files, empty } = await walk(this.surroundings, this.root);
    for (const path of files) {
      const bytes = await openFile(this.surroundings, path);
      this.files.set(path.slice(this.root.length + 1), bytes);
      const mediaType = path.endsWith('.safetensors') ? MEDIA.safetensors : path.endsWith('.json') ? MEDIA.json : MEDIA.other;
      this.artifact.addSource(path, bytes, mediaType);
    }
    const facts = await this.facts();
    this.checkFiles(facts, empty);
    const properties = Object.fromEntries(PROPERTIES.filter((name) => facts[name]).map((name) => [name, facts[name]]));
    this.artifact.addComponent(this.root, 'keras.model', files, { selection: facts.selection, ...properties });
    await this.config(facts);
    await this.training();
    this.modules(facts);
    await this.tensors(facts);
    return this.artifact;
  }

  /** KMD-01. @returns {Promise<Facts>} */
  async facts() {
    const path = this.path(MODEL);
    const bytes = await openFile(this.surroundings, path, 'KMD-02');
    if (bytes.size > LARGEST_CONFIG) refuse('KMD-01', path, `at most ${LARGEST_CONFIG} bytes`, bytes.size);
    const report = new Report();
    const value = parseJson(await readWhole(bytes), path, report);
    const [finding] = report.findings;
    if (finding) refuse('KMD-01', finding.place, finding.expected, finding.found);
    checkSchema(this.surroundings, 'keras_model', value, 'KMD-01', path);
    const facts = /** @type {Facts} */ (/** @type {unknown} */ (value));
    const inOrder = SELECTION.filter((part) => facts.selection.includes(part));
    if (inOrder.join() !== facts.selection.join()) refuse('KMD-01', `${path}#/selection`, inOrder.join(), facts.selection);
    (facts.bound ?? []).forEach((/** @type {string} */ name, /** @type {number} */ i, /** @type {string[]} */ all) => {
      if (i && compareText(all[i - 1], name) >= 0) refuse('KMD-01', `${path}#/bound/${i}`, 'names ascending', name);
    });
    facts.tensors.forEach(({ name }, i) => {
      if (i && compareText(facts.tensors[i - 1].name, name) >= 0) refuse('KMD-01', `${path}#/tensors/${i}`, 'names ascending', name);
    });
    return facts;
  }

  /** KMD-02. @param {Facts} facts @param {string[]} empty directories */
  checkFiles({ selection }, empty) {
    if (empty.length) refuse('KMD-02', empty[0], 'no empty directory', 'one');
    for (const name of this.files.keys()) {
      if (name !== MODEL && !selection.some((part) => FILES[part].test(name))) refuse('KMD-02', this.path(name), `a file of ${selection}`, name);
    }
    if (selection.includes('architecture') && !this.files.has(CONFIG)) refuse('KMD-02', this.path(CONFIG), 'a config', 'none');
  }

  /** The text of a document with tagged values (KMD-04). @param {string} name @returns {Promise<{ text: Uint8Array, value: Loose } | null>} */
  async tagged(name) {
    const bytes = this.files.get(name);
    if (!bytes) return null;
    const place = this.path(name);
    if (bytes.size > LARGEST_CONFIG) refuse('KCF-02', place, `at most ${LARGEST_CONFIG} bytes`, bytes.size);
    const text = await readWhole(bytes);
    const { value, nonFinite } = parseLoose(text, {
      nonFinite: true, deepest: 500, values: 2 ** 20, escapes: 2 ** 20,
      refuse: (limit, at, expected, found) => refuse(limit ? 'KCF-02' : name === CONFIG ? 'KCF-01' : 'KMD-05', `${place}@${at}`, expected, found),
    });
    if (nonFinite) refuse('KMD-04', place, 'tagged values', 'NaN or Infinity');
    checkTags(value, place);
    checkShared(value, place);
    return { text, value };
  }

  /** @param {Facts} facts */
  async config({ kind }) {
    const found = await this.tagged(CONFIG);
    if (!found) return;
    const path = this.path(CONFIG);
    addRead(this.artifact, readConfig(found.text, path, { model: kind === 'model' }), path, this.root);
    const assets = [...this.files.keys()].filter((name) => name.startsWith('assets/')).map((name) => this.path(name));
    if (assets.length) this.artifact.addComponent(this.path('assets'), 'assets', assets, undefined, this.root);
  }

  /** Custom functions without a module have that of `functions`. @param {Facts} facts */
  modules({ functions = {} }) {
    this.artifact.customObjects = this.artifact.customObjects.map((one) => {
      const module = Object.hasOwn(functions, one.registeredName) ? functions[one.registeredName] : undefined;
      return (one.module === undefined || one.module === 'builtins') && typeof module === 'string' && module ? { ...one, module } : one;
    });
  }

  /** KMD-05. */
  async training() {
    const found = await this.tagged(TRAINING);
    if (!found) return;
    const path = this.path(TRAINING);
    checkSchema(this.surroundings, 'keras_training', plain(found.value), 'KMD-05', path);
    const findings = new Findings(found.value);
    this.artifact.customObjects.push(...[...findings.custom.values()].map((one) => ({ ...one, component: path })));
    this.artifact.addComponent(path, 'training', [path], undefined, this.root);
  }

  /** KMD-03. @param {Facts} facts */
  async tensors({ tensors }) {
    const names = new Set(tensors.map(({ name }) => name));
    for (const { name, of } of tensors) if (of !== undefined && !names.has(of)) refuse('KMD-03', `${this.path(MODEL)}#${name}`, 'a slot of a tensor that is listed', of);
    for (const [file, roles] of TENSORS) {
      const listed = tensors.filter(({ role }) => roles.has(role));
      const entries = await this.entries(file);
      for (const fact of listed) {
        const entry = entries.get(fact.name);
        if (!entry) refuse('KMD-03', `${this.path(file)}#${fact.name}`, 'a tensor that is listed', 'nothing');
        else this.tensor(file, fact, entry);
        entries.delete(fact.name);
      }
      for (const name of entries.keys()) refuse('KMD-03', `${this.path(file)}#${name}`, 'a tensor that is listed', 'one that is not');
    }
  }

  /** @param {string} file @param {Fact} fact @param {Entry} entry */
  tensor(file, { name, role, ...rest }, entry) {
    const { dtype, shape } = { ...entry, ...rest };
    const place = `${this.path(file)}#${name}`;
    const bits = bitsOf(dtype);
    if (bits === undefined || (bits && bytesOf(elementsOf(shape), bits) !== entry.length)) refuse('KMD-03', place, `a dtype and shape of ${entry.length} bytes`, `${dtype} [${shape}]`);
    const [own, there] = [declared({ dtype, shape, length: entry.length }), declared(entry)];
    if (own.dtype !== there.dtype || own.shape.join() !== there.shape.join()) refuse('KMD-03', place, `${own.dtype} [${own.shape}]`, `${there.dtype} [${there.shape}]`);
    const attributes = Object.fromEntries(['slot', 'of', 'packing'].flatMap((key) => {
      const value = rest[/** @type {'slot'} */ (key)];
      return value === undefined ? [] : [[key, value]];
    }));
    this.artifact.addTensor({ name, dtype, shape, file: this.path(file), offset: entry.offset, length: entry.length, role, names: { keras: name }, attributes });
  }

  /** The tensors of a file, whose header follows from them (KMD-06). @param {string} file @returns {Promise<Map<string, Entry>>} */
  async entries(file) {
    const bytes = this.files.get(file);
    if (!bytes) return new Map();
    const path = this.path(file);
    const { entries } = await readHeader(bytes, path);
    if (!entries.length) refuse('KMD-06', path, 'a tensor', 'none');
    const ordered = [...entries].sort((a, b) => alignmentOf(b.length) - alignmentOf(a.length) || compareText(a.name, b.name));
    const header = encodeHeader(ordered.map((entry) => ({ ...entry, ...declared(entry) })));
    const found = await bytes.read(0, Math.min(bytes.size, header.length));
    const at = header.findIndex((byte, i) => byte !== found[i]);
    if (at >= 0) refuse('KMD-06', `${path}@${at}`, 'the header that these tensors have', 'another');
    this.artifact.addComponent(path, 'safetensors', [path], undefined, this.root);
    return new Map(entries.map((entry) => [entry.name, entry]));
  }
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export const readKerasModel = (surroundings, root) => new KerasModel(surroundings, root).read();
