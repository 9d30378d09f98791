/** The tensor index (chapter 6): step 8 of section 11.1. */
import { firstNotBelow, packU32, packU64, unpackSmall, unpackU64 } from './columns.js';
import { HIGHEST_RANK, bitsOf, bytesOf, elementsOf, isDtype } from './dtypes.js';
import { pointerStep } from './findings.js';
import { MANIFEST, TENSORS } from './paths.js';
import { decodeMsgpack, encodeMsgpack, isMap } from './msgpack.js';
import { CONTROL, compareText, compareTuples, fromHex, toHex, utf8Length } from './text.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./msgpack.js').Packed} Packed */
/** @typedef {import('./msgpack.js').PackedMap} PackedMap */

/**
 * @typedef {{ component: string, system: string, tensors: Uint32Array, names: string[] }} Namespace
 * @typedef {{ tensor: number, values: Record<string, string> }} Attribute
 * @typedef {{ name: string, dtype: string, shape: number[], file: string, offset: number,
 *   length: number, digest: string, role: string }} Row
 */

export const LARGEST_INDEX = 2 ** 30;
export const ROLES = ['metric', 'non-trainable', 'optimizer', 'other', 'rng', 'trainable'];
const SYSTEM = /^[a-z0-9_]+(\.[a-z0-9_]+)*$/;
const LONGEST_NAME = 4096;

/** @type {Record<string, 'integer' | 'texts' | 'maps' | 1 | 4 | 8 | 32>} */
const MEMBERS = {
  attributes: 'maps', count: 'integer', digest: 32, dtype: 1, dtypes: 'texts', file: 4, files: 'texts',
  length: 8, names: 'texts', namespaces: 'maps', offset: 8, rank: 1, role: 1, roles: 'texts', shape: 8,
};

/** The index of a bundle, by columns. */
export class TensorIndex {
  /** @param {PackedMap} map of the right types */
  constructor(map) {
    const bin = (/** @type {string} */ name) => /** @type {Uint8Array} */ (map[name]);
    const texts = (/** @type {string} */ name) => /** @type {string[]} */ (map[name]);
    this.count = Number(map.count);
    this.names = texts('names');
    this.dtypes = texts('dtypes');
    this.dtype = bin('dtype');
    this.rank = bin('rank');
    const shape = /** @type {Uint8Array} */ (map.shape);
    this.shapeView = new DataView(shape.buffer, shape.byteOffset, shape.byteLength);
    this.shape = unpackU64(bin('shape'));
    this.files = texts('files');
    this.file = unpackSmall(bin('file'), 4);
    this.offset = unpackU64(bin('offset'));
    this.length = unpackU64(bin('length'));
    this.digest = bin('digest');
    this.roles = texts('roles');
    this.role = bin('role');
    /** @type {Namespace[]} */
    this.namespaces = /** @type {PackedMap[]} */ (map.namespaces).map((namespace) => ({
      component: /** @type {string} */ (namespace.component),
      system: /** @type {string} */ (namespace.system),
      tensors: /** @type {Uint32Array} */ (unpackSmall(/** @type {Uint8Array} */ (namespace.tensors), 4)),
      names: /** @type {string[]} */ (namespace.names),
    }));
    /** @type {Attribute[]} */
    this.attributes = /** @type {PackedMap[]} */ (map.attributes).map((attribute) => ({
      tensor: Number(attribute.tensor),
      values: /** @type {Record<string, string>} */ (attribute.values),
    }));
    /** First dimension of each row in shape. */
    this.starts = new Float64Array(this.rank.length + 1);
    for (let i = 0; i < this.rank.length; i++) this.starts[i + 1] = this.starts[i] + this.rank[i];
  }

  /** @param {number} i */
  shapeOf(i) {
    return this.shape.subarray(this.starts[i], this.starts[i + 1]);
  }

  /** The dimensions of a row, those beyond 2^53 − 1 as bigints: a row with a 0 among them can have any. @param {number} i @returns {(number | bigint)[]} */
  exactShape(i) {
    const start = this.starts[i];
    return Array.from(this.shapeOf(i), (size, d) => (Number.isSafeInteger(size) ? size : this.shapeView.getBigUint64(8 * (start + d), true)));
  }

  /** @param {number} i @returns {string} */
  digestOf(i) {
    return `sha256:${toHex(this.digest.subarray(32 * i, 32 * i + 32))}`;
  }

  /** @param {number} i @returns {Row} */
  row(i) {
    return {
      name: this.names[i],
      dtype: this.dtypes[this.dtype[i]],
      shape: [...this.shapeOf(i)],
      file: this.files[this.file[i]],
      offset: this.offset[i],
      length: this.length[i],
      digest: this.digestOf(i),
      role: this.roles[this.role[i]],
    };
  }

  /**
   * The row with a name, by binary search.
   * @param {string} name
   * @returns {number} −1 where there is none
   */
  find(name) {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = compareText(this.names[middle], name);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** The decoded data model (section 4.4.1), for the schema. */
  decoded() {
    return {
      count: this.count,
      names: this.names,
      dtypes: this.dtypes,
      dtype: [...this.dtype],
      rank: [...this.rank],
      shape: [...this.shape],
      files: this.files,
      file: [...this.file],
      offset: [...this.offset],
      length: [...this.length],
      digest: Array.from({ length: this.digest.length / 32 }, (_, i) => this.digestOf(i)),
      roles: this.roles,
      role: [...this.role],
      namespaces: this.namespaces.map((n) => ({ ...n, tensors: [...n.tensors] })),
      attributes: this.attributes.map(({ tensor, values }) => ({ tensor, values: { ...values } })),
    };
  }
}

/** @param {unknown} value */
const isUnsigned = (value) => typeof value === 'number' || typeof value === 'bigint';

class Checker {
  /** @param {Report} report @param {Manifest} manifest @param {boolean} newer */
  constructor(report, manifest, newer) {
    this.report = report;
    this.manifest = manifest;
    this.newer = newer;
  }

  /** @param {string} rule @param {string} pointer @param {string} expected @param {unknown} found */
  add(rule, pointer, expected, found) {
    this.report.add(rule, `${TENSORS}#${pointer}`, expected, found);
  }

  /**
   * @param {PackedMap} map
   * @param {string} pointer
   * @param {Record<string, (value: Packed) => boolean>} members
   */
  members(map, pointer, members) {
    for (const [name, test] of Object.entries(members)) {
      if (!(name in map)) this.add('TEN-01', pointer, `the member ${name}`, 'none');
      else if (!test(map[name])) {
        const value = map[name];
        // Where one item of an array is wrong, the place is that item.
        const item = Array.isArray(value) ? value.findIndex((one) => !test([one])) : -1;
        this.add('TEN-01', `${pointer}/${name}${item < 0 ? '' : `/${item}`}`, 'the type of the table', 'another type');
      }
    }
    if (this.newer) return;
    for (const name of Object.keys(map)) {
      if (!Object.hasOwn(members, name)) {
        this.add('TEN-01', `${pointer}/${pointerStep(name)}`, 'only the members of the table', name);
      }
    }
  }

  /** TEN-01 and TEN-02. @param {PackedMap} map @returns {TensorIndex | null} */
  shape(map) {
    const before = this.report.errors;
    const text = (/** @type {Packed} */ v) => typeof v === 'string';
    const binary = (/** @type {Packed} */ v) => v instanceof Uint8Array;
    const texts = (/** @type {Packed} */ v) => Array.isArray(v) && v.every(text);
    const maps = (/** @type {Packed} */ v) => Array.isArray(v) && v.every(isMap);
    /** @type {Record<string, (value: Packed) => boolean>} */
    const tests = {};
    for (const [name, type] of Object.entries(MEMBERS)) {
      tests[name] = type === 'integer' ? isUnsigned : type === 'texts' ? texts : type === 'maps' ? maps : binary;
    }
    this.members(map, '', tests);
    if (maps(map.namespaces)) {
      /** @type {PackedMap[]} */ (map.namespaces).forEach((namespace, i) =>
        this.members(namespace, `/namespaces/${i}`, { component: text, names: texts, system: text, tensors: binary }));
    }
    if (maps(map.attributes)) {
      /** @type {PackedMap[]} */ (map.attributes).forEach((attribute, i) =>
        this.members(attribute, `/attributes/${i}`, {
          tensor: isUnsigned,
          values: (v) => isMap(v) && Object.values(v).every(text),
        }));
    }
    if (this.report.errors > before) return null;
    for (const [name, width] of Object.entries(MEMBERS)) {
      if (typeof width !== 'number') continue;
      const { length } = /** @type {Uint8Array} */ (map[name]);
      if (length % width) this.add('TEN-02', `/${name}`, `a multiple of ${width} bytes`, `${length} bytes`);
    }
    /** @type {PackedMap[]} */ (map.namespaces).forEach(({ tensors }, i) => {
      const { length } = /** @type {Uint8Array} */ (tensors);
      if (length % 4) this.add('TEN-02', `/namespaces/${i}/tensors`, 'a multiple of 4 bytes', `${length} bytes`);
    });
    if (this.report.errors > before) return null;
    const index = new TensorIndex(map);
    const counts = {
      names: index.names.length, dtype: index.dtype.length, rank: index.rank.length, file: index.file.length,
      offset: index.offset.length, length: index.length.length, digest: index.digest.length / 32, role: index.role.length,
    };
    for (const [name, items] of Object.entries(counts)) {
      if (items !== index.count) this.add('TEN-02', `/${name}`, `${index.count} items`, items);
    }
    const dimensions = index.starts[index.rank.length];
    if (index.shape.length !== dimensions) this.add('TEN-02', '/shape', `${dimensions} items`, index.shape.length);
    return this.report.errors > before ? null : index;
  }

  /** @param {string} name @param {string} rule @param {string} pointer */
  label(name, rule, pointer) {
    const length = utf8Length(name);
    if (length < 1 || length > LONGEST_NAME) this.add(rule, pointer, `1 to ${LONGEST_NAME} bytes`, `${length} bytes`);
    else if (CONTROL.test(name)) this.add(rule, pointer, 'no control characters', name);
  }

  /**
   * A table and the positions in it (TEN-05).
   * @param {'dtypes' | 'files' | 'roles'} table
   * @param {'dtype' | 'file' | 'role'} column
   * @param {TensorIndex} index
   */
  table(table, column, index) {
    const entries = index[table];
    const positions = index[column];
    for (let i = 1; i < entries.length; i++) {
      if (compareText(entries[i - 1], entries[i]) >= 0) {
        this.add('TEN-05', `/${table}/${i}`, 'ascending entries', `${entries[i]} after ${entries[i - 1]}`);
      }
    }
    const used = new Uint8Array(entries.length);
    let right = true;
    for (let i = 0; i < positions.length; i++) {
      if (positions[i] < entries.length) used[positions[i]] = 1;
      else {
        right = false;
        this.add('TEN-05', `/${column}/${i}`, `a position below ${entries.length}`, positions[i]);
      }
    }
    entries.forEach((entry, i) => {
      if (!used[i]) this.add('TEN-05', `/${table}/${i}`, 'an entry that a row uses', entry);
    });
    return right;
  }

  /** TEN-06 to TEN-09. @param {TensorIndex} index */
  ranges(index) {
    const files = new Map(this.manifest.files.map((file) => [file.path, file]));
    const sizes = index.files.map((path, i) => {
      const file = files.get(path);
      if (!file || file.storage !== 'stored') {
        this.add('TEN-07', `/files/${i}`, 'a stored file that the manifest lists', path);
        return NaN;
      }
      return file.size;
    });
    const bits = index.dtypes.map(bitsOf);
    for (let i = 0; i < index.count; i++) {
      const { [i]: offset } = index.offset;
      const { [i]: length } = index.length;
      const size = sizes[index.file[i]];
      if (length > size || offset > size - length) {
        this.add('TEN-06', `/offset/${i}`, `a range inside ${index.files[index.file[i]]}, which has ${size} bytes`, `offset ${offset}, length ${length}`);
      }
      if (index.rank[i] > HIGHEST_RANK) this.add('TEN-08', `/rank/${i}`, `at most ${HIGHEST_RANK} dimensions`, index.rank[i]);
      const width = bits[index.dtype[i]];
      if (width === undefined) continue;
      const elements = elementsOf(index.shapeOf(i));
      if (width === null) {
        if (elements === 0 ? length !== 4 : length < elements + 4) {
          this.add('TEN-08', `/length/${i}`, `${elements ? 'at least ' : ''}${elements + 4} bytes`, length);
        }
      } else {
        const expected = bytesOf(elements, width);
        if (length !== expected) this.add('TEN-08', `/length/${i}`, `${expected} bytes, by dtype and shape`, length);
      }
    }
  }

  /** TEN-09 and MAN-09. @param {TensorIndex} index */
  overlaps(index) {
    const order = Array.from({ length: index.count }, (_, i) => i).filter((i) => index.length[i] > 0);
    order.sort((a, b) =>
      index.file[a] - index.file[b] || index.offset[a] - index.offset[b] || index.length[a] - index.length[b]);
    let bytes = 0;
    let last = -1;
    for (const i of order) {
      if (last >= 0 && index.file[i] === index.file[last]) {
        if (index.offset[i] === index.offset[last] && index.length[i] === index.length[last]) continue;
        if (index.offset[i] < index.offset[last] + index.length[last]) {
          this.add('TEN-09', `/offset/${i}`, `a range that shares no byte with that of row ${last}`, `offset ${index.offset[i]}, length ${index.length[i]}`);
        }
      }
      bytes += index.length[i];
      last = i;
    }
    return bytes;
  }

  /** TEN-11 and TEN-16. @param {TensorIndex} index */
  namespaces(index) {
    const ids = new Set(this.manifest.components.map(({ id }) => id));
    /** @type {string[] | undefined} */
    let last;
    index.namespaces.forEach(({ component, system, tensors, names }, i) => {
      const at = `/namespaces/${i}`;
      const key = [system, component];
      if (last && compareTuples(last, key) >= 0) this.add('TEN-11', at, 'namespaces ascending by system and component', key);
      last = key;
      if (!SYSTEM.test(system)) this.add('TEN-11', `${at}/system`, 'a system of the form a.b', system);
      if (!ids.has(component)) this.add('TEN-16', `${at}/component`, 'a component that the manifest lists', component);
      if (!tensors.length) this.add('TEN-11', `${at}/tensors`, 'at least one row', 'none');
      if (tensors.length !== names.length) this.add('TEN-11', `${at}/names`, `${tensors.length} names`, names.length);
      for (let k = 1; k < tensors.length; k++) {
        if (tensors[k] <= tensors[k - 1]) this.add('TEN-11', `${at}/tensors/${k}`, 'ascending rows', `${tensors[k]} after ${tensors[k - 1]}`);
      }
      const beyond = firstNotBelow(tensors, index.count);
      if (beyond >= 0) this.add('TEN-11', `${at}/tensors/${beyond}`, `rows below ${index.count}`, tensors[beyond]);
      const seen = new Set();
      names.forEach((name, k) => {
        this.label(name, 'TEN-11', `${at}/names/${k}`);
        if (seen.has(name)) this.add('TEN-11', `${at}/names/${k}`, 'unique names', name);
        seen.add(name);
      });
    });
  }

  /** TEN-15. @param {TensorIndex} index */
  attributes(index) {
    let last = -1;
    index.attributes.forEach(({ tensor, values }, i) => {
      const at = `/attributes/${i}`;
      if (tensor <= last) this.add('TEN-15', `${at}/tensor`, 'ascending rows', `${tensor} after ${last}`);
      last = tensor;
      if (tensor >= index.count) this.add('TEN-15', `${at}/tensor`, `a row below ${index.count}`, tensor);
      const keys = Object.keys(values);
      if (!keys.length) this.add('TEN-15', `${at}/values`, 'values', 'none');
      for (const key of keys) {
        const length = utf8Length(key);
        if (length < 1 || length > LONGEST_NAME) {
          this.add('TEN-15', `${at}/values/${pointerStep(key)}`, `a key of 1 to ${LONGEST_NAME} bytes`, `${length} bytes`);
        }
      }
    });
  }

  /** @param {TensorIndex} index */
  check(index) {
    index.names.forEach((name, i) => {
      this.label(name, 'TEN-03', `/names/${i}`);
      if (i && compareText(index.names[i - 1], name) >= 0) {
        this.add('TEN-03', `/names/${i}`, 'ascending names', `${name} after ${index.names[i - 1]}`);
      }
    });
    index.dtypes.forEach((dtype, i) => {
      if (!isDtype(dtype)) this.add('TEN-04', `/dtypes/${i}`, 'a dtype of section 4.6', dtype);
    });
    index.roles.forEach((role, i) => {
      if (!ROLES.includes(role)) this.add('TEN-12', `/roles/${i}`, `one of ${ROLES.join(', ')}`, role);
    });
    const tables = [
      this.table('dtypes', 'dtype', index), this.table('files', 'file', index), this.table('roles', 'role', index),
    ];
    if (tables.every(Boolean)) {
      this.ranges(index);
      const bytes = this.overlaps(index);
      const { tensors } = this.manifest;
      if (tensors.bytes !== bytes) {
        this.report.add('MAN-09', `${MANIFEST}#/tensors/bytes`, `${bytes}`, tensors.bytes);
      }
    }
    if (this.manifest.tensors.count !== index.count) {
      this.report.add('MAN-09', `${MANIFEST}#/tensors/count`, `${index.count}`, this.manifest.tensors.count);
    }
    const { dtypes } = this.manifest.requirements;
    if (new Set(dtypes).size !== new Set(index.dtypes).size || index.dtypes.some((dtype) => !dtypes.includes(dtype))) {
      this.report.add('REQ-02', `${MANIFEST}#/requirements/dtypes`, `the dtypes of the index: ${index.dtypes.slice(0, 20).join(', ')}`, dtypes);
    }
    this.namespaces(index);
    this.attributes(index);
  }
}

/**
 * Decodes and checks an index whose digest was compared (step 8 of section 11.1).
 * @param {Uint8Array} bytes
 * @param {Manifest} manifest
 * @param {boolean} newer
 * @param {Report} report
 * @returns {TensorIndex | null} null where it cannot be understood
 */
export function checkTensorIndex(bytes, manifest, newer, report) {
  const map = decodeMsgpack(bytes, TENSORS, report);
  if (!map) return null;
  const checker = new Checker(report, manifest, newer);
  const index = checker.shape(map);
  if (index) checker.check(index);
  return index && !report.has('TEN-05') ? index : null;
}

/**
 * The canonical index of some rows, in any order.
 * @param {Row[]} rows
 * @param {{ component: string, system: string, names: Map<string, string> }[]} namespaces name of the row -> name in the system
 * @param {Map<string, Record<string, string>>} attributes by name of the row
 */
export function encodeTensorIndex(rows, namespaces, attributes) {
  const sorted = [...rows].sort((a, b) => compareText(a.name, b.name));
  const table = (/** @type {'dtype' | 'file' | 'role'} */ key) => {
    const entries = [...new Set(sorted.map((row) => row[key]))].sort(compareText);
    const at = new Map(entries.map((entry, i) => [entry, i]));
    return { entries, positions: sorted.map((row) => /** @type {number} */ (at.get(row[key]))) };
  };
  const dtypes = table('dtype');
  const files = table('file');
  const roles = table('role');
  const rowOf = new Map(sorted.map((row, i) => [row.name, i]));
  const position = (/** @type {string} */ name) => {
    const row = rowOf.get(name);
    if (row === undefined) throw new RangeError(`no row has the name ${name}`);
    return row;
  };
  return encodeMsgpack({
    count: sorted.length,
    names: sorted.map(({ name }) => name),
    dtypes: dtypes.entries,
    dtype: Uint8Array.from(dtypes.positions),
    rank: Uint8Array.from(sorted.map(({ shape }) => shape.length)),
    shape: packU64(sorted.flatMap(({ shape }) => shape)),
    files: files.entries,
    file: packU32(files.positions),
    offset: packU64(sorted.map(({ offset }) => offset)),
    length: packU64(sorted.map(({ length }) => length)),
    digest: fromHex(sorted.map(({ digest }) => digest.slice('sha256:'.length)).join('')),
    roles: roles.entries,
    role: Uint8Array.from(roles.positions),
    namespaces: [...namespaces]
      .sort((a, b) => compareTuples([a.system, a.component], [b.system, b.component]))
      .map(({ component, system, names }) => {
        const pairs = [...names].map(([row, name]) => ({ row: position(row), name })).sort((a, b) => a.row - b.row);
        return { component, system, tensors: packU32(pairs.map(({ row }) => row)), names: pairs.map(({ name }) => name) };
      }),
    attributes: [...attributes]
      .map(([row, values]) => ({ tensor: position(row), values: /** @type {PackedMap} */ (values) }))
      .sort((a, b) => a.tensor - b.tensor),
  });
}
