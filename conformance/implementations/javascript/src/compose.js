/** Which files are stored and which composed, and what the residue holds (section 12.2, WRT-05). */
import { joinSegments } from './compositions.js';
import { RESIDUE } from './paths.js';
import { compareText } from './text.js';
/** @typedef {import('./platform.js').Bytes} Bytes */
/** @typedef {import('./compositions.js').Segment} Segment */

/**
 * @typedef {{ offset: number, length: number, digest: string }} Range  A range that holds a tensor.
 * @typedef {{ path: string, size: number, digest: string, bytes: Bytes, ranges: Range[],
 *   madeOf?: { path: string, offset: number }[] }} Given
 * @typedef {{ bytes: Bytes | null, offset: number, length: number, at: number }} Part  null: zero bytes
 */

const LEAST_SHARED = 256;
const ALIGNMENT = 64;

/** Bytes of parts one after another. */
class Residue {
  constructor() {
    /** @type {Part[]} */
    this.parts = [];
    this.size = 0;
  }

  /** @param {Bytes | null} bytes @param {number} offset @param {number} length @returns {Segment} */
  append(bytes, offset, length) {
    if (length) this.parts.push({ bytes, offset, length, at: this.size });
    this.size += length;
    return { source: RESIDUE, offset: this.size - length, length };
  }

  /** Fills with zero bytes up to a multiple of 64. */
  align() {
    this.append(null, 0, (ALIGNMENT - (this.size % ALIGNMENT)) % ALIGNMENT);
  }

  /** @param {number} offset @param {number} length */
  async read(offset, length) {
    const out = new Uint8Array(length);
    for (const part of this.parts) {
      const begin = Math.max(offset, part.at);
      const end = Math.min(offset + length, part.at + part.length);
      if (begin >= end || !part.bytes) continue;
      out.set(await part.bytes.read(part.offset + begin - part.at, end - begin), begin - offset);
    }
    return out;
  }

  async close() {}
}

/** @param {{ length: number, digest: string }} range */
const contentOf = ({ length, digest }) => `${length} ${digest}`;

/** Distinct ranges, ascending. @param {Range[]} ranges */
function distinct(ranges) {
  const found = new Map(ranges.map((range) => [`${range.offset} ${range.length}`, range]));
  return [...found.values()].sort((a, b) => a.offset - b.offset || a.length - b.length);
}

/** Step 1: the weight of a file in the order. @param {Range[]} ranges distinct */
function weight(ranges) {
  const contents = new Set();
  let sum = 0;
  for (const range of ranges) {
    if (range.length >= LEAST_SHARED) {
      const content = contentOf(range);
      if (contents.has(content)) continue;
      contents.add(content);
    }
    sum += range.length;
  }
  return sum;
}

/**
 * Where a range of a composed file is stored; null where it would be split. A range of length 0 is at the
 * beginning of a segment, or at the end of the last.
 * @param {Segment[]} segments
 * @param {number} offset
 * @param {number} length
 * @returns {{ source: string, offset: number } | null}
 */
export function locateRange(segments, offset, length) {
  let at = 0;
  for (const segment of segments) {
    const inside = length ? offset + length <= at + segment.length : offset < at + segment.length || segment === segments.at(-1);
    if (offset >= at && inside) {
      return { source: segment.source, offset: segment.offset + offset - at };
    }
    at += segment.length;
  }
  return null;
}

/**
 * @param {Given[]} files
 * @returns {{ segments: Map<string, Segment[]>, residue: Bytes | null }} segments of the composed files
 */
export function composeFiles(files) {
  const taken = files.map((file) => ({ file, ranges: distinct(file.ranges) }));
  const weights = new Map(taken.map(({ file, ranges }) => [file, weight(ranges)]));
  taken.sort(({ file: a }, { file: b }) =>
    Number(!!a.madeOf) - Number(!!b.madeOf) ||
    /** @type {number} */ (weights.get(b)) - /** @type {number} */ (weights.get(a)) ||
    a.size - b.size || compareText(a.path, b.path));
  /** @type {Map<string, { source: string, offset: number }>} */
  const placed = new Map();
  /** @type {Map<string, Segment[]>} */
  const composed = new Map();
  /** @type {Map<string, string>} */
  const firstWith = new Map();
  const sizes = new Map(files.map(({ path, size }) => [path, size]));
  const residue = new Residue();
  const whole = (/** @type {string} */ path) =>
    composed.get(path) ?? [{ source: path, offset: 0, length: /** @type {number} */ (sizes.get(path)) }];

  for (const { file, ranges } of taken) {
    const content = contentOf({ length: file.size, digest: file.digest });
    const same = file.size >= LEAST_SHARED ? firstWith.get(content) : undefined;
    if (!firstWith.has(content)) firstWith.set(content, file.path);
    if (file.size === 0) continue;
    if (file.madeOf) {
      /** @type {Segment[]} */
      const segments = [];
      let at = 0;
      for (const member of [...file.madeOf].sort((a, b) => a.offset - b.offset)) {
        segments.push(residue.append(file.bytes, at, member.offset - at), ...whole(member.path));
        at = member.offset + /** @type {number} */ (sizes.get(member.path));
      }
      segments.push(residue.append(file.bytes, at, file.size - at));
      composed.set(file.path, joinSegments(segments));
      continue;
    }
    if (same !== undefined) {
      const segments = whole(same);
      if (ranges.every(({ offset, length }) => locateRange(segments, offset, length))) {
        composed.set(file.path, joinSegments(segments));
        continue;
      }
    }
    const shared = ranges.filter(({ length }) => length >= LEAST_SHARED);
    const contents = shared.map(contentOf);
    if (new Set(contents).size < contents.length || contents.some((one) => placed.has(one))) {
      /** @type {Segment[]} */
      const segments = [];
      let at = 0;
      shared.forEach((range, i) => {
        segments.push(residue.append(file.bytes, at, range.offset - at));
        const there = placed.get(contents[i]);
        if (there) segments.push({ ...there, length: range.length });
        else {
          residue.align();
          const segment = residue.append(file.bytes, range.offset, range.length);
          placed.set(contents[i], { source: segment.source, offset: segment.offset });
          segments.push(segment);
        }
        at = range.offset + range.length;
      });
      segments.push(residue.append(file.bytes, at, file.size - at));
      composed.set(file.path, joinSegments(segments));
      continue;
    }
    shared.forEach((range, i) => placed.set(contents[i], { source: file.path, offset: range.offset }));
  }
  return { segments: composed, residue: residue.size ? residue : null };
}
