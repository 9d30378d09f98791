/** Compositions (chapter 7): step 9 of section 11.1. */
import { packU32, packU64, unpackSmall, unpackU64 } from './columns.js';
import { pointerStep } from './findings.js';
import { decodeMsgpack, encodeMsgpack } from './msgpack.js';
import { COMPOSITIONS } from './paths.js';
import { compareText } from './text.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./msgpack.js').Packed} Packed */

export const LARGEST_COMPOSITIONS = 256 * 2 ** 20;

/** @typedef {{ source: string, offset: number, length: number }} Segment */
/** @typedef {{ files: string[], segments: number[], sources: string[], source: number[], offset: number[], length: number[] }} Decoded */

/** @type {Record<string, 'texts' | 4 | 8>} */
const MEMBERS = { files: 'texts', segments: 4, sources: 'texts', source: 4, offset: 8, length: 8 };

/**
 * Decodes and checks compositions whose digest was compared.
 * @param {Uint8Array} bytes
 * @param {Manifest} manifest
 * @param {boolean} newer
 * @param {Report} report
 * @returns {{ segments: Map<string, Segment[]>, decoded: Decoded } | null}
 */
export function checkCompositions(bytes, manifest, newer, report) {
  const map = decodeMsgpack(bytes, COMPOSITIONS, report);
  if (!map) return null;
  /** @param {string} rule @param {string} pointer @param {string} expected @param {unknown} found */
  const add = (rule, pointer, expected, found) =>
    report.add(rule, `${COMPOSITIONS}#${pointer}`, expected, found);
  const before = report.errors;
  for (const [name, type] of Object.entries(MEMBERS)) {
    const value = map[name];
    if (value === undefined) add('CMP-01', '', `the member ${name}`, 'none');
    else if (type === 'texts') {
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
        const item = Array.isArray(value) ? value.findIndex((one) => typeof one !== 'string') : -1;
        add('CMP-01', `/${name}${item < 0 ? '' : `/${item}`}`, 'an array of str', 'another type');
      }
    } else if (!(value instanceof Uint8Array)) add('CMP-01', `/${name}`, 'bin', typeof value);
    else if (value.length % type) add('CMP-01', `/${name}`, `a multiple of ${type} bytes`, `${value.length} bytes`);
  }
  if (!newer) {
    for (const name of Object.keys(map)) {
      if (!Object.hasOwn(MEMBERS, name)) add('CMP-01', `/${pointerStep(name)}`, 'only the members of the table', name);
    }
  }
  if (report.errors > before) return null;
  const files = /** @type {string[]} */ (map.files);
  const sources = /** @type {string[]} */ (map.sources);
  const bin = (/** @type {string} */ name) => /** @type {Uint8Array} */ (map[name]);
  const counts = unpackSmall(bin('segments'), 4);
  const source = unpackSmall(bin('source'), 4);
  const offset = unpackU64(bin('offset'));
  const length = unpackU64(bin('length'));
  let total = 0;
  for (const count of counts) total += count;
  if (counts.length !== files.length) add('CMP-01', '/segments', `${files.length} items`, counts.length);
  for (const [name, items] of Object.entries({ source, offset, length })) {
    if (items.length !== total) add('CMP-01', `/${name}`, `${total} items`, items.length);
  }
  for (const [name, texts] of Object.entries({ files, sources })) {
    for (let i = 1; i < texts.length; i++) {
      if (compareText(texts[i - 1], texts[i]) >= 0) add('CMP-01', `/${name}/${i}`, 'ascending paths', `${texts[i]} after ${texts[i - 1]}`);
    }
  }
  const used = new Uint8Array(sources.length);
  source.forEach((/** @type {number} */ position, /** @type {number} */ i) => {
    if (position < sources.length) used[position] = 1;
    else add('CMP-01', `/source/${i}`, `a position below ${sources.length}`, position);
  });
  sources.forEach((path, i) => {
    if (!used[i]) add('CMP-01', `/sources/${i}`, 'an entry that a segment uses', path);
  });

  const entries = new Map(manifest.files.map((file) => [file.path, file]));
  files.forEach((path, i) => {
    if (entries.get(path)?.storage !== 'composed') add('CMP-02', `/files/${i}`, 'a file that the manifest calls composed', path);
  });
  const listed = new Set(files);
  for (const { path, storage } of manifest.files) {
    if (storage === 'composed' && !listed.has(path)) add('CMP-02', '/files', `the composed file ${path}`, 'none');
  }
  const sizes = sources.map((path, i) => {
    const file = entries.get(path);
    if (file?.storage === 'stored') return file.size;
    add('CMP-03', `/sources/${i}`, 'a stored file that the manifest lists', path);
    return NaN;
  });
  if (report.has('CMP-01')) return null;

  /** @type {Map<string, Segment[]>} */
  const segments = new Map();
  let at = 0;
  files.forEach((path, i) => {
    /** @type {Segment[]} */
    const own = [];
    let sum = 0n;
    if (!counts[i]) add('CMP-05', `/segments/${i}`, 'at least one segment', 0);
    for (const end = at + counts[i]; at < end; at++) {
      const size = sizes[source[at]];
      if (length[at] > size || offset[at] > size - length[at]) {
        add('CMP-04', `/offset/${at}`, `a range inside ${sources[source[at]]}, which has ${size} bytes`, `offset ${offset[at]}, length ${length[at]}`);
      }
      if (length[at] === 0) add('CMP-05', `/length/${at}`, 'at least one byte', 0);
      const last = own.at(-1);
      const segment = { source: sources[source[at]], offset: offset[at], length: length[at] };
      if (last && last.source === segment.source && last.offset + last.length === segment.offset) {
        add('CMP-05', `/offset/${at}`, 'one segment instead of two that follow one another', segment.offset);
      }
      own.push(segment);
      sum += BigInt(length[at]);
    }
    const size = entries.get(path)?.size;
    if (size !== undefined && sum !== BigInt(size)) {
      add('CMP-05', `/files/${i}`, `segments of ${size} bytes`, `${sum} bytes`);
    }
    segments.set(path, own);
  });
  const decoded = { files, segments: [...counts], sources, source: [...source], offset: [...offset], length: [...length] };
  return { segments, decoded };
}

/** Joins segments that follow one another (CMP-05). @param {Segment[]} segments */
export function joinSegments(segments) {
  /** @type {Segment[]} */
  const joined = [];
  for (const segment of segments) {
    const last = joined.at(-1);
    if (!segment.length) continue;
    if (last && last.source === segment.source && last.offset + last.length === segment.offset) last.length += segment.length;
    else joined.push({ ...segment });
  }
  return joined;
}

/** The canonical compositions. @param {Map<string, Segment[]>} segments by path */
export function encodeCompositions(segments) {
  const files = [...segments.keys()].sort(compareText);
  const all = files.flatMap((path) => /** @type {Segment[]} */ (segments.get(path)));
  const sources = [...new Set(all.map(({ source }) => source))].sort(compareText);
  const at = new Map(sources.map((source, i) => [source, i]));
  return encodeMsgpack({
    files,
    segments: packU32(files.map((path) => /** @type {Segment[]} */ (segments.get(path)).length)),
    sources,
    source: packU32(all.map(({ source }) => /** @type {number} */ (at.get(source)))),
    offset: packU64(all.map(({ offset }) => offset)),
    length: packU64(all.map(({ length }) => length)),
  });
}
