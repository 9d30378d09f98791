/** Packed columns (section 4.4.1): little-endian u8, u32, u64 and digests in one bin. */
/** @typedef {1 | 4 | 8 | 32} Width */

/**
 * @param {Uint8Array} bytes
 * @param {1 | 4} width
 * @returns {Uint8Array | Uint32Array}
 */
export function unpackSmall(bytes, width) {
  if (width === 1) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items = new Uint32Array(bytes.length / 4);
  for (let i = 0; i < items.length; i++) items[i] = view.getUint32(4 * i, true);
  return items;
}

/**
 * Items above 2^53 are rounded: no file, and no tensor that is not empty, is as large.
 * @param {Uint8Array} bytes
 */
export function unpackU64(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items = new Float64Array(bytes.length / 8);
  for (let i = 0; i < items.length; i++) {
    items[i] = view.getUint32(8 * i + 4, true) * 4294967296 + view.getUint32(8 * i, true);
  }
  return items;
}

/** @param {ArrayLike<number>} items */
export function packU32(items) {
  const view = new DataView(new ArrayBuffer(4 * items.length));
  for (let i = 0; i < items.length; i++) view.setUint32(4 * i, items[i], true);
  return new Uint8Array(view.buffer);
}

/** @param {ArrayLike<number>} items */
export function packU64(items) {
  const view = new DataView(new ArrayBuffer(8 * items.length));
  for (let i = 0; i < items.length; i++) view.setBigUint64(8 * i, BigInt(items[i]), true);
  return new Uint8Array(view.buffer);
}

/**
 * Greatest item below a limit, or the first at or above it.
 * @param {ArrayLike<number>} items
 * @param {number} limit
 * @returns {number} position of the first item that is not below the limit, or −1
 */
export function firstNotBelow(items, limit) {
  for (let i = 0; i < items.length; i++) if (items[i] >= limit) return i;
  return -1;
}
