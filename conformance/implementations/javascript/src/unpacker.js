/** Unpacking (section 11.4). */
import { promises as fs } from 'node:fs';
import { dirname, join } from 'node:path';
import { NoAnswer, refuse } from './findings.js';
import { compareText } from './text.js';
import { parents } from './paths.js';
/** @typedef {import('./reader.js').Bundle} Bundle */

/** @param {string} path */
const lstat = (path) =>
  fs.lstat(path).catch((error) => {
    if (error.code === 'ENOENT') return null;
    if (error.code === 'ENOTDIR') return refuse('UNP-01', path, 'nothing at the paths to be written', 'a file in the place of a directory');
    throw error;
  });

/**
 * Writes files under a destination: all of them, or nothing.
 * @param {Bundle} bundle that was opened
 * @param {string} destination
 * @param {{ paths?: string[] }} [options] paths: files to be written instead of the sources
 * @returns {Promise<import('./manifest.js').FileEntry[]>} what was written
 */
export async function unpack(bundle, destination, { paths } = {}) {
  const files = bundle.manifest.files.filter((file) => (paths ? paths.includes(file.path) : file.role === 'source'));
  if (paths && files.length !== new Set(paths).size) throw new NoAnswer('a file that is asked for is not in the bundle');
  const directories = bundle.manifest.directories ?? [];
  const root = await lstat(destination);
  if (root?.isSymbolicLink() ? !(await fs.stat(destination)).isDirectory() : root && !root.isDirectory()) {
    refuse('UNP-01', destination, 'a directory, or nothing', 'something else');
  }
  const needed = [...parents([...files.map(({ path }) => path), ...directories])].sort(compareText);
  for (const path of root ? needed : []) {
    const stat = await lstat(join(destination, path));
    if (stat?.isSymbolicLink()) refuse('UNP-04', path, 'no link on the way', 'a link');
    if (stat && !stat.isDirectory()) refuse('UNP-01', path, 'a directory, or nothing', 'a file');
  }
  for (const path of root ? [...files.map((file) => file.path), ...directories] : []) {
    if (await lstat(join(destination, path))) refuse('UNP-01', path, 'nothing at the paths to be written', 'something');
  }
  /** What was made, in order: removed in reverse where something fails (UNP-02). @type {{ path: string, directory: boolean }[]} */
  const made = [];
  /** @param {string} path */
  const makeDirectory = async (path) => {
    await fs.mkdir(path);
    made.push({ path, directory: true });
  };
  try {
    /** @type {string[]} */
    const above = [];
    for (let path = destination; !(await lstat(path)); path = dirname(path)) above.unshift(path);
    for (const path of above) await makeDirectory(path);
    const temporary = await fs.mkdtemp(join(destination, '.unpack-'));
    made.push({ path: temporary, directory: true });
    const scratch = join(temporary, 'file');
    for (const file of files) {
      const handle = await fs.open(scratch, 'wx');
      made.push({ path: scratch, directory: false });
      try {
        for await (const piece of bundle.verified(file)) await handle.writeFile(piece);
      } finally {
        await handle.close();
      }
      for (const path of [...parents([file.path])].sort(compareText)) {
        const at = join(destination, path);
        const stat = await lstat(at);
        if (!stat) await makeDirectory(at);
        else if (!stat.isDirectory()) refuse('UNP-04', path, 'a directory', 'something else');
      }
      const final = join(destination, file.path);
      // A hard link does not replace what appeared there meanwhile.
      await fs.link(scratch, final);
      made.push({ path: final, directory: false });
      await fs.unlink(scratch);
    }
    await fs.rmdir(temporary);
    for (const path of [...parents(directories), ...directories].sort(compareText)) {
      const at = join(destination, path);
      if (!(await lstat(at))) await makeDirectory(at);
    }
    return files;
  } catch (error) {
    for (const { path, directory } of made.reverse()) {
      await (directory ? fs.rmdir(path) : fs.unlink(path)).catch(() => {});
    }
    throw error;
  }
}
