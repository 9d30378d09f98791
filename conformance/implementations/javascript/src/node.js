/** The platform of Node: hashes, files, directories. Links are never followed below the bundle (DIR-02). */
import { createHash } from 'node:crypto';
import { constants, promises as fs } from 'node:fs';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { crc32 } from './checksums.js';
import { NoAnswer } from './findings.js';
import { decodeUtf8 } from './text.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./platform.js').Bytes} Bytes */
/** @typedef {import('./platform.js').Directory} Directory */

const fast = /** @type {{ crc32?: (bytes: Uint8Array, before: number) => number }} */ (/** @type {unknown} */ (zlib)).crc32;

/** @type {Platform} */
export const node = {
  crc32: fast ?? crc32,
  sha256() {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), hex: async () => hash.digest('hex') };
  },
};

/** Opens a regular file; never waits for a pipe. @param {string} path @param {boolean} links whether a link is followed @returns {Promise<Bytes>} */
export async function openFile(path, links) {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (links ? 0 : constants.O_NOFOLLOW);
  const handle = await fs.open(path, flags);
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw new NoAnswer(`${path}: no regular file`);
  }
  return {
    size: stat.size,
    async read(offset, length) {
      if (offset + length > stat.size) throw new NoAnswer(`${path}: read beyond its end`);
      const bytes = new Uint8Array(length);
      let at = 0;
      while (at < length) {
        const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
        if (!bytesRead) throw new NoAnswer(`${path}: became shorter while it was read`);
        at += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

/** @param {string} root @returns {Directory} */
export const nodeDirectory = (root) => ({
  async stat(path) {
    try {
      const stat = await fs.lstat(join(root, path));
      const kind = stat.isSymbolicLink() ? 'link' : stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other';
      return { kind, size: stat.size, links: stat.nlink };
    } catch (error) {
      const code = /** @type {NodeJS.ErrnoException} */ (error).code ?? '';
      if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'].includes(code)) return null;
      throw error;
    }
  },
  open: (path) => openFile(join(root, path), false),
  async list(path) {
    const names = await fs.readdir(join(root, path), { encoding: 'buffer' });
    return names.sort(Buffer.compare).map((name) => decodeUtf8(name));
  },
});

/**
 * The place of a bundle on this machine (step 1 of section 11.1).
 * @param {string} path
 * @returns {Promise<import('./reader.js').Place>}
 */
export async function locate(path) {
  const stat = await fs.stat(path).catch((error) => {
    throw new NoAnswer(`${path}: ${error.code ?? error.message}`);
  });
  if (stat.isDirectory()) return { directory: nodeDirectory(path) };
  if (stat.isFile()) return { archive: await openFile(path, true) };
  return null;
}
