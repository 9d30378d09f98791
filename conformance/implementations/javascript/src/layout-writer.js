/** Writes a bundle in one of its layouts, all or nothing; for Writer and Copier (WRT-02, WRT-03, CPY-03, CPY-04). */
import { promises as fs } from 'node:fs';
import { dirname, join, basename } from 'node:path';
import { archiveLayout, centralHeader, endRecords, localHeader } from './archive.js';
import { NoAnswer, refuse } from './findings.js';
import { MANIFEST, parents } from './paths.js';
import { pieces } from './platform.js';
import { compareText } from './text.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./platform.js').Bytes} Bytes */
/** @typedef {import('./manifest.js').Manifest} Manifest */

/**
 * @typedef {object} Content
 * @property {Manifest} manifest
 * @property {Uint8Array} manifestBytes
 * @property {(path: string) => Bytes} stored
 */

/** @param {import('node:fs/promises').FileHandle} handle @param {Uint8Array} bytes @param {number} at */
async function writeAt(handle, bytes, at) {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

/**
 * Writes data at its place while it is hashed, and compares.
 * @param {Platform} platform
 * @param {Content} content
 * @param {string} path
 * @param {import('./manifest.js').FileEntry | undefined} file undefined for the manifest
 * @param {import('node:fs/promises').FileHandle} handle
 * @param {number} at
 * @returns {Promise<number>} CRC-32
 */
async function writeData(platform, content, path, file, handle, at) {
  if (!file) {
    await writeAt(handle, content.manifestBytes, at);
    return platform.crc32(content.manifestBytes, 0);
  }
  const hash = platform.sha256();
  let crc = 0;
  let done = 0;
  for await (const piece of pieces(content.stored(path), 0, file.size)) {
    hash.update(piece);
    crc = platform.crc32(piece, crc);
    await writeAt(handle, piece, at + done);
    done += piece.length;
  }
  const digest = `sha256:${await hash.hex()}`;
  if (digest !== file.digest) refuse('IDN-02', path, file.digest, digest);
  return crc;
}

/** @param {Platform} platform @param {Content} content @param {string} name */
async function writeArchive(platform, content, name) {
  const layout = archiveLayout(content.manifest, content.manifestBytes.length);
  const entries = new Map(content.manifest.files.map((file) => [file.path, file]));
  const handle = await fs.open(name, 'wx');
  try {
    let at = layout.central;
    for (const member of layout.members) {
      const crc = await writeData(platform, content, member.path, entries.get(member.path), handle, member.data);
      await writeAt(handle, localHeader(member, crc), member.header);
      const central = centralHeader(member, crc);
      await writeAt(handle, central, at);
      at += central.length;
    }
    await writeAt(handle, endRecords(layout), at);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** @param {Platform} platform @param {Content} content @param {string} name */
async function writeDirectory(platform, content, name) {
  await fs.mkdir(name);
  const files = content.manifest.files.filter(({ storage }) => storage === 'stored');
  const stored = files.map(({ path }) => path);
  const directories = content.manifest.directories ?? [];
  for (const path of [...parents([...stored, ...directories]), ...directories].sort(compareText)) {
    await fs.mkdir(join(name, path), { recursive: true });
  }
  for (const [path, file] of [...files.map((file) => /** @type {const} */ ([file.path, file])), /** @type {const} */ ([MANIFEST, undefined])]) {
    const handle = await fs.open(join(name, path), 'wx');
    try {
      await writeData(platform, content, path, file, handle, 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/**
 * Writes a bundle under a name that is free; the layout follows from the name.
 * @param {Platform} platform
 * @param {Content} content
 * @param {string} destination an archive if it ends in .modelbundle, else a directory
 */
export async function writeBundle(platform, content, destination) {
  const taken = await fs.lstat(destination).catch(() => null);
  if (taken) throw new NoAnswer(`${destination}: exists already`);
  const scratch = await fs.mkdtemp(join(dirname(destination), '.modelbundle-'));
  const temporary = join(scratch, basename(destination));
  try {
    if (destination.endsWith('.modelbundle')) {
      await writeArchive(platform, content, temporary);
      await fs.link(temporary, destination);
    } else {
      await writeDirectory(platform, content, temporary);
      await fs.rename(temporary, destination);
    }
  } finally {
    await fs.rm(scratch, { recursive: true, force: true });
  }
}
