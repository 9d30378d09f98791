/** Variables that a checkpoint holds in slices (section 13.5, TFC-08). */
/** @typedef {{ start: number, length: number }[]} Extents  one a dimension */

/** Whether slices tile a region: cuts part it from side to side, and the parts likewise. @param {Extents} region @param {Extents[]} slices @returns {boolean} */
export function tiles(region, slices) {
  if (slices.length === 1) return region.every(({ start, length }, d) => slices[0][d].start === start && slices[0][d].length === length);
  for (let axis = 0; axis < region.length; axis++) {
    const groups = partAlong(axis, slices);
    if (groups.length < 2) continue;
    let at = region[axis].start;
    const end = at + region[axis].length;
    const whole = groups.every(({ start, stop, slices: own }) => {
      const fits = start === at && stop <= end;
      at = stop;
      return fits && tiles(region.map((extent, d) => (d === axis ? { start, length: stop - start } : extent)), own);
    });
    return whole && at === end;
  }
  return false;
}

/** Groups of slices between which no slice crosses. @param {number} axis @param {Extents[]} slices */
function partAlong(axis, slices) {
  /** @type {{ start: number, stop: number, slices: Extents[] }[]} */
  const groups = [];
  const sorted = [...slices].sort((a, b) => a[axis].start - b[axis].start);
  for (const slice of sorted) {
    const { start, length } = slice[axis];
    const group = groups.at(-1);
    if (group && start < group.stop) {
      group.slices.push(slice);
      group.stop = Math.max(group.stop, start + length);
    } else groups.push({ start, stop: start + length, slices: [slice] });
  }
  return groups;
}

/** Position of the first element of a slice in the whole, in C order. @param {Extents} slice @param {number[]} shape */
export function firstElement(slice, shape) {
  return slice.reduce((at, { start }, d) => at * shape[d] + start, 0);
}

/** Whether a slice is one run of elements of the whole. @param {Extents} slice @param {number[]} shape */
export function isRun(slice, shape) {
  const first = slice.findIndex(({ length }) => length !== 1);
  return first < 0 || slice.slice(first + 1).every(({ length }, d) => length === shape[first + 1 + d]);
}

/**
 * Copies the elements of a slice to their places in the whole.
 * @param {Uint8Array} whole @param {number[]} shape @param {Extents} slice @param {Uint8Array} bytes @param {number} width
 */
export function place(whole, shape, slice, bytes, width) {
  const rank = shape.length;
  const run = rank ? slice[rank - 1].length * width : width;
  const index = slice.map(({ start }) => start);
  for (let at = 0; at < bytes.length; at += run) {
    const to = index.reduce((sum, i, d) => sum * shape[d] + i, 0) * width;
    whole.set(bytes.subarray(at, at + run), to);
    for (let d = rank - 2; d >= 0; d--) {
      if (++index[d] < slice[d].start + slice[d].length) break;
      index[d] = slice[d].start;
    }
  }
}

/** Bytes of a number, most significant first, without leading zeros. @param {number} value */
function bigEndian(value) {
  const out = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) out.unshift(rest % 256);
  return out;
}

/** OrderedCode of a signed number: a header of as many ones as there are bytes. @param {number} value */
function orderedSigned(value) {
  const magnitude = BigInt(value < 0 ? ~BigInt(value) : value);
  const bits = magnitude === 0n ? 0 : magnitude.toString(2).length;
  const size = Math.max(1, Math.ceil((bits + 1) / 7));
  const wide = BigInt.asUintN(80, BigInt(value));
  const out = Array.from({ length: size }, (_, i) => Number((wide >> BigInt(8 * (size - 1 - i))) & 255n));
  const header = (0xffff << (16 - size)) & 0xffff;
  out[0] ^= header >> 8;
  if (size > 1) out[1] ^= header & 0xff;
  return out;
}

/** The key under which TensorFlow saves a slice: OrderedCode of 0, the name, the rank and the extents. @param {Uint8Array} name @param {{ start: number, length: number }[]} slice length −1 for the whole extent */
export function sliceKey(name, slice) {
  const out = [0];
  for (const byte of name) {
    if (byte === 0) out.push(0, 0xff);
    else if (byte === 0xff) out.push(0xff, 0);
    else out.push(byte);
  }
  out.push(0, 1);
  const rank = bigEndian(slice.length);
  out.push(rank.length, ...rank);
  for (const { start, length } of slice) out.push(...orderedSigned(start), ...orderedSigned(length));
  return Uint8Array.from(out);
}
