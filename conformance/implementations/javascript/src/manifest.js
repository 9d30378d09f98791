/** The manifest (chapters 5, 8, 9, 14, 15): step 5 and 6 of section 11.1. */
import { KINDS, checkKind } from './components.js';
import { HIGHEST_RANK, isDtype } from './dtypes.js';
import { pointerStep } from './findings.js';
import { isObject } from './json.js';
import {
  COMPOSITIONS, INDEX_FILES, MANIFEST, RESIDUE, TENSORS, checkCollisions, checkPath,
} from './paths.js';
import { compareText, compareTuples, utf8Length } from './text.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {import('./json.js').Json} Json */
/** @typedef {import('./json.js').JsonObject} JsonObject */

/**
 * @typedef {{ path: string, size: number, digest: string, mediaType: string,
 *   role: 'source' | 'part' | 'derived' | 'index', storage: 'stored' | 'composed' }} FileEntry
 * @typedef {{ id: string, kind: string, files: string[], derivedFrom?: string,
 *   mustUnderstand?: true, properties?: JsonObject }} Component
 * @typedef {{ registeredName: string, className: string, module?: string, component: string }} CustomObject
 * @typedef {{ modelbundle: string, files: FileEntry[], tensors: { count: number, bytes: number },
 *   components: Component[], signatures: JsonObject[],
 *   requirements: { layers: string[], customObjects: CustomObject[], ops: string[], dtypes: string[] },
 *   directories?: string[], name?: string, metadata?: JsonObject, extensions?: JsonObject }} Manifest
 */

export const VERSION = '1.0-draft';
const MAJOR = 1;
const MINOR = 0;
export const LARGEST_MANIFEST = 16 * 2 ** 20;
const MOST_FILES = 2 ** 20;
const LARGEST_RATIO = 256n;
const VERSION_FORM = /^([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-draft)?$/;
export const DIGEST_FORM = /^sha256:[0-9a-f]{64}$/;
const OTHER_ALGORITHM = /^(?!sha256:)[^:]+:/;
const MEDIA_TYPE = /^[A-Za-z0-9_.+-]+\/[A-Za-z0-9_.+-]+$/;
const EXTENSION_NAME = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/;

/** @typedef {'object' | 'array' | 'string' | 'count' | 'any' | 'true' | 'version'} Type */
/** @typedef {Record<string, { type: Type, optional?: true }>} Members */

/** @type {Members} */
const MANIFEST_MEMBERS = {
  modelbundle: { type: 'version' },
  files: { type: 'array' },
  tensors: { type: 'object' },
  components: { type: 'array' },
  signatures: { type: 'array' },
  requirements: { type: 'object' },
  directories: { type: 'array', optional: true },
  name: { type: 'string', optional: true },
  metadata: { type: 'object', optional: true },
  extensions: { type: 'object', optional: true },
};
/** @type {Members} */
const FILE_MEMBERS = {
  path: { type: 'string' }, size: { type: 'count' }, digest: { type: 'string' },
  mediaType: { type: 'string' }, role: { type: 'string' }, storage: { type: 'string' },
};
/** @type {Members} */
const COMPONENT_MEMBERS = {
  id: { type: 'string' }, kind: { type: 'string' }, files: { type: 'array' },
  derivedFrom: { type: 'string', optional: true },
  mustUnderstand: { type: 'true', optional: true },
  properties: { type: 'object', optional: true },
};
/** @type {Members} */
const SIGNATURE_MEMBERS = {
  name: { type: 'string' }, component: { type: 'string' }, inputs: { type: 'array' }, outputs: { type: 'array' },
};
/** @type {Members} */
const PORT_MEMBERS = { name: { type: 'string' }, dtype: { type: 'string' }, shape: { type: 'any' } };
/** @type {Members} */
const REQUIREMENT_MEMBERS = {
  layers: { type: 'array' }, customObjects: { type: 'array' }, ops: { type: 'array' }, dtypes: { type: 'array' },
};
/** @type {Members} */
const CUSTOM_MEMBERS = {
  registeredName: { type: 'string' }, className: { type: 'string' },
  module: { type: 'string', optional: true }, component: { type: 'string' },
};

/** @param {Json} value @returns {value is number} */
const isCount = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
/** @param {Json} value @returns {value is string} */
const isString = (value) => typeof value === 'string';

/** @param {Type} type @param {Json} value */
function hasType(type, value) {
  switch (type) {
    case 'object': return isObject(value);
    case 'array': return Array.isArray(value);
    case 'string': return typeof value === 'string' && value !== '';
    case 'version': return typeof value === 'string';
    case 'count': return isCount(value);
    case 'true': return value === true;
    default: return true;
  }
}

/** @param {Json} value Whether MAN-11 asks for the member to be left out. */
const isNothing = (value) =>
  value === null || value === false || value === '' ||
  (Array.isArray(value) && !value.length) || (isObject(value) && !Object.keys(value).length);

/** Checks one manifest. */
class Checker {
  /**
   * @param {Report} report
   * @param {boolean} newer the MINOR is greater than ours (VER-02)
   * @param {boolean} kinds whether kinds and extensions have to be understood
   */
  constructor(report, newer, kinds) {
    this.report = report;
    this.newer = newer;
    this.kinds = kinds;
  }

  /** @param {string} rule @param {string} pointer @param {string} expected @param {unknown} found */
  add(rule, pointer, expected, found) {
    this.report.add(rule, `${MANIFEST}#${pointer}`, expected, found);
  }

  /**
   * Required members, types, unknown and empty members (MAN-01, MAN-03, MAN-11).
   * @param {Json} value
   * @param {string} pointer
   * @param {Members} members
   * @param {string} [rule] a second rule that says the same of required members
   * @returns {JsonObject | null} null where it is no object
   */
  members(value, pointer, members, rule) {
    if (!isObject(value)) {
      this.add('MAN-01', pointer, 'an object', value);
      return null;
    }
    for (const [name, { type, optional }] of Object.entries(members)) {
      const at = `${pointer}/${name}`;
      if (!(name in value)) {
        if (optional) continue;
        this.add('MAN-01', pointer, `the member ${name}`, 'none');
        if (rule) this.add(rule, pointer, `the member ${name}`, 'none');
      } else if (optional && isNothing(value[name])) {
        this.add('MAN-11', at, 'a value, or no member', value[name]);
      } else if (!hasType(type, value[name])) {
        this.add('MAN-01', at, `a value of type ${type}`, value[name]);
        if (rule) this.add(rule, at, `a value of type ${type}`, value[name]);
      }
    }
    if (!this.newer) {
      for (const name of Object.keys(value)) {
        if (!Object.hasOwn(members, name)) {
          this.add('MAN-03', `${pointer}/${pointerStep(name)}`, `the members ${Object.keys(members).join(', ')}`, name);
        }
      }
    }
    return value;
  }

  /**
   * @param {string} rule
   * @param {Json[]} items
   * @param {string} pointer
   * @returns {void}
   */
  ascendingStrings(rule, items, pointer) {
    /** @type {string | undefined} */
    let last;
    items.forEach((item, i) => {
      if (!isString(item)) return;
      if (last !== undefined && compareText(last, item) >= 0) {
        this.add(rule, `${pointer}/${i}`, 'ascending items', `${item} after ${last}`);
      }
      last = item;
    });
  }

  /** @param {Json} value @param {string} pointer @returns {string[]} strings that are not empty */
  strings(value, pointer) {
    if (!Array.isArray(value)) return [];
    value.forEach((item, i) => {
      if (!hasType('string', item)) this.add('MAN-01', `${pointer}/${i}`, 'a string that is not empty', item);
    });
    return value.filter(isString);
  }

  /** @param {JsonObject} manifest */
  files(manifest) {
    const files = Array.isArray(manifest.files) ? manifest.files : [];
    if (files.length > MOST_FILES) {
      this.add('MAN-05', '/files', `at most ${MOST_FILES} files`, files.length);
    }
    let stored = 0n;
    let composed = 0n;
    let composedFiles = 0;
    /** @type {Map<string, number>} */
    const counts = new Map();
    /** @type {{ path: string, place: string }[]} */
    const paths = [];
    this.ascendingStrings('MAN-04', files.map((file) => (isObject(file) ? file.path ?? null : null)), '/files');
    files.forEach((value, i) => {
      const at = `/files/${i}`;
      const file = this.members(value, at, FILE_MEMBERS, 'MAN-05');
      if (!file) return;
      if (isString(file.path)) {
        const place = `${MANIFEST}#${at}/path`;
        if (checkPath(file.path, place, this.report)) paths.push({ path: file.path, place });
        if (file.path === MANIFEST) this.add('PTH-06', `${at}/path`, 'no listing of the manifest', file.path);
        if (isString(file.role) && (file.role === 'index') !== INDEX_FILES.has(file.path)) {
          this.add('PTH-06', `${at}/role`, 'role index for index files, and for them only', file.role);
        }
        if (INDEX_FILES.has(file.path)) {
          counts.set(file.path, (counts.get(file.path) ?? 0) + 1);
          if (file.storage !== 'stored') this.add('MAN-08', `${at}/storage`, 'index files that are stored', file.storage);
        }
      }
      if (isString(file.digest) && file.digest && !DIGEST_FORM.test(file.digest)) {
        const other = OTHER_ALGORITHM.test(file.digest);
        this.add(other ? 'MAN-06' : 'MAN-05', `${at}/digest`, 'sha256: and 64 hexadecimal digits', file.digest);
      }
      if (isString(file.mediaType) && file.mediaType && !MEDIA_TYPE.test(file.mediaType)) {
        this.add('MAN-05', `${at}/mediaType`, 'type/subtype', file.mediaType);
      }
      if (isString(file.role) && file.role && !['source', 'part', 'derived', 'index'].includes(file.role)) {
        this.add('MAN-05', `${at}/role`, 'source, part, derived or index', file.role);
      }
      if (file.storage === 'composed') {
        composedFiles++;
        if (isCount(file.size)) composed += BigInt(file.size);
        if (file.size === 0) this.add('CMP-05', `${at}/storage`, 'a file of size 0 to be stored', 'composed');
      } else if (file.storage === 'stored') {
        if (isCount(file.size)) stored += BigInt(file.size);
      } else if (isString(file.storage) && file.storage) {
        this.add('MAN-05', `${at}/storage`, 'stored or composed', file.storage);
      }
    });
    const most = BigInt(Number.MAX_SAFE_INTEGER);
    if (stored > most || composed > most || composed > LARGEST_RATIO * stored) {
      this.add('MAN-07', '/files', `at most 2^53 − 1 bytes, and composed at most ${LARGEST_RATIO} times stored`, `stored ${stored}, composed ${composed}`);
    }
    const hasTensors = counts.get(TENSORS) ?? 0;
    const hasCompositions = counts.get(COMPOSITIONS) ?? 0;
    if (hasTensors !== 1) this.add('MAN-08', '/files', `${TENSORS} once`, `${hasTensors} times`);
    if (hasCompositions !== (composedFiles ? 1 : 0)) {
      this.add('MAN-08', '/files', `${COMPOSITIONS} exactly if a file is composed`, `${hasCompositions} times, with ${composedFiles} composed files`);
    }
    if ((counts.get(RESIDUE) ?? 0) > 1) this.add('MAN-08', '/files', `${RESIDUE} at most once`, counts.get(RESIDUE));
    return paths;
  }

  /** @param {JsonObject} manifest @param {{ path: string, place: string }[]} paths of files */
  directories(manifest, paths) {
    const directories = Array.isArray(manifest.directories) ? manifest.directories : [];
    this.strings(directories, '/directories');
    this.ascendingStrings('MAN-10', directories, '/directories');
    /** @type {{ path: string, place: string }[]} */
    const own = [];
    directories.forEach((path, i) => {
      if (!isString(path)) return;
      const place = `${MANIFEST}#/directories/${i}`;
      if (path === MANIFEST) this.add('PTH-06', `/directories/${i}`, 'no listing of the manifest', path);
      const before = this.report.errors;
      if (checkPath(path, place, this.report)) own.push({ path, place });
      if (this.report.errors > before) this.add('MAN-10', `/directories/${i}`, 'a path of section 4.2', path);
    });
    const all = [...paths, ...own];
    const listed = new Set(directories);
    const taken = new Set(paths.map(({ path }) => path));
    for (const { path } of all) {
      for (let at = path.length; at > 0; at = path.lastIndexOf('/', at - 1)) {
        const prefix = path.slice(0, at);
        const below = at < path.length || taken.has(path);
        if (below && listed.has(prefix)) {
          this.add('MAN-10', '/directories', `nothing listed at or below ${prefix}`, path);
        }
      }
    }
    checkCollisions(all, this.report);
  }

  /** @param {JsonObject} manifest @param {Set<string>} paths */
  components(manifest, paths) {
    const components = Array.isArray(manifest.components) ? manifest.components : [];
    this.ascendingStrings('COM-01', components.map((c) => (isObject(c) ? c.id ?? null : null)), '/components');
    /** @type {Map<string, Json>} */
    const parentOf = new Map();
    components.forEach((value, i) => {
      const at = `/components/${i}`;
      const component = this.members(value, at, COMPONENT_MEMBERS);
      if (!component) return;
      const { id, kind } = component;
      if (isString(id)) {
        const length = utf8Length(id);
        if (length < 1 || length > 1024) this.add('COM-01', `${at}/id`, '1 to 1024 bytes', `${length} bytes`);
        parentOf.set(id, component.derivedFrom ?? null);
      }
      const files = this.strings(component.files, `${at}/files`);
      this.ascendingStrings('COM-02', files, `${at}/files`);
      files.forEach((path, k) => {
        if (!paths.has(path)) this.add('COM-02', `${at}/files/${k}`, 'a file that the manifest lists', path);
      });
      if (!isString(kind) || !this.kinds) return;
      const known = KINDS.get(kind);
      if (known) checkKind(known, /** @type {any} */ (component), `${MANIFEST}#${at}`, this.report);
      else if (component.mustUnderstand === true) {
        this.add('COM-03', `${at}/kind`, 'a kind that this implementation knows', kind);
      }
    });
    components.forEach((component, i) => {
      if (!isObject(component) || !isString(component.derivedFrom) || !component.derivedFrom) return;
      const at = `/components/${i}/derivedFrom`;
      const from = component.derivedFrom;
      if (!parentOf.has(from) || from === component.id) {
        this.add('COM-04', at, 'the id of another component', from);
        return;
      }
      const seen = new Set();
      /** @type {Json} */
      let walker = from;
      while (isString(walker) && !seen.has(walker)) {
        seen.add(walker);
        walker = parentOf.get(walker) ?? null;
      }
      if (isString(walker) && isString(component.id) && seen.has(component.id)) {
        this.add('COM-04', at, 'no cycle', from);
      }
    });
    return new Set(parentOf.keys());
  }

  /** @param {Json} value @param {string} pointer */
  ports(value, pointer) {
    if (!Array.isArray(value)) return;
    const names = new Set();
    value.forEach((item, i) => {
      const at = `${pointer}/${i}`;
      const port = this.members(item, at, PORT_MEMBERS, 'SIG-03');
      if (!port) return;
      if (isString(port.name)) {
        if (names.has(port.name)) this.add('SIG-01', `${at}/name`, 'names that differ', port.name);
        names.add(port.name);
      }
      if (isString(port.dtype) && port.dtype && !isDtype(port.dtype)) {
        this.add('SIG-03', `${at}/dtype`, 'a dtype of section 4.6', port.dtype);
      }
      if (!('shape' in port) || port.shape === null) return;
      if (!Array.isArray(port.shape)) {
        this.add('SIG-03', `${at}/shape`, 'null or an array', port.shape);
        this.add('MAN-01', `${at}/shape`, 'null or an array', port.shape);
        return;
      }
      if (port.shape.length > HIGHEST_RANK) {
        this.add('SIG-03', `${at}/shape`, `at most ${HIGHEST_RANK} dimensions`, port.shape.length);
      }
      port.shape.forEach((dimension, k) => {
        if (dimension === null || isCount(dimension) || hasType('string', dimension)) return;
        this.add('SIG-03', `${at}/shape/${k}`, 'a size, null or a string that is not empty', dimension);
      });
    });
  }

  /** @param {JsonObject} manifest @param {Set<string>} ids */
  signatures(manifest, ids) {
    const signatures = Array.isArray(manifest.signatures) ? manifest.signatures : [];
    /** @type {string[] | undefined} */
    let last;
    signatures.forEach((value, i) => {
      const at = `/signatures/${i}`;
      const signature = this.members(value, at, SIGNATURE_MEMBERS);
      if (!signature) return;
      const { name, component } = signature;
      if (isString(component) && !ids.has(component)) {
        this.add('SIG-02', `${at}/component`, 'a component of the bundle', component);
      }
      if (isString(name) && isString(component)) {
        const key = [name, component];
        if (last && compareTuples(last, key) >= 0) {
          this.add('SIG-01', at, 'signatures ascending by name and component', key);
        }
        last = key;
      }
      this.ports(signature.inputs, `${at}/inputs`);
      this.ports(signature.outputs, `${at}/outputs`);
    });
  }

  /** @param {JsonObject} manifest @param {Set<string>} ids */
  requirements(manifest, ids) {
    if (!isObject(manifest.requirements)) return;
    const at = '/requirements';
    const requirements = /** @type {JsonObject} */ (this.members(manifest.requirements, at, REQUIREMENT_MEMBERS));
    for (const name of ['layers', 'ops', 'dtypes']) {
      this.ascendingStrings('REQ-01', this.strings(requirements[name], `${at}/${name}`), `${at}/${name}`);
    }
    const customs = Array.isArray(requirements.customObjects) ? requirements.customObjects : [];
    /** @type {string[] | undefined} */
    let last;
    customs.forEach((value, i) => {
      const here = `${at}/customObjects/${i}`;
      const custom = this.members(value, here, CUSTOM_MEMBERS);
      if (!custom) return;
      if (isString(custom.component) && !ids.has(custom.component)) {
        this.add('REQ-02', `${here}/component`, 'a component of the bundle', custom.component);
      }
      const key = [custom.registeredName, custom.className, custom.module ?? '', custom.component];
      if (!key.every(isString)) return;
      if (last && compareTuples(last, key) >= 0) this.add('REQ-01', here, 'ascending custom objects', key);
      last = key;
    });
  }

  /** @param {JsonObject} manifest */
  extensions(manifest) {
    if (!isObject(manifest.extensions)) return;
    for (const [name, value] of Object.entries(manifest.extensions)) {
      const at = `/extensions/${pointerStep(name)}`;
      if (!EXTENSION_NAME.test(name)) this.add('EXT-01', at, 'a domain name in reverse order', name);
      if (!isObject(value)) this.add('EXT-01', at, 'an object', value);
      else if ('mustUnderstand' in value) {
        if (value.mustUnderstand !== true) {
          this.add('EXT-01', `${at}/mustUnderstand`, 'true, or no member', value.mustUnderstand);
        } else if (this.kinds) this.add('EXT-02', at, 'an extension that this implementation knows', name);
      }
    }
  }
}

/**
 * Steps 5 and 6 of section 11.1.
 * @param {Json} value
 * @param {Report} report
 * @param {{ kinds?: boolean }} [options] kinds: false for a Copier, who needs no kind or extension
 * @returns {{ manifest: Manifest, newer: boolean } | null} null where nothing more can be understood
 */
export function checkManifest(value, report, { kinds = true } = {}) {
  const before = report.errors;
  if (!isObject(value)) {
    report.add('MAN-01', `${MANIFEST}#`, 'an object', value);
    return null;
  }
  let newer = false;
  if (typeof value.modelbundle === 'string') {
    const version = VERSION_FORM.exec(value.modelbundle);
    const at = `${MANIFEST}#/modelbundle`;
    if (!version) report.add('MAN-02', at, 'MAJOR.MINOR or MAJOR.MINOR-draft', value.modelbundle);
    else if (Number(version[1]) !== MAJOR) {
      report.add('VER-01', at, `MAJOR ${MAJOR}`, value.modelbundle);
      return null;
    } else newer = Number(version[2]) > MINOR;
  } else if ('modelbundle' in value) {
    report.add('MAN-02', `${MANIFEST}#/modelbundle`, 'a string', value.modelbundle);
  }
  const checker = new Checker(report, newer, kinds);
  checker.members(value, '', MANIFEST_MEMBERS);
  if (isObject(value.tensors)) {
    checker.members(value.tensors, '/tensors', { count: { type: 'count' }, bytes: { type: 'count' } });
  }
  const paths = checker.files(value);
  checker.directories(value, paths);
  const listed = new Set(Array.isArray(value.files) ? value.files.flatMap((f) => (isObject(f) && isString(f.path) ? [f.path] : [])) : []);
  const ids = checker.components(value, listed);
  checker.signatures(value, ids);
  checker.requirements(value, ids);
  checker.extensions(value);
  // The rest of a bundle is understood where the shape of the manifest is right.
  const shapely = !['MAN-01', 'MAN-02', 'MAN-05', 'MAN-08', 'MAN-11', 'PTH-01', 'PTH-02', 'PTH-05', 'PTH-06'].some((rule) => report.has(rule));
  if (report.errors > before && !shapely) return null;
  return { manifest: /** @type {Manifest} */ (/** @type {unknown} */ (value)), newer };
}
