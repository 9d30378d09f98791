/**
 * Where a bundle is, of what a person gave: a file, the files of a directory, or an address.
 *
 *     const place = await placeOf({ kind: 'file', file }, meter);
 *     await validateBundle(platform, place);
 *
 * A browser shows neither links nor hard links, and its directory picker no empty directories: those rules of
 * DIR are seen as kept.
 */
import { NoAnswer } from '../../src/findings.js';
import { blobBytes } from '../../src/index.js';
import { LARGEST_MANIFEST } from '../../src/manifest.js';
import { MANIFEST } from '../../src/paths.js';
import { checkUrl, openUrl } from './http-ranges.js';
/** @typedef {import('../../src/platform.js').Bytes} Bytes */
/** @typedef {import('../../src/platform.js').Directory} Directory */
/** @typedef {import('./http-ranges.js').Meter} Meter */
/** @typedef {NonNullable<import('../../src/reader.js').Place>} Place */

/**
 * What a person gave. `empty` holds directories without files, where the browser tells them, else null.
 * @typedef {{ kind: 'file', file: File }
 *   | { kind: 'directory', name: string, files: Map<string, File>, empty: string[] | null }
 *   | { kind: 'url', url: string }} Input
 */

/** Bytes that count what is read. @param {Bytes} bytes @param {Meter} meter @returns {Bytes} */
const metered = (bytes, meter) => ({
  ...bytes,
  async read(offset, length) {
    meter.check?.();
    meter.bytes += length;
    return bytes.read(offset, length);
  },
});

/** Names and kinds by directory, '' for the root. @param {Iterable<string>} files @param {string[]} empty */
function treeOf(files, empty) {
  /** @type {Map<string, Map<string, 'file' | 'directory'>>} */
  const tree = new Map([['', new Map()]]);
  /** @param {string} path @param {'file' | 'directory'} kind */
  const put = (path, kind) => {
    const slash = path.lastIndexOf('/');
    const parent = path.slice(0, Math.max(slash, 0));
    if (parent && !tree.has(parent)) put(parent, 'directory');
    tree.get(parent)?.set(path.slice(slash + 1), kind);
    if (kind === 'directory' && !tree.has(path)) tree.set(path, new Map());
  };
  for (const path of files) put(path, 'file');
  for (const path of empty) put(path, 'directory');
  return tree;
}

/**
 * @param {Map<string, File>} files by their path below the bundle's directory
 * @param {string[]} empty
 * @param {Meter} meter
 * @returns {Directory}
 */
function fileDirectory(files, empty, meter) {
  const tree = treeOf(files.keys(), empty);
  return {
    async stat(path) {
      const file = files.get(path);
      if (file) return { kind: 'file', size: file.size, links: 1 };
      return tree.has(path) ? { kind: 'directory', size: 0, links: 1 } : null;
    },
    async open(path) {
      const file = files.get(path);
      if (!file) throw new NoAnswer(`${path}: no file`);
      return metered(blobBytes(file), meter);
    },
    list: async (path) => [...tree.get(path)?.keys() ?? []].sort(),
  };
}

/** Directories that a manifest says are empty: a picker does not show them. @param {Map<string, File>} files */
async function listedDirectories(files) {
  const file = files.get(MANIFEST);
  if (!file || file.size > LARGEST_MANIFEST) return [];
  try {
    const { directories } = JSON.parse(await file.text());
    return /** @type {unknown[]} */ (directories ?? []).filter((path) => typeof path === 'string');
  } catch {
    return [];
  }
}

/** @param {Input} input @param {Meter} meter @returns {Promise<Place>} */
export async function placeOf(input, meter) {
  if (input.kind === 'file') return { archive: metered(blobBytes(input.file), meter) };
  if (input.kind === 'url') return { archive: await openUrl(checkUrl(input.url), meter) };
  return { directory: fileDirectory(input.files, input.empty ?? await listedDirectories(input.files), meter) };
}
