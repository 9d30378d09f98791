/**
 * Level Full of a Validator: each source in a bundle is read again, and what chapter 13 makes of it is held
 * against components, index, derived files and requirements (COM-06, COM-07, REQ-03).
 *
 *     await checkSources(bundle, schemas, report);
 */
import { KINDS } from './components.js';
import { NoAnswer, Refusal, Report } from './findings.js';
import { canonicalJson, isObject, parseJson } from './json.js';
import { parents } from './paths.js';
import { pieces } from './platform.js';
import { compareText } from './text.js';
import { readComponent } from './sources/component.js';
import { checkSignatures } from './sources/golden.js';
/** @typedef {import('./manifest.js').Component} Component */
/** @typedef {import('./manifest.js').FileEntry} FileEntry */
/** @typedef {import('./platform.js').Bytes} Bytes */
/** @typedef {import('./platform.js').Directory} Directory */
/** @typedef {import('./reader.js').Bundle} Bundle */
/** @typedef {import('./schemas.js').Schemas} Schemas */
/** @typedef {import('./sources/artifact.js').Artifact} Artifact */
/** @typedef {import('./sources/artifact.js').Tensor} Tensor */

const LARGEST_DOCUMENT = 64 * 2 ** 20;
const DOCUMENT = /(?:^|\/)(topology|object_graph)\.json$/;

/** A file of a bundle as bytes, composed ones too. @param {Bundle} bundle @param {FileEntry} file @returns {Bytes} */
export function fileBytes(bundle, file) {
  const ranges = bundle.rangesOf(file);
  const read = async (/** @type {number} */ offset, /** @type {number} */ length) => {
    const out = new Uint8Array(length);
    let at = 0;
    for (const segment of ranges) {
      const begin = Math.max(offset, at);
      const end = Math.min(offset + length, at + segment.length);
      if (begin < end) out.set(await bundle.readNear(segment.source, segment.offset + begin - at, end - begin), begin - offset);
      at += segment.length;
    }
    return out;
  };
  return { size: file.size, read, close: async () => {} };
}

/** The files of some components as a directory. @param {Bundle} bundle @param {Iterable<string>} paths @returns {Directory} */
function bundleDirectory(bundle, paths) {
  const files = new Set(paths);
  const directories = new Set([...parents(files), ...(bundle.manifest.directories ?? [])]);
  for (const path of parents(directories)) directories.add(path);
  return {
    async stat(path) {
      if (files.has(path)) return { kind: 'file', size: bundle.files.get(path)?.size ?? 0, links: 1 };
      return directories.has(path) ? { kind: 'directory', size: 0, links: 1 } : null;
    },
    open: async (path) => fileBytes(bundle, /** @type {FileEntry} */ (bundle.files.get(path))),
    async list(path) {
      const prefix = path ? `${path.replace(/\/$/, '')}/` : '';
      const below = [...files, ...directories].filter((one) => one.startsWith(prefix) && one !== path);
      return [...new Set(below.map((one) => one.slice(prefix.length).split('/')[0]))].sort(compareText);
    },
  };
}

/** JSN-01 to JSN-08 and COM-07 on topology and object graph. @param {Bundle} bundle @param {Schemas | null} schemas @param {Report} report */
async function checkDocuments(bundle, schemas, report) {
  for (const file of bundle.manifest.files) {
    const name = file.role === 'derived' ? DOCUMENT.exec(file.path)?.[1] : undefined;
    if (name === undefined) continue;
    if (file.size > LARGEST_DOCUMENT) {
      report.add('COM-07', file.path, `at most ${LARGEST_DOCUMENT} bytes`, file.size);
      continue;
    }
    const before = report.errors;
    const value = parseJson(await fileBytes(bundle, file).read(0, file.size), file.path, report);
    if (value === undefined || report.errors > before) continue;
    for (const { pointer, message } of schemas?.errors(name, JSON.parse(canonicalJson(value))) ?? []) {
      report.add('COM-07', `${file.path}#${pointer}`, 'what its schema accepts', message);
    }
  }
}

/** @param {Bundle} bundle @param {Bytes} bytes @param {number} offset @param {number} length */
async function digestOfRange(bundle, bytes, offset, length) {
  const hash = bundle.platform.sha256();
  for await (const piece of pieces(bytes, offset, length)) hash.update(piece);
  return `sha256:${await hash.hex()}`;
}

/** Rows by name, of a component's namespaces, by system. @param {Bundle} bundle @param {string} id */
function namesOf(bundle, id) {
  /** @type {Map<string, Map<string, number>>} */
  const systems = new Map();
  for (const { component, system, names, tensors } of bundle.index?.namespaces ?? []) {
    if (component === id) systems.set(system, new Map(names.map((name, i) => [name, tensors[i]])));
  }
  return systems;
}

/** What a source has once its rows are compared, by COM-06. */
class Comparison {
  /** @param {Bundle} bundle @param {Artifact} artifact @param {string} id @param {Report} report */
  constructor(bundle, artifact, id, report) {
    this.bundle = bundle;
    this.artifact = artifact;
    this.id = id;
    this.report = report;
    this.bytes = new Map(artifact.files.map((file) => [file.path, file.bytes]));
  }

  /** @param {string} expected @param {unknown} found */
  add(expected, found) {
    this.report.add('COM-06', this.id, expected, found);
  }

  async tensors() {
    const systems = namesOf(this.bundle, this.id);
    /** @type {Map<string, Set<string>>} */
    const seen = new Map();
    for (const tensor of this.artifact.tensors) {
      for (const [system, name] of Object.entries(tensor.names)) {
        seen.set(system, (seen.get(system) ?? new Set()).add(name));
        const row = systems.get(system)?.get(name);
        if (row === undefined) this.add(`a row that ${system} calls ${name}`, 'none');
        else await this.row(tensor, row);
      }
    }
    for (const { name, dtype, shape } of this.artifact.bindings) {
      seen.set('stablehlo', (seen.get('stablehlo') ?? new Set()).add(name));
      const number = systems.get('stablehlo')?.get(name);
      const row = number === undefined ? null : /** @type {import('./tensor-index.js').TensorIndex} */ (this.bundle.index).row(number);
      if (!row) this.report.add('SHL-03', this.id, `a row for ${name}`, 'none');
      else if (row.dtype !== dtype || row.shape.join() !== shape.join()) this.report.add('SHL-04', this.id, `${dtype} [${shape}] for ${name}`, `${row.dtype} [${row.shape}]`);
    }
    for (const [system, names] of systems) {
      const own = seen.get(system);
      // Names in systems that this standard does not define are their Writer's.
      if (!own && !SYSTEMS.has(system)) continue;
      for (const name of names.keys()) if (!own?.has(name)) this.add(`a tensor that ${system} calls so`, name);
    }
  }

  /** @param {Tensor} tensor @param {number} number */
  async row(tensor, number) {
    const row = /** @type {import('./tensor-index.js').TensorIndex} */ (this.bundle.index).row(number);
    if (row.dtype !== tensor.dtype || row.shape.join() !== tensor.shape.join()) {
      this.add(`${tensor.dtype} [${tensor.shape}] for ${tensor.name}`, `${row.dtype} [${row.shape}]`);
      return;
    }
    if (row.file === tensor.file && row.offset === tensor.offset && row.length === tensor.length) return;
    const digest = await digestOfRange(this.bundle, /** @type {Bytes} */ (this.bytes.get(tensor.file)), tensor.offset, tensor.length);
    if (digest !== row.digest) this.add(`the bytes of ${tensor.name}`, `others, at ${row.file}@${row.offset}`);
  }

  /** Members and derived files that are listed are what the source makes. */
  async files() {
    for (const { path, role, bytes } of this.artifact.files) {
      if (role === 'source') continue;
      const file = this.bundle.files.get(path);
      if (!file || file.role === 'source' || file.role === 'index') continue;
      const digest = await digestOfRange(this.bundle, bytes, 0, bytes.size);
      if (digest !== file.digest) this.report.add('COM-06', path, `what ${this.id} makes: ${digest}`, file.digest);
    }
  }

  /** SHL-05: the signature and the properties of a portable graph. */
  graph() {
    const { components, signatures } = this.bundle.manifest;
    const own = components.find(({ id }) => id === this.id);
    if (own?.kind !== 'stablehlo') return;
    const [made] = this.artifact.components;
    const text = (/** @type {any} */ value) => canonicalJson(value ?? {});
    const { format_version: version, platforms = [] } = /** @type {any} */ (own.properties);
    const stated = /** @type {any} */ (made).properties;
    if (version !== stated.format_version || text(platforms) !== text(stated.platforms ?? [])) this.report.add('SHL-05', this.id, text(stated), text(own.properties));
    const listed = /** @type {any[]} */ (signatures).filter(({ component }) => component === this.id);
    if (text(listed) !== text(this.artifact.signatures)) this.report.add('SHL-05', this.id, text(this.artifact.signatures), text(listed));
  }

  /** Components that are taken from the source have its kinds and files. */
  components() {
    const listed = new Map(this.bundle.manifest.components.map((component) => [component.id, component]));
    for (const { id, kind, files } of this.artifact.components) {
      const own = listed.get(id);
      if (!own) continue;
      if (own.kind !== kind) this.report.add('COM-06', id, `the kind ${kind}`, own.kind);
      else if (id !== this.id && own.files.join('\n') !== files.join('\n')) this.report.add('COM-06', id, `the files ${files}`, own.files.join());
    }
  }
}

/** Naming systems of section 6.4. */
const SYSTEMS = new Set(['hdf5', 'keras', 'stablehlo', 'tensorflow.checkpoint', 'tensorflow.saved_model', 'tensorflow.variable', 'safetensors', 'onnx']);

/** Components that are sources as a whole: not taken from another that is read again. @param {Component[]} components */
function wholes(components) {
  const byId = new Map(components.map((component) => [component.id, component]));
  return components.filter(({ derivedFrom }) => derivedFrom === undefined || !byId.has(derivedFrom));
}

/** The files of a component and of all that is taken from it. @param {Component} whole @param {Component[]} components */
function allFiles(whole, components) {
  const ids = new Set([whole.id]);
  const files = new Set(whole.files);
  for (let size = 0; size < ids.size;) {
    size = ids.size;
    for (const { id, derivedFrom, files: own } of components) {
      if (derivedFrom === undefined || !ids.has(derivedFrom)) continue;
      ids.add(id);
      for (const path of own) files.add(path);
    }
  }
  return files;
}

/** The topology that belongs to a config, if it can be read. @param {Bundle} bundle @param {string} id @returns {Promise<import('./json.js').JsonObject | null>} */
async function topologyOf(bundle, id) {
  const component = bundle.manifest.components.find((one) => one.id === id);
  const path = component?.files.find((one) => DOCUMENT.exec(one)?.[1] === 'topology');
  const file = path === undefined ? undefined : bundle.files.get(path);
  if (!file || file.size > LARGEST_DOCUMENT) return null;
  const value = parseJson(await fileBytes(bundle, file).read(0, file.size), file.path, new Report());
  return isObject(value) ? value : null;
}

/** REQ-03. What a component of an unknown kind uses cannot be seen, so that nothing is too much beside one. @param {Bundle} bundle @param {Artifact[]} artifacts @param {Report} report */
function checkRequirements(bundle, artifacts, report) {
  const { components, requirements: { layers, ops, customObjects } } = bundle.manifest;
  const allKnown = components.every(({ kind }) => KINDS.has(kind));
  const compare = (/** @type {string} */ name, /** @type {string[]} */ stated, /** @type {Set<string>} */ found) => {
    const place = `manifest.json#/requirements/${name}`;
    for (const one of found) if (!stated.includes(one)) report.add('REQ-03', place, one, 'nothing');
    for (const one of stated) if (allKnown && !found.has(one)) report.add('REQ-03', place, 'what configs and graphs use', one);
  };
  compare('layers', layers, new Set(artifacts.flatMap((artifact) => [...artifact.layers])));
  compare('ops', ops, new Set(artifacts.flatMap((artifact) => [...artifact.ops])));
  const text = (/** @type {any} */ one) => canonicalJson(one);
  compare('customObjects', customObjects.map(text), new Set(artifacts.flatMap((artifact) => artifact.customObjects.map(text))));
}

/**
 * Checks the components of a bundle against their files.
 * @param {Bundle} bundle whose index and compositions were read
 * @param {Schemas | null} schemas
 * @param {Report} report
 */
export async function checkSources(bundle, schemas, report) {
  await checkDocuments(bundle, schemas, report);
  const { components } = bundle.manifest;
  /** @type {Artifact[]} */
  const artifacts = [];
  let complete = true;
  for (const whole of wholes(components)) {
    const directory = bundleDirectory(bundle, allFiles(whole, components));
    try {
      const artifact = await readComponent({ platform: bundle.platform, directory, schemas }, whole);
      if (!artifact) continue;
      artifacts.push(artifact);
      const comparison = new Comparison(bundle, artifact, whole.id, report);
      comparison.components();
      comparison.graph();
      await comparison.files();
      await comparison.tensors();
      await checkSignatures(artifact.vectors, whole.id, {
        signatures: /** @type {any[]} */ (bundle.manifest.signatures),
        kindOf: (id) => components.find((one) => one.id === id)?.kind,
        topologyOf: (id) => topologyOf(bundle, id),
      });
    } catch (error) {
      complete = false;
      // A caller that gave no schemas has not asked for what needs them.
      if (error instanceof NoAnswer) continue;
      if (!(error instanceof Refusal)) throw error;
      for (const { rule, place, expected, found, hint } of error.findings) report.add(rule, place, expected, found, hint);
    }
  }
  if (complete) checkRequirements(bundle, artifacts, report);
}
