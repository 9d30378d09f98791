/**
 * HDF5 files (section 13.2): superblock, groups, and the datasets with their ranges.
 *
 *     const { datasets } = await readFile(bytes, 'net.h5');
 */
import { utf8Length } from '../../text.js';
import { Hdf5Bytes } from './bytes.js';
import { describe } from './datasets.js';
import { FARTHEST_SUPERBLOCK, LONGEST_PATH, MOST_OBJECTS } from './limits.js';
import { openObject } from './objects.js';
/** @typedef {import('../../platform.js').Bytes} Bytes */
/** @typedef {import('./objects.js').Hdf5Object} Hdf5Object */
/** @typedef {import('./datasets.js').Described} Described */
/** @typedef {Described & { path: string, object: Hdf5Object }} Dataset */

const SIGNATURE = '\x89HDF\r\n\x1a\n';
const SIZES = [2, 4, 8];

export class Hdf5File {
  /** @param {Hdf5Bytes} file */
  constructor(file) {
    this.file = file;
    this.spent = { attributes: 0 };
    /** @type {Map<string, Hdf5Object>} by path, '' for the root */
    this.groups = new Map();
    /** @type {Map<string, Dataset>} by path, in the order of section 13.2 */
    this.datasets = new Map();
    this.objects = 0;
  }

  /** @param {number} address */
  open(address) {
    if (++this.objects > MOST_OBJECTS) this.file.fail(address, `at most ${MOST_OBJECTS} objects`, 'more');
    return openObject(this.file, address, this.spent);
  }

  /** Walks all groups (HDF-10). @param {number} root */
  async walk(root) {
    /** @type {Set<number>} */
    const seen = new Set();
    /** @type {Map<number, Described & { object: Hdf5Object }>} */
    const known = new Map();
    /** @param {Hdf5Object} group @param {string} path */
    const visit = async (group, path) => {
      this.groups.set(path, group);
      for (const { name, at } of await group.links()) {
        const own = path ? `${path}/${name}` : name;
        if (utf8Length(own) > LONGEST_PATH) this.file.fail(at, `paths of at most ${LONGEST_PATH} bytes`, 'a longer one');
        const before = known.get(at);
        if (before) {
          this.datasets.set(own, { ...before, path: own });
          continue;
        }
        if (seen.has(at)) this.file.fail(at, 'a group with one path', own, 'HDF-10');
        seen.add(at);
        const object = await this.open(at);
        if (object.isDataset) {
          const described = { ...(await describe(object)), object };
          known.set(at, described);
          this.datasets.set(own, { ...described, path: own });
        } else if (object.isGroup) await visit(object, own);
      }
    };
    seen.add(root);
    const group = await this.open(root);
    if (!group.isGroup) this.file.fail(root, 'a group', 'another object');
    await visit(group, '');
    this.checkOverlaps(known.values());
    return this;
  }

  /** HDF-09: two datasets on the same bytes. @param {Iterable<Described>} described */
  checkOverlaps(described) {
    const ranges = [...described].flatMap(({ ranges: own }) => own).filter(({ length }) => length).sort((a, b) => a.at - b.at);
    for (let i = 1; i < ranges.length; i++) {
      if (ranges[i].at < ranges[i - 1].at + ranges[i - 1].length) this.file.fail(ranges[i].at, 'bytes of one dataset or chunk', 'two', 'HDF-09');
    }
  }
}

/** @param {Bytes} bytes @param {string} path */
async function findSuperblock(bytes, path) {
  for (let at = 0; at <= FARTHEST_SUPERBLOCK && at + 8 <= bytes.size; at = at ? at * 2 : 512) {
    if (String.fromCharCode(...(await bytes.read(at, 8))) === SIGNATURE) return new Hdf5Bytes(bytes, path, at);
  }
  return new Hdf5Bytes(bytes, path, 0).fail(0, 'the signature of HDF5', 'none');
}

/** @param {Hdf5Bytes} file @param {number} offsets @param {number} lengths */
function takeSizes(file, offsets, lengths) {
  if (!SIZES.includes(offsets) || !SIZES.includes(lengths)) file.fail(8, 'sizes of 2, 4 or 8 bytes', `${offsets} and ${lengths}`);
  file.offsetSize = offsets;
  file.lengthSize = lengths;
}

/**
 * Addresses count from the superblock, wherever the file was moved to; the end that it states is one of
 * the whole file, from where the base address was.
 * @param {Hdf5Bytes} file @param {number} base @param {number} end
 */
function checkEnd(file, base, end) {
  const moved = end + file.base - base;
  if (!(moved <= file.source.size)) file.fail(0, `a file of at least ${moved} bytes`, file.source.size);
}

/** The address of the root group. @param {Hdf5Bytes} file @returns {Promise<number>} */
async function readSuperblock(file) {
  const cursor = await file.cursor(0, 128, true);
  cursor.skip(8);
  const version = cursor.version(0, 1, 2, 3);
  if (version < 2) {
    cursor.skip(4);
    takeSizes(file, cursor.u8(), cursor.u8());
    cursor.skip(1 + 4 + 4 + (version === 1 ? 4 : 0));
  } else {
    takeSizes(file, cursor.u8(), cursor.u8());
    cursor.skip(1);
  }
  const width = file.offsetSize;
  const base = cursor.uint(width);
  cursor.skip(width);
  const end = cursor.uint(width);
  if (version < 2) cursor.skip(2 * width);
  const root = cursor.uint(width);
  if (version >= 2) cursor.checksum();
  checkEnd(file, base, end);
  return root < file.size ? root : cursor.fail('a root group inside the file', root);
}

/** @param {Bytes} bytes @param {string} path @returns {Promise<Hdf5File>} */
export async function readFile(bytes, path) {
  const file = await findSuperblock(bytes, path);
  const root = await readSuperblock(file);
  return new Hdf5File(file).walk(root);
}
