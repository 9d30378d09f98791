/**
 * What the core needs of its surroundings: sha256 and CRC-32 in pieces, and places of bytes.
 * node.js and web.js give them.
 *
 * @typedef {object} Hash
 * @property {(bytes: Uint8Array) => void} update
 * @property {() => Promise<string>} hex
 *
 * @typedef {object} Platform
 * @property {() => Hash} sha256
 * @property {(bytes: Uint8Array, before: number) => number} crc32
 *
 * @typedef {object} Bytes  Bytes that are read by range.
 * @property {number} size
 * @property {(offset: number, length: number) => Promise<Uint8Array>} read
 * @property {() => Promise<void>} close
 *
 * @typedef {object} Entry  What stands in a directory, links not followed.
 * @property {'file' | 'directory' | 'link' | 'other'} kind
 * @property {number} size
 * @property {number} links
 *
 * @typedef {object} Directory
 * @property {(path: string) => Promise<Entry | null>} stat
 * @property {(path: string) => Promise<Bytes>} open  never through a link
 * @property {(path: string) => Promise<(string | null)[]>} list  names; null for one that is not UTF-8
 */

export const PIECE = 1 << 20;

/**
 * Reads a range in pieces.
 * @param {Bytes} bytes
 * @param {number} offset
 * @param {number} length
 */
export async function* pieces(bytes, offset, length) {
  for (let at = 0; at < length; at += PIECE) {
    yield await bytes.read(offset + at, Math.min(PIECE, length - at));
  }
}

/**
 * @param {Platform} platform
 * @param {Uint8Array} bytes
 * @returns {Promise<string>} sha256:…
 */
export async function digestOf(platform, bytes) {
  const hash = platform.sha256();
  hash.update(bytes);
  return `sha256:${await hash.hex()}`;
}
