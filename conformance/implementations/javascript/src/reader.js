/** The role Reader (chapter 11): opening, tensors, files. */
import {
  LOCAL, MANIFEST_DATA, MANIFEST_NAME, archiveLayout, readUpTo,
} from './archive.js';
import { LARGEST_COMPOSITIONS, checkCompositions } from './compositions.js';
import { openEntry } from './directory.js';
import { splitStrings, elementsOf } from './dtypes.js';
import { NoAnswer, Report, refuse } from './findings.js';
import { parseJson } from './json.js';
import { LARGEST_MANIFEST, checkManifest } from './manifest.js';
import { COMPOSITIONS, MANIFEST, TENSORS } from './paths.js';
import { PIECE, digestOf, pieces } from './platform.js';
import { LARGEST_INDEX, checkTensorIndex } from './tensor-index.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./platform.js').Bytes} Bytes */
/** @typedef {import('./platform.js').Directory} Directory */
/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./manifest.js').FileEntry} FileEntry */
/** @typedef {import('./tensor-index.js').TensorIndex} TensorIndex */
/** @typedef {import('./compositions.js').Segment} Segment */
/** @typedef {import('./compositions.js').Decoded} Decoded */

/**
 * Where a bundle is: an archive, or a directory. null where the input is neither (RDR-01).
 * @typedef {{ archive: Bytes } | { directory: Directory } | null} Place
 */

/** What is known of a bundle after some of the steps of section 11.1. */
export class Bundle {
  /**
   * @param {Platform} platform
   * @param {NonNullable<Place>} where
   * @param {Uint8Array} manifestBytes
   * @param {string} digest
   * @param {import('./json.js').Json} value the manifest's JSON
   * @param {Manifest} manifest
   * @param {boolean} newer
   */
  constructor(platform, where, manifestBytes, digest, value, manifest, newer) {
    this.platform = platform;
    this.where = where;
    this.manifestBytes = manifestBytes;
    /** Bundle digest (IDN-01). */
    this.digest = digest;
    this.value = value;
    this.manifest = manifest;
    this.newer = newer;
    this.layout = 'archive' in where ? archiveLayout(manifest, manifestBytes.length) : null;
    /** @type {Map<string, FileEntry>} */
    this.files = new Map(manifest.files.map((file) => [file.path, file]));
    /** @type {Map<string, number>} */
    this.offsets = new Map(this.layout?.members.map(({ path, data }) => [path, data]));
    /** @type {TensorIndex | null} */
    this.index = null;
    /** @type {Map<string, Segment[]> | null} */
    this.segments = null;
    /** @type {Decoded | null} */
    this.compositions = null;
    /** @type {{ path: string, bytes: Bytes } | null} The file that was opened last. */
    this.opened = null;
    /** @type {{ path: string, offset: number, bytes: Uint8Array }} What was read last, for small tensors. */
    this.window = { path: '', offset: 0, bytes: new Uint8Array(0) };
  }

  /**
   * Reads a range of a stored file, or throws a Refusal.
   * @param {string} path
   * @param {number} offset
   * @param {number} length
   */
  async readStored(path, offset, length) {
    const file = this.files.get(path);
    if (!file || file.storage !== 'stored') throw new NoAnswer(`${path}: no stored file`);
    if ('archive' in this.where) {
      const start = /** @type {number} */ (this.offsets.get(path)) + offset;
      const { archive } = this.where;
      if (start + length > archive.size) return refuse('ARC-07', `archive@${archive.size}`, `${path} inside the archive`, `${archive.size} bytes`);
      return archive.read(start, length);
    }
    if (this.opened?.path !== path) {
      await this.close();
      const report = new Report();
      const bytes = await openEntry(this.where.directory, path, file.size, report);
      report.stop();
      this.opened = { path, bytes: /** @type {Bytes} */ (bytes) };
    }
    const { bytes } = /** @type {{ bytes: Bytes }} */ (this.opened);
    return bytes.read(offset, length);
  }

  /** As readStored, with one read for many small ranges that are near. @param {string} path @param {number} offset @param {number} length */
  async readNear(path, offset, length) {
    if (length > PIECE / 16) return this.readStored(path, offset, length);
    const { window } = this;
    const at = offset - window.offset;
    if (window.path === path && at >= 0 && at + length <= window.bytes.length) return window.bytes.subarray(at, at + length);
    const size = this.files.get(path)?.size ?? 0;
    const bytes = await this.readStored(path, offset, Math.max(length, Math.min(PIECE, size - offset)));
    this.window = { path, offset, bytes };
    return bytes.subarray(0, length);
  }

  /** A stored file as bytes. @param {string} path @returns {Bytes} */
  stored(path) {
    const size = this.files.get(path)?.size ?? 0;
    return { size, read: (offset, length) => this.readNear(path, offset, length), close: async () => {} };
  }

  /** The ranges of stored files that a file is. @param {FileEntry} file @returns {Segment[]} */
  rangesOf(file) {
    if (file.storage === 'stored') return [{ source: file.path, offset: 0, length: file.size }];
    const segments = this.segments?.get(file.path);
    if (!segments) throw new NoAnswer(`${file.path}: compositions were not read`);
    return segments;
  }

  /**
   * The bytes of a file, in pieces; the last is given out only if the digest is right.
   * @param {FileEntry} file
   */
  async *verified(file) {
    const hash = this.platform.sha256();
    /** @type {Uint8Array | undefined} */
    let held;
    for (const { source, offset, length } of this.rangesOf(file)) {
      for await (const piece of pieces(this.stored(source), offset, length)) {
        hash.update(piece);
        if (held) yield held;
        held = piece;
      }
    }
    const digest = `sha256:${await hash.hex()}`;
    if (digest !== file.digest) {
      refuse(file.storage === 'stored' ? 'IDN-02' : 'CMP-06', file.path, file.digest, digest);
    }
    if (held) yield held;
  }

  /** The row of a name, or of a name in a naming system. @param {string} name @param {string} [system] @returns {number} */
  find(name, system) {
    const { index } = this;
    if (!index) throw new NoAnswer('the index was not read');
    let row = -1;
    if (system === undefined) row = index.find(name);
    else {
      const rows = new Set();
      for (const namespace of index.namespaces) {
        const at = namespace.system === system ? namespace.names.indexOf(name) : -1;
        if (at >= 0) rows.add(namespace.tensors[at]);
      }
      if (rows.size === 1) [row] = rows;
    }
    if (row < 0) throw new NoAnswer(`no tensor has the name ${JSON.stringify(name)}`);
    return row;
  }

  /** The bytes of a row, verified (TEN-10, TEN-13, TEN-14). @param {number} i @returns {Promise<Uint8Array>} */
  async readTensor(i) {
    const index = /** @type {TensorIndex} */ (this.index);
    const row = index.row(i);
    const bytes = await this.readStored(row.file, row.offset, row.length);
    const report = new Report();
    const digest = await digestOf(this.platform, bytes);
    const place = `${row.file}@${row.offset}`;
    if (digest !== row.digest) report.add('TEN-10', place, row.digest, `${digest} (row ${i})`);
    else checkContent(bytes, row.dtype, row.shape, report, place);
    report.stop();
    return bytes;
  }

  /** Verifies a row without holding all its bytes. @param {number} i @param {Report} report */
  async verifyTensor(i, report) {
    const index = /** @type {TensorIndex} */ (this.index);
    const row = index.row(i);
    const hash = this.platform.sha256();
    /** @type {Uint8Array[]} */
    const parts = [];
    let wrong = -1;
    let at = 0;
    for await (const piece of pieces(this.stored(row.file), row.offset, row.length)) {
      hash.update(piece);
      if (row.dtype === 'string') parts.push(piece);
      if (row.dtype === 'bool' && wrong < 0) {
        const k = piece.findIndex((byte) => byte > 1);
        if (k >= 0) wrong = at + k;
      }
      at += piece.length;
    }
    const digest = `sha256:${await hash.hex()}`;
    if (digest !== row.digest) report.add('TEN-10', `${row.file}@${row.offset}`, row.digest, `${digest} (row ${i})`);
    if (wrong >= 0) report.add('TEN-14', `${row.file}@${row.offset + wrong}`, '0 or 1', 'another byte');
    if (row.dtype === 'string') checkContent(joinBytes(parts), row.dtype, row.shape, report, `${row.file}@${row.offset}`);
  }

  async close() {
    await this.opened?.bytes.close();
    this.opened = null;
  }
}

/** @param {Uint8Array[]} parts */
function joinBytes(parts) {
  if (parts.length === 1) return parts[0];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * TEN-13 and TEN-14.
 * @param {Uint8Array} bytes
 * @param {string} dtype
 * @param {ArrayLike<number>} shape
 * @param {Report} report
 * @param {string} place
 */
export function checkContent(bytes, dtype, shape, report, place) {
  if (dtype === 'string') {
    const split = splitStrings(bytes, elementsOf(shape));
    if ('error' in split) report.add('TEN-13', place, 'lengths, checksum and content of section 4.7', split.error);
  } else if (dtype === 'bool') {
    const at = bytes.findIndex((byte) => byte > 1);
    if (at >= 0) report.add('TEN-14', place, 'elements 0 or 1', `${bytes[at]} at ${at}`);
  }
}

/**
 * Steps 1 and 2 of section 11.1: the layout and the bytes of the manifest.
 * @param {Place} where
 * @param {Report} report
 * @returns {Promise<Uint8Array | null>}
 */
export async function readManifest(where, report) {
  if (!where) {
    report.add('RDR-01', 'archive', 'a directory or a file', 'something else');
    return null;
  }
  if ('directory' in where) {
    const local = new Report();
    const entry = await where.directory.stat(MANIFEST);
    if (!entry) report.add('RDR-01', MANIFEST, 'a directory with a manifest, or an archive', 'no manifest');
    const bytes = await openEntry(where.directory, MANIFEST, null, local);
    for (const { rule, place, expected, found } of local.findings) report.add(rule, place, expected, found);
    if (!bytes) return null;
    try {
      if (bytes.size <= LARGEST_MANIFEST) return await bytes.read(0, bytes.size);
      report.add('MAN-12', MANIFEST, `at most ${LARGEST_MANIFEST} bytes`, bytes.size);
      return null;
    } finally {
      await bytes.close();
    }
  }
  const { archive } = where;
  const head = await readUpTo(archive, 0, 30 + MANIFEST_NAME.length);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const named = MANIFEST_NAME.every((byte, i) => head[30 + i] === byte);
  if (head.length < 30 || view.getUint32(0, true) !== LOCAL || !named) {
    report.add('RDR-01', 'archive', 'a directory with a manifest, or an archive', 'neither');
    report.add('ARC-01', 'archive@0', 'the local header of manifest.json', 'something else');
    return null;
  }
  const size = view.getUint32(22, true);
  if (size > LARGEST_MANIFEST) {
    report.add('MAN-12', MANIFEST, `at most ${LARGEST_MANIFEST} bytes`, size);
    return null;
  }
  if (MANIFEST_DATA + size > archive.size) {
    report.add('ARC-07', 'archive@22', `a manifest of ${size} bytes`, `an archive of ${archive.size} bytes`);
    return null;
  }
  return archive.read(MANIFEST_DATA, size);
}

/**
 * Steps 1 to 6 of section 11.1. What is wrong goes into the report.
 * @param {Platform} platform
 * @param {Place} where
 * @param {Report} report
 * @param {{ digest?: string, kinds?: boolean, seen?: (digest: string) => void }} [options]
 * @returns {Promise<Bundle | null>}
 */
export async function openManifest(platform, where, report, { digest: expected, kinds, seen } = {}) {
  const bytes = await readManifest(where, report);
  if (!bytes || !where) return null;
  const digest = await digestOf(platform, bytes);
  seen?.(digest);
  if (expected !== undefined && expected !== digest) {
    report.add('RDR-06', MANIFEST, expected, digest);
    return null;
  }
  const value = parseJson(bytes, MANIFEST, report);
  if (value === undefined) return null;
  const checked = checkManifest(value, report, { kinds });
  return checked && new Bundle(platform, where, bytes, digest, value, checked.manifest, checked.newer);
}

/**
 * Reads an index file whose digest is right (RDR-02), or reports.
 * @param {Bundle} bundle
 * @param {string} path
 * @param {number} largest
 * @param {string} rule for one that is larger
 * @param {Report} report
 */
async function readIndexFile(bundle, path, largest, rule, report) {
  const file = bundle.files.get(path);
  // A digest of another algorithm was reported (MAN-06): nothing can be compared with it.
  if (!file || file.storage !== 'stored' || !file.digest.startsWith('sha256:')) return null;
  if (file.size > largest) {
    report.add(rule, path, `at most ${largest} bytes`, file.size);
    return null;
  }
  const bytes = await bundle.readStored(path, 0, file.size);
  const digest = await digestOf(bundle.platform, bytes);
  if (digest === file.digest) return bytes;
  report.add('IDN-02', path, file.digest, digest);
  return null;
}

/**
 * Steps 8 and 9 of section 11.1.
 * @param {Bundle} bundle
 * @param {Report} report
 */
export async function openIndexes(bundle, report) {
  const index = await readIndexFile(bundle, TENSORS, LARGEST_INDEX, 'TEN-17', report);
  if (index) bundle.index = checkTensorIndex(index, bundle.manifest, bundle.newer, report);
  const compositions = await readIndexFile(bundle, COMPOSITIONS, LARGEST_COMPOSITIONS, 'CMP-07', report);
  if (compositions) {
    const checked = checkCompositions(compositions, bundle.manifest, bundle.newer, report);
    bundle.segments = checked?.segments ?? null;
    bundle.compositions = checked?.decoded ?? null;
  }
}

/** Step 7, for an archive. @param {Bundle} bundle @param {Report} report */
export function checkArchiveSize(bundle, report) {
  if (bundle.layout && 'archive' in bundle.where && bundle.where.archive.size !== bundle.layout.size) {
    const { size } = bundle.where.archive;
    report.add('ARC-07', `archive@${Math.min(size, bundle.layout.size)}`, `an archive of ${bundle.layout.size} bytes`, `${size} bytes`);
  }
}

/**
 * Opens a bundle as a Reader does, or throws a Refusal (RDR-07).
 * @param {Platform} platform
 * @param {Place} where
 * @param {{ digest?: string }} [options] digest: the bundle digest that is expected (RDR-06)
 * @returns {Promise<Bundle>}
 */
export async function openBundle(platform, where, { digest } = {}) {
  const report = new Report();
  const bundle = await openManifest(platform, where, report, { digest });
  report.stop();
  if (!bundle) throw new NoAnswer('no bundle');
  checkArchiveSize(bundle, report);
  report.stop();
  await openIndexes(bundle, report);
  report.stop();
  return bundle;
}
