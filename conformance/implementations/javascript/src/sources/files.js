/** Files of a source, through the surroundings that it is in: a folder on disk, or a bundle. */
import { NoAnswer, refuse } from '../findings.js';
import { compareText } from '../text.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('../platform.js').Bytes} Bytes */

/** The folder of a path, with the slash; empty at the top. @param {string} path */
export const folderOf = (path) => path.slice(0, path.lastIndexOf('/') + 1);
/** @param {string} path */
export const nameOf = (path) => path.slice(path.lastIndexOf('/') + 1);

/**
 * Opens a file of a source (SRC-03).
 * @param {Surroundings} surroundings
 * @param {string} path
 * @param {string} [rule] that is broken where it is not there
 * @returns {Promise<Bytes>}
 */
export async function openFile({ directory }, path, rule = 'SRC-04') {
  const entry = await directory.stat(path);
  if (!entry) return refuse(rule, path, 'a file', 'nothing');
  if (entry.kind === 'directory') return refuse(rule, path, 'a file', 'a directory');
  if (entry.kind !== 'file') return refuse('SRC-03', path, 'a regular file', entry.kind === 'link' ? 'a symbolic link' : 'a special file');
  return directory.open(path);
}

/**
 * Refuses a document that its schema does not accept. Without the schema there is no answer: the readers rely on it.
 * @param {Surroundings} surroundings @param {string} name of the schema @param {unknown} value @param {string} rule @param {string} path
 */
export function checkSchema({ schemas }, name, value, rule, path) {
  if (!schemas?.has(name)) throw new NoAnswer(`the schema ${name} is needed`);
  const [error] = schemas.errors(name, value);
  if (error) refuse(rule, `${path}#${error.pointer}`, 'what its schema accepts', error.message);
}

/** @param {Bytes} bytes */
export const readWhole = (bytes) => bytes.read(0, bytes.size);

/** @param {Surroundings} surroundings @param {string} path */
export const isFile = async ({ directory }, path) => (await directory.stat(path))?.kind === 'file';

/**
 * The names of shards in an index, ascending; each has to be the name of a file beside it.
 * @param {Loose[]} names
 * @param {string} rule
 * @param {string} root
 * @returns {string[]}
 */
export function shardsOf(names, rule, root) {
  const shards = [...new Set(names)].map((name) => {
    const plain = typeof name === 'string' && name && !/[/\\\0]/.test(name) && name !== '.' && name !== '..';
    return plain ? name : refuse(rule, root, 'the name of a file beside the index', name);
  });
  return shards.sort(compareText);
}

/**
 * All files below a directory, ascending, and its empty directories (SRC-03).
 * @param {Surroundings} surroundings
 * @param {string} root
 * @returns {Promise<{ files: string[], empty: string[] }>}
 */
export async function walk({ directory }, root) {
  /** @type {string[]} */
  const files = [];
  /** @type {string[]} */
  const empty = [];
  /** @param {string} path */
  const visit = async (path) => {
    const names = await directory.list(path);
    if (!names.length) empty.push(path);
    for (const name of names) {
      if (name === null) return refuse('PTH-01', path, 'names in UTF-8', 'another name');
      const at = `${path}/${name}`;
      const entry = await directory.stat(at);
      if (entry?.kind === 'directory') await visit(at);
      else if (entry?.kind === 'file') files.push(at);
      else refuse('SRC-03', at, 'a regular file or a directory', entry?.kind === 'link' ? 'a symbolic link' : 'a special file');
    }
  };
  await visit(root);
  return { files: files.sort(compareText), empty: empty.sort(compareText) };
}
