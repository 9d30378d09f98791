/** Deflate, by the streams that Node and browsers have; never more bytes than are allowed. */

/**
 * @param {Uint8Array} data
 * @param {'deflate' | 'deflate-raw'} format with or without the header of zlib
 * @param {number} most bytes
 * @returns {Promise<Uint8Array | null>} null where it is malformed, or inflates to more
 */
export async function inflate(data, format, most) {
  const stream = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (data)]).stream().pipeThrough(new DecompressionStream(/** @type {any} */ (format)));
  const reader = stream.getReader();
  const parts = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > most) {
        await reader.cancel().catch(() => {});
        return null;
      }
      parts.push(value);
    }
  } catch {
    return null;
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
