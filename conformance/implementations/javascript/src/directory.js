/** The directory layout (section 3.2). */
import { MANIFEST, parents } from './paths.js';
import { refuse } from './findings.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./platform.js').Directory} Directory */

/**
 * Looks at what stands at the path of a file: no link on the way, a regular file of the right size.
 * @param {Directory} directory
 * @param {string} path
 * @param {number | null} size
 * @param {Report} report
 * @returns {Promise<import('./platform.js').Entry | null>} null where it cannot be read
 */
export async function checkEntry(directory, path, size, report) {
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const parent = path.slice(0, at);
    const entry = await directory.stat(parent);
    if (entry?.kind === 'directory') continue;
    if (entry?.kind === 'link') report.add('DIR-02', parent, 'a directory', 'a link');
    else report.add('DIR-01', path, 'a file', entry ? `${parent} is no directory` : 'nothing');
    return null;
  }
  const entry = await directory.stat(path);
  if (!entry) report.add('DIR-01', path, 'a file', 'nothing');
  else if (entry.kind === 'link') report.add('DIR-02', path, 'a file', 'a link');
  else if (entry.kind !== 'file') {
    report.add('DIR-03', path, 'a regular file', entry.kind);
    report.add('DIR-01', path, 'a file', entry.kind);
  } else {
    if (size !== null && entry.size !== size) {
      report.add('DIR-05', path, `${size} bytes`, `${entry.size} bytes`);
      return null;
    }
    return entry;
  }
  return null;
}

/**
 * Opens a file of the directory layout, as a Reader does (step 7 of section 11.1).
 * @param {Directory} directory
 * @param {string} path
 * @param {number | null} size
 * @param {Report} report
 */
export async function openEntry(directory, path, size, report) {
  const entry = await checkEntry(directory, path, size, report);
  if (!entry) return null;
  const bytes = await directory.open(path);
  if (size !== null && bytes.size !== size) {
    await bytes.close();
    return refuse('DIR-05', path, `${size} bytes`, `${bytes.size} bytes`);
  }
  return bytes;
}

/**
 * What a Validator sees in a directory without reading a file: DIR-01 to DIR-05.
 * @param {Directory} directory
 * @param {Manifest} manifest
 * @param {Report} report
 */
export async function checkDirectory(directory, manifest, report) {
  const stored = manifest.files.filter(({ storage }) => storage === 'stored');
  const files = new Set([MANIFEST, ...stored.map(({ path }) => path)]);
  const listed = new Set(manifest.directories ?? []);
  const needed = parents([...files, ...listed]);
  /** @param {string} path of a directory, '' for the root */
  const walk = async (path) => {
    for (const name of await directory.list(path)) {
      const shown = name ?? '(a name that is not UTF-8)';
      const at = path ? `${path}/${shown}` : shown;
      if (name === null) {
        report.add('DIR-04', at, 'nothing that is not listed', 'an entry');
        continue;
      }
      const entry = await directory.stat(at);
      if (!entry) continue;
      if (entry.kind === 'link') report.add('DIR-02', at, 'no link', 'a link');
      const known = files.has(at) || listed.has(at) || needed.has(at);
      if (!known) report.add('DIR-04', at, 'nothing that is not listed', entry.kind);
      if (entry.kind === 'other') report.add('DIR-03', at, 'a regular file', 'a special file');
      if (entry.kind === 'file') {
        if (entry.links > 1) report.add('DIR-03', at, 'one hard link', `${entry.links}`);
        if (known && !files.has(at)) report.add('DIR-01', at, 'a directory', 'a file');
      }
      if (entry.kind === 'directory') {
        if (files.has(at)) report.add('DIR-03', at, 'a regular file', 'a directory');
        // What is below a directory that is not listed is part of the same defect.
        if (known && !files.has(at)) await walk(at);
      }
    }
  };
  await walk('');
  for (const path of listed) {
    if (!(await directory.stat(path))) report.add('DIR-01', path, 'a directory', 'nothing');
  }
}
