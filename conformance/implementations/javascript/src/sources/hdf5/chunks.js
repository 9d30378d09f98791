/** Chunks of a dataset: where they are, and their decoding (HDF-08, HDF-09). */
import { inflate } from '../inflate.js';
import { arrayElements } from './arrays.js';
import { LARGEST_PARTIAL_CHUNK, MOST_CHUNKS } from './limits.js';
import { leaves1, records2 } from './trees.js';
/** @typedef {import('./bytes.js').Cursor} Cursor */
/** @typedef {import('./objects.js').Hdf5Object} Hdf5Object */
/** @typedef {import('./types.js').Filter} Filter */
/** @typedef {import('./types.js').Layout} Layout */
/** @typedef {{ layout: Layout, filters: Filter[], shape: number[], most: number[], width: number, fill: Uint8Array | null, length: number }} Chunked */
/** @typedef {{ at: number, size: number, mask: number, scaled: number[] }} Chunk  scaled: position in the grid of chunks */
/** @typedef {(expected: string, found: unknown) => never} Fail */

const DEFLATE = 1;
const SHUFFLE = 2;
const FLETCHER = 3;
/** Deflate makes at most about 1032 bytes of one. */
const STEEPEST = 1100;

/** Bytes that all have the fill value. @param {number} length @param {Uint8Array | null} fill */
export function filled(length, fill) {
  const data = new Uint8Array(length);
  if (fill?.some((byte) => byte)) for (let at = 0; at < length; at += fill.length) data.set(fill, at);
  return data;
}

/** @param {number[]} sizes */
const product = (sizes) => sizes.reduce((all, size) => all * size, 1);

/** Chunks along each dimension. @param {number[]} shape @param {number[]} dims */
const gridOf = (shape, dims) => shape.map((size, d) => Math.ceil(size / dims[d]));

/**
 * Position in the grid of a chunk by its number, which counts by the greatest sizes; a dimension without
 * a limit varies slowest.
 * @param {number} number @param {number[]} grid of the greatest sizes
 */
function scaledOf(number, grid) {
  const scaled = new Array(grid.length).fill(0);
  const free = grid.indexOf(Infinity);
  let rest = number;
  for (let d = grid.length - 1; d >= 0; d--) {
    if (d === free) continue;
    scaled[d] = rest % grid[d];
    rest = Math.floor(rest / grid[d]);
  }
  if (free >= 0) scaled[free] = rest;
  else if (rest) scaled[0] += rest * grid[0];
  return scaled;
}

/** The number of a chunk. @param {number[]} scaled @param {number[]} grid of the greatest sizes */
const numberOf = (scaled, grid) => scaled.reduce((number, at, d) => number * grid[d] + at, 0);

/** Whether a chunk covers whole rows (chapter 16). @param {number[]} dims @param {number[]} shape */
function coversRows(dims, shape) {
  const first = dims.findIndex((size) => size > 1);
  return first < 0 || dims.slice(first + 1).every((size, d) => size >= shape[first + 1 + d]);
}

/** @param {Hdf5Object} object @param {Chunked} chunked @param {Fail} fail */
function checkGrid({ file, address }, { layout, shape, width }, fail) {
  const chunk = layout.chunk ?? [];
  const dims = chunk.slice(0, -1);
  if (dims.length !== shape.length || !dims.length || dims.some((size) => !(size > 0))) fail(`chunks of ${shape.length} dimensions`, chunk);
  if (chunk.at(-1) !== width) fail(`elements of ${width} bytes in chunks`, chunk.at(-1));
  const bytes = product(chunk);
  if (bytes > 0xffffffff) fail('chunks of less than 4 GiB', bytes);
  if (bytes > LARGEST_PARTIAL_CHUNK && !coversRows(dims, shape)) fail(`chunks of at most ${LARGEST_PARTIAL_CHUNK} bytes, or of whole rows`, bytes);
  const grid = gridOf(shape, dims);
  if (product(grid) > MOST_CHUNKS) {
    // Chunks that were never written count as well: their bytes are decoded.
    const decoded = product(shape) * width;
    if (decoded > 4096 * file.source.size) fail(`at most ${4096 * file.source.size} bytes decoded`, decoded);
    file.fail(address, `at most ${MOST_CHUNKS} chunks`, product(grid));
  }
  return { dims, bytes, grid };
}

/** @param {Cursor} key @param {number[]} dims @param {Fail} fail */
function keyOf(key, dims, fail) {
  const size = key.u32();
  const mask = key.u32();
  const offsets = dims.map(() => key.uint(8));
  if (key.uint(8) !== 0) fail('a chunk at the beginning of an element', 'another');
  const scaled = offsets.map((offset, d) => offset / dims[d]);
  if (!scaled.every(Number.isInteger)) fail('a chunk on the grid', offsets);
  return { size, mask, scaled };
}

/**
 * All chunks that are there.
 * @param {Hdf5Object} object @param {Chunked} chunked @param {Fail} fail
 * @returns {Promise<Chunk[]>}
 */
export async function listChunks(object, chunked, fail) {
  const { file } = object;
  const { layout, shape, filters } = chunked;
  const { dims, bytes, grid } = checkGrid(object, chunked, fail);
  /** @type {Chunk[]} */
  const chunks = [];
  const seen = new Set();
  const push = (/** @type {Chunk} */ chunk) => {
    if (chunk.scaled.some((at, d) => at >= grid[d])) fail('chunks inside the shape', chunk.scaled);
    if (seen.has(chunk.scaled.join())) fail('one chunk at a place', chunk.scaled);
    seen.add(chunk.scaled.join());
    const plain = filters.every((_, i) => chunk.mask & (1 << i));
    if (plain && chunk.size !== bytes) fail(`chunks of ${bytes} bytes`, chunk.size);
    if (chunk.size > file.size - chunk.at) file.fail(chunk.at, `${chunk.size} bytes inside the file`, file.size - chunk.at);
    chunks.push(chunk);
  };
  if (layout.address === null || layout.address === undefined) return chunks;
  if (layout.index === 'tree') {
    for await (const { key, child } of leaves1(file, layout.address, 1, 16 + 8 * dims.length)) push({ at: child, ...keyOf(key, dims, fail) });
  } else if (layout.index === 'tree2') {
    for await (const record of records2(file, layout.address, [10, 11])) push(recordOf(record, dims, bytes, filters.length > 0, fail));
  } else {
    for await (const chunk of numbered(object, chunked, bytes, grid)) push(chunk);
  }
  if (!shape.every((size) => size)) fail('no chunks of a dataset without elements', chunks.length);
  return chunks;
}

/** A record of a B-tree of version 2. @param {Cursor} record @param {number[]} dims @param {number} bytes @param {boolean} filtered @param {Fail} fail @returns {Chunk} */
function recordOf(record, dims, bytes, filtered, fail) {
  const at = record.address();
  if (at === null) return fail('the address of a chunk', 'none');
  const width = record.left - 4 - 8 * dims.length;
  if (filtered && width < 1) return fail('a size of the chunk', width);
  const size = filtered ? record.uint(width) : bytes;
  const mask = filtered ? record.u32() : 0;
  return { at, size, mask, scaled: dims.map(() => record.uint(8)) };
}

/** Chunks that an index lists by number. @param {Hdf5Object} object @param {Chunked} chunked @param {number} bytes @param {number[]} grid @returns {AsyncGenerator<Chunk>} */
async function* numbered({ file }, { layout, filters, most }, bytes, grid) {
  const address = /** @type {number} */ (layout.address);
  const all = gridOf(most, (layout.chunk ?? []).slice(0, -1));
  if (layout.index === 'single') {
    yield { at: address, size: layout.filteredSize ?? bytes, mask: layout.mask ?? 0, scaled: grid.map(() => 0) };
  } else if (layout.index === 'implicit') {
    for (let i = 0; i < product(grid); i++) {
      const scaled = scaledOf(i, grid);
      yield { at: address + numberOf(scaled, all) * bytes, size: bytes, mask: 0, scaled };
    }
  } else {
    const kind = /** @type {'fixed' | 'extensible'} */ (layout.index);
    for await (const { number, cursor, width } of arrayElements(file, address, kind)) {
      const at = cursor.address();
      const size = filters.length ? cursor.uint(width - file.offsetSize - 4) : bytes;
      const mask = filters.length ? cursor.u32() : 0;
      if (at !== null) yield { at, size, mask, scaled: scaledOf(number, all) };
    }
  }
}

/** @param {Uint8Array} data @param {number} width */
function unshuffle(data, width) {
  if (width < 2) return data;
  const count = Math.floor(data.length / width);
  const out = data.slice();
  for (let i = 0; i < count; i++) for (let k = 0; k < width; k++) out[i * width + k] = data[k * count + i];
  return out;
}

/** Fletcher's checksum of 16-bit words, as HDF5 takes it. @param {Uint8Array} data */
function fletcher32(data) {
  let a = 0;
  let b = 0;
  for (let at = 0; at + 1 < data.length; at += 2) {
    a = (a + ((data[at] << 8) | data[at + 1])) % 65535;
    b = (b + a) % 65535;
  }
  if (data.length % 2) {
    a = (a + (data[data.length - 1] << 8)) % 65535;
    b = (b + a) % 65535;
  }
  return ((b << 16) | a) >>> 0;
}

/** @param {number} sum @returns {number} with its halves' bytes swapped, as old writers stored it */
const swapped = (sum) => (((sum & 0x00ff00ff) << 8) | ((sum >>> 8) & 0x00ff00ff)) >>> 0;

/** Undoes the filters of a chunk. @param {Uint8Array} stored @param {number} mask @param {Chunked} chunked @param {number} bytes @param {Fail} fail */
async function unfilter(stored, mask, { filters, width }, bytes, fail) {
  let data = stored;
  for (let i = filters.length - 1; i >= 0; i--) {
    if (mask & (1 << i)) continue;
    const { id, values } = filters[i];
    if (id === DEFLATE) {
      if (data.length * STEEPEST + 64 < bytes) fail('a chunk that deflate can have made', data.length);
      // Checksums of filters before it can stand in what is inflated.
      data = (await inflate(data, 'deflate', bytes + 4 * filters.length)) ?? fail('a chunk that inflates to its size', 'another');
    } else if (id === SHUFFLE) data = unshuffle(data, values[0] ?? width);
    else if (id === FLETCHER) {
      if (data.length < 4) fail('a checksum', `${data.length} bytes`);
      const stated = new DataView(data.buffer, data.byteOffset + data.length - 4, 4).getUint32(0, true);
      data = data.subarray(0, data.length - 4);
      const sum = fletcher32(data);
      if (stated !== sum && stated !== swapped(sum)) fail('a chunk that has its checksum', 'another');
    }
  }
  return data.length === bytes ? data : fail(`chunks of ${bytes} bytes`, data.length);
}

/** @param {Uint8Array} whole @param {Uint8Array} data @param {number[]} scaled @param {number[]} dims @param {number[]} shape @param {number} width */
function place(whole, data, scaled, dims, shape, width) {
  const rank = shape.length;
  const begin = scaled.map((at, d) => at * dims[d]);
  const count = begin.map((at, d) => Math.min(dims[d], shape[d] - at));
  const run = count[rank - 1] * width;
  const index = new Array(rank).fill(0);
  for (;;) {
    let from = 0;
    let to = 0;
    for (let d = 0; d < rank; d++) {
      from = from * dims[d] + index[d];
      to = to * shape[d] + begin[d] + index[d];
    }
    whole.set(data.subarray(from * width, from * width + run), to * width);
    let d = rank - 2;
    for (; d >= 0; d--) {
      if (++index[d] < count[d]) break;
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

/** The bytes of a dataset, from its chunks. @param {Hdf5Object} object @param {Chunked} chunked @param {Chunk[]} chunks @param {Fail} fail */
export async function decodeChunks({ file }, chunked, chunks, fail) {
  const { layout, shape, width, fill, length } = chunked;
  const chunk = /** @type {number[]} */ (layout.chunk);
  const bytes = product(chunk);
  const whole = filled(length, fill);
  for (const { at, size, mask, scaled } of chunks) {
    const data = await unfilter(await file.data(at, size), mask, chunked, bytes, fail);
    place(whole, data, scaled, chunk.slice(0, -1), shape, width);
  }
  return whole;
}
