/** The platform of browsers: WebCrypto, and a Blob or an HTTP server as bytes. */
import { crc32 } from './checksums.js';
import { toHex } from './text.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./platform.js').Bytes} Bytes */

/** WebCrypto has no hash in pieces: the pieces are kept until the end. @type {Platform} */
export const web = {
  crc32,
  sha256() {
    /** @type {Uint8Array<ArrayBuffer>[]} */
    const parts = [];
    return {
      update: (bytes) => void parts.push(new Uint8Array(bytes)),
      hex: async () => {
        const data = await new Blob(parts).arrayBuffer();
        return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));
      },
    };
  },
};

/** @param {Blob} blob @returns {Bytes} */
export const blobBytes = (blob) => ({
  size: blob.size,
  read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  close: async () => {},
});
