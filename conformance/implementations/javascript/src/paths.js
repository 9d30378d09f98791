/** Bundle paths (section 4.2). */
import { EXPANSIONS, RUNS } from './casefold-table.js';
import { CONTROL, compareText, utf8Length } from './text.js';
/** @typedef {import('./findings.js').Report} Report */

export const MANIFEST = 'manifest.json';
export const TENSORS = 'tensors.msgpack';
export const COMPOSITIONS = 'compositions.msgpack';
export const RESIDUE = 'residue.bin';
/** Index files and their media types (section 5.2). @type {Map<string, string>} */
export const INDEX_FILES = new Map([
  [TENSORS, 'application/vnd.modelbundle.tensor-index.v1+msgpack'],
  [COMPOSITIONS, 'application/vnd.modelbundle.compositions.v1+msgpack'],
  [RESIDUE, 'application/octet-stream'],
]);

const LONGEST_PATH = 1024;
const FORBIDDEN = /[\\:*?"<>|]/;
const DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[1-9¹²³])$/i;

/** @type {Map<number, string>} */
const FOLDS = new Map(EXPANSIONS);
for (let i = 0; i < RUNS.length; i += 4) {
  const [first, step, count, delta] = RUNS.slice(i, i + 4);
  for (let k = 0; k < count; k++) FOLDS.set(first + k * step, String.fromCodePoint(first + k * step + delta));
}

/** NFC(full case folding(NFC(path))), PTH-05. @param {string} path */
export function fold(path) {
  // eslint-disable-next-line no-control-regex
  if (/^[\u0000-\u007f]*$/.test(path)) return path.toLowerCase();
  let folded = '';
  for (const character of path.normalize('NFC')) {
    folded += FOLDS.get(/** @type {number} */ (character.codePointAt(0))) ?? character;
  }
  return folded.normalize('NFC');
}

/**
 * PTH-01 to PTH-04 for one path.
 * @param {string} path
 * @param {string} place
 * @param {Report} report
 * @returns {boolean} whether it is a path that can be used
 */
export function checkPath(path, place, report) {
  const before = report.errors;
  const segments = path.split('/');
  const length = utf8Length(path);
  if (length < 1 || length > LONGEST_PATH) {
    report.add('PTH-01', place, `1 to ${LONGEST_PATH} bytes`, `${length} bytes`);
  } else if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    report.add('PTH-01', place, 'a relative path without empty segments, "." and ".."', path);
  }
  if (CONTROL.test(path) || FORBIDDEN.test(path)) {
    report.add('PTH-02', place, 'no control character and none of \\ : * ? " < > |', path);
  }
  for (const segment of segments) {
    if (segment === '.' || segment === '..') continue;
    const stem = segment.split('.', 1)[0].replace(/ +$/, '');
    if (/[. ]$/.test(segment) || DEVICE.test(stem)) {
      report.add('PTH-03', place, 'no segment that ends in a dot or a space or names a device', path);
      break;
    }
  }
  if (path.normalize('NFC') !== path) report.add('PTH-04', place, 'Normalization Form C', path);
  return report.errors === before;
}

/**
 * PTH-05 for all paths of a bundle. The manifest's own path takes part, though it is not listed.
 * @param {{ path: string, place: string }[]} paths
 * @param {Report} report
 */
export function checkCollisions(paths, report) {
  /** @type {Map<string, string>} */
  const folded = new Map([[MANIFEST, MANIFEST]]);
  const forms = paths.map(({ path }) => fold(path));
  paths.forEach(({ path, place }, i) => {
    const other = folded.get(forms[i]);
    if (other === undefined) folded.set(forms[i], path);
    else if (path !== MANIFEST) report.add('PTH-05', place, 'paths whose folded forms differ', `${path} and ${other}`);
  });
  paths.forEach(({ path, place }, i) => {
    for (let at = forms[i].indexOf('/'); at >= 0; at = forms[i].indexOf('/', at + 1)) {
      const other = folded.get(forms[i].slice(0, at));
      if (other !== undefined) {
        report.add('PTH-05', place, 'no path that is a directory prefix of another', `${path} and ${other}`);
      }
    }
  });
}

/**
 * All directories that paths need.
 * @param {Iterable<string>} paths
 * @returns {Set<string>}
 */
export function parents(paths) {
  const found = new Set();
  for (const path of paths) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at);
      if (found.has(parent)) break;
      found.add(parent);
    }
  }
  return found;
}

/** @param {Iterable<string>} paths */
export const sortedPaths = (paths) => [...paths].sort(compareText);
