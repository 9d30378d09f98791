/** The role Writer at level Core: files, rows and components from the caller become a canonical bundle. */
import { composeFiles, locateRange } from './compose.js';
import { checkCompositions, encodeCompositions, joinSegments } from './compositions.js';
import { bitsOf, bytesOf, elementsOf } from './dtypes.js';
import { NoAnswer, Report } from './findings.js';
import { canonicalJson, parseJson } from './json.js';
import { VERSION, checkManifest } from './manifest.js';
import { COMPOSITIONS, INDEX_FILES, MANIFEST, RESIDUE, TENSORS } from './paths.js';
import { digestOf, pieces } from './platform.js';
import { checkContent } from './reader.js';
import { checkTensorIndex, encodeTensorIndex } from './tensor-index.js';
import { compareText, compareTuples, encodeUtf8 } from './text.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./platform.js').Bytes} Bytes */
/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./manifest.js').FileEntry} FileEntry */
/** @typedef {import('./manifest.js').Component} Component */
/** @typedef {import('./manifest.js').CustomObject} CustomObject */
/** @typedef {import('./compositions.js').Segment} Segment */
/** @typedef {import('./json.js').JsonObject} JsonObject */

/**
 * @typedef {object} GivenFile
 * @property {string} path
 * @property {FileEntry['role']} [role]  source if absent
 * @property {string} [mediaType]  application/octet-stream if absent
 * @property {Bytes} bytes
 * @property {{ path: string, offset: number }[]} [madeOf]  files that this one is made of (section 12.2)
 *
 * @typedef {{ name: string, dtype: string, shape: number[], file: string, offset: number,
 *   length?: number, role?: string, digest?: string }} GivenRow  The range is one of the file as it was given.
 *
 * @typedef {object} Spec
 * @property {GivenFile[]} files
 * @property {GivenRow[]} [rows]
 * @property {{ file: string, offset: number, length: number, digest: string }[]} [ranges]  of all tensors; absent: those of the rows
 * @property {{ component: string, system: string, names: Record<string, string> }[]} [namespaces]  row -> name
 * @property {Record<string, Record<string, string>>} [attributes]  by row
 * @property {Component[]} [components]
 * @property {JsonObject[]} [signatures]
 * @property {{ layers?: string[], ops?: string[], customObjects?: CustomObject[] }} [requirements]
 * @property {string[]} [directories]
 * @property {string} [name]
 * @property {JsonObject} [metadata]
 * @property {JsonObject} [extensions]
 * @property {'auto' | Record<string, Segment[]>} [compositions]  auto: by section 12.2; absent: all files are stored
 */

/** @param {Platform} platform @param {Bytes} bytes @param {number} offset @param {number} length */
async function digestOfRange(platform, bytes, offset, length) {
  const hash = platform.sha256();
  for await (const piece of pieces(bytes, offset, length)) hash.update(piece);
  return `sha256:${await hash.hex()}`;
}

/** @param {Uint8Array} data @returns {Bytes} */
export const memory = (data) => ({
  size: data.length,
  read: async (offset, length) => data.subarray(offset, offset + length),
  close: async () => {},
});

/** @template {{ file: string }} T @param {T[]} rows @returns {Map<string, T[]>} */
function byFile(rows) {
  const groups = new Map();
  for (const row of rows) {
    if (!groups.has(row.file)) groups.set(row.file, []);
    groups.get(row.file).push(row);
  }
  return groups;
}

/** @param {string[]} texts */
const sortedSet = (texts) => [...new Set(texts)].sort(compareText);

/** @param {JsonObject} value without members that hold nothing (MAN-11) */
function withoutNothing(value) {
  return Object.fromEntries(Object.entries(value).filter(([, member]) =>
    member !== undefined && member !== null && member !== '' &&
    !(typeof member === 'object' && !Object.keys(member).length)));
}

/**
 * Makes the manifest, the index and the compositions; or throws a Refusal.
 * @param {Platform} platform
 * @param {Spec} spec
 * @returns {Promise<import('./layout-writer.js').Content>}
 */
export async function planBundle(platform, spec) {
  const given = new Map(spec.files.map((file) => [file.path, file]));
  if (given.size !== spec.files.length) throw new NoAnswer('two files have the same path');
  for (const path of given.keys()) {
    if (INDEX_FILES.has(path) || path === MANIFEST) throw new NoAnswer(`${path}: a file of the bundle itself (SRC-05)`);
  }
  const rows = [];
  for (const row of spec.rows ?? []) {
    const file = given.get(row.file);
    if (!file) throw new NoAnswer(`${row.name}: no file ${row.file}`);
    const bits = bitsOf(row.dtype);
    const length = row.length ?? (bits ? bytesOf(elementsOf(row.shape), bits) : NaN);
    if (!(row.offset + length <= file.bytes.size)) throw new NoAnswer(`${row.name}: no range of ${row.file}`);
    const digest = row.digest ?? (await digestOfRange(platform, file.bytes, row.offset, length));
    rows.push({ role: 'other', ...row, length, digest });
  }
  if (new Set(rows.map(({ name }) => name)).size !== rows.length) throw new NoAnswer('two rows have the same name');
  const content = new Report();
  for (const row of rows) {
    if (row.dtype !== 'string' && row.dtype !== 'bool') continue;
    const bytes = await /** @type {GivenFile} */ (given.get(row.file)).bytes.read(row.offset, row.length);
    checkContent(bytes, row.dtype, row.shape, content, `${row.file}@${row.offset}`);
  }
  content.stop();
  const digests = new Map();
  for (const { path, bytes } of spec.files) digests.set(path, await digestOfRange(platform, bytes, 0, bytes.size));

  /** @type {Map<string, Segment[]>} */
  let segments = new Map();
  /** @type {Bytes | null} */
  let residue = null;
  if (spec.compositions === 'auto') {
    const ranges = byFile(spec.ranges ?? rows);
    ({ segments, residue } = composeFiles(spec.files.map(({ path, bytes, madeOf }) => ({
      path, bytes, madeOf, size: bytes.size, digest: digests.get(path), ranges: ranges.get(path) ?? [],
    }))));
  } else if (spec.compositions) {
    segments = new Map(Object.entries(spec.compositions).map(([path, list]) => [path, joinSegments(list)]));
  }
  const stored = new Map(spec.files.filter(({ path }) => !segments.has(path)).map(({ path, bytes }) => [path, bytes]));
  if (residue) stored.set(RESIDUE, residue);

  const placedRows = rows.map((row) => {
    const own = segments.get(row.file);
    if (!own) return row;
    const there = locateRange(own, row.offset, row.length);
    if (!there) throw new NoAnswer(`${row.name}: split between two segments`);
    return { ...row, file: there.source, offset: there.offset };
  });
  const index = encodeTensorIndex(
    placedRows,
    (spec.namespaces ?? []).map((n) => ({ ...n, names: new Map(Object.entries(n.names)) })),
    new Map(Object.entries(spec.attributes ?? {})),
  );
  stored.set(TENSORS, memory(index));
  const compositions = segments.size ? encodeCompositions(segments) : null;
  if (compositions) stored.set(COMPOSITIONS, memory(compositions));

  /** @type {FileEntry[]} */
  const files = [];
  for (const path of new Set([...given.keys(), ...stored.keys()])) {
    const file = given.get(path);
    const bytes = /** @type {Bytes} */ (file?.bytes ?? stored.get(path));
    files.push({
      path,
      size: bytes.size,
      digest: digests.get(path) ?? (await digestOfRange(platform, bytes, 0, bytes.size)),
      mediaType: INDEX_FILES.get(path) ?? file?.mediaType ?? 'application/octet-stream',
      role: file ? file.role ?? 'source' : 'index',
      storage: stored.has(path) ? 'stored' : 'composed',
    });
  }
  files.sort((a, b) => compareText(a.path, b.path));
  const ranges = new Map(placedRows.map((row) => [JSON.stringify([row.file, row.offset, row.length]), row.length]));
  const { layers = [], ops = [], customObjects = [] } = spec.requirements ?? {};
  const key = (/** @type {CustomObject} */ c) => [c.registeredName, c.className, c.module ?? '', c.component];
  const value = {
    ...withoutNothing({
      directories: sortedSet(spec.directories ?? []),
      name: spec.name ?? null,
      metadata: spec.metadata ?? null,
      extensions: spec.extensions ?? null,
    }),
    modelbundle: VERSION,
    files,
    tensors: { count: rows.length, bytes: [...ranges.values()].reduce((sum, length) => sum + length, 0) },
    components: (spec.components ?? [])
      .map((component) => withoutNothing({ .../** @type {any} */ (component), files: null }))
      .map((component, i) => ({ ...component, files: sortedSet((spec.components ?? [])[i].files) }))
      .sort((a, b) => compareText(String(/** @type {any} */ (a).id), String(/** @type {any} */ (b).id))),
    signatures: [...(spec.signatures ?? [])].sort((a, b) =>
      compareTuples([String(a.name), String(a.component)], [String(b.name), String(b.component)])),
    requirements: {
      layers: sortedSet(layers),
      ops: sortedSet(ops),
      customObjects: [...customObjects].sort((a, b) => compareTuples(key(a), key(b))),
      dtypes: sortedSet(rows.map(({ dtype }) => dtype)),
    },
  };
  const manifestBytes = encodeUtf8(canonicalJson(/** @type {any} */ (value)));

  // A Writer is the first Reader of what it writes.
  const report = new Report();
  const parsed = parseJson(manifestBytes, MANIFEST, report);
  const checked = parsed === undefined ? null : checkManifest(parsed, report, { kinds: false });
  report.stop();
  const { manifest } = /** @type {{ manifest: Manifest }} */ (checked);
  checkTensorIndex(index, manifest, false, report);
  if (compositions) checkCompositions(compositions, manifest, false, report);
  report.stop();
  for (const [path, own] of segments) {
    const hash = platform.sha256();
    for (const { source, offset, length } of own) {
      for await (const piece of pieces(/** @type {Bytes} */ (stored.get(source)), offset, length)) hash.update(piece);
    }
    const digest = `sha256:${await hash.hex()}`;
    if (digest !== digests.get(path)) report.add('CMP-06', path, digests.get(path), digest);
  }
  report.stop();
  return { manifest, manifestBytes, stored: (path) => /** @type {Bytes} */ (stored.get(path)) };
}

/** The bundle digest of what was planned (IDN-01). @param {Platform} platform @param {import('./layout-writer.js').Content} content */
export const bundleDigest = (platform, content) => digestOf(platform, content.manifestBytes);
