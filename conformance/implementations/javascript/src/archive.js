/** The archive layout (section 3.3): every byte follows from the manifest and the files. */
import { COMPOSITIONS, MANIFEST, TENSORS } from './paths.js';
import { compareText, decodeUtf8, encodeUtf8 } from './text.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./platform.js').Bytes} Bytes */

/** @typedef {{ path: string, name: Uint8Array, size: number, header: number, data: number }} Member */
/** @typedef {{ members: Member[], central: number, centralSize: number, zip64: boolean, size: number }} Layout */

const LIMIT = 0xffffffff;
const MANY = 0xffff;
export const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const VERSION = 45;
const FLAGS = 0x0800;
const DATE = 0x0021;
const PADDING_ID = 0x424d;
const ALIGNMENT = 64;
/** Where the manifest's data begins: 30 + 13 + 4, rounded up to 64. */
export const MANIFEST_DATA = 64;
export const MANIFEST_NAME = encodeUtf8(MANIFEST);

/**
 * Members in their order (ARC-05), with the places that section 3.3.5 computes.
 * @param {Manifest} manifest
 * @param {number} manifestSize
 * @returns {Layout}
 */
export function archiveLayout(manifest, manifestSize) {
  const stored = manifest.files.filter(({ storage }) => storage === 'stored');
  const rank = (/** @type {string} */ path) => (path === TENSORS ? 0 : path === COMPOSITIONS ? 1 : 2);
  const sorted = stored
    .map(({ path, size }) => ({ path, size }))
    .sort((a, b) => rank(a.path) - rank(b.path) || compareText(a.path, b.path));
  let at = 0;
  let centralSize = 0;
  const members = [{ path: MANIFEST, size: manifestSize }, ...sorted].map(({ path, size }) => {
    const name = encodeUtf8(path);
    const big = size >= LIMIT;
    const header = at;
    const unpadded = at + 30 + name.length + (big ? 20 : 0) + 4;
    const data = Math.ceil(unpadded / ALIGNMENT) * ALIGNMENT;
    const words = (big ? 2 : 0) + (at >= LIMIT ? 1 : 0);
    centralSize += 46 + name.length + (words ? 4 + 8 * words : 0);
    at = data + size;
    return { path, name, size, header, data };
  });
  const zip64 = members.length >= MANY || centralSize >= LIMIT || at >= LIMIT;
  return { members, central: at, centralSize, zip64, size: at + centralSize + (zip64 ? 76 : 0) + 22 };
}

/** @param {DataView} view @param {number} at @param {number} value */
const setU64 = (view, at, value) => view.setBigUint64(at, BigInt(value), true);

/**
 * The local header of a member, up to its data.
 * @param {Member} member
 * @param {number} crc
 */
export function localHeader({ name, size, header, data }, crc) {
  const bytes = new Uint8Array(data - header);
  const view = new DataView(bytes.buffer);
  const big = size >= LIMIT;
  view.setUint32(0, LOCAL, true);
  view.setUint16(4, VERSION, true);
  view.setUint16(6, FLAGS, true);
  view.setUint16(12, DATE, true);
  view.setUint32(14, crc, true);
  view.setUint32(18, big ? LIMIT : size, true);
  view.setUint32(22, big ? LIMIT : size, true);
  view.setUint16(26, name.length, true);
  view.setUint16(28, bytes.length - 30 - name.length, true);
  bytes.set(name, 30);
  let at = 30 + name.length;
  if (big) {
    view.setUint16(at, 1, true);
    view.setUint16(at + 2, 16, true);
    setU64(view, at + 4, size);
    setU64(view, at + 12, size);
    at += 20;
  }
  view.setUint16(at, PADDING_ID, true);
  view.setUint16(at + 2, bytes.length - at - 4, true);
  return bytes;
}

/**
 * The central header of a member.
 * @param {Member} member
 * @param {number} crc
 */
export function centralHeader({ name, size, header }, crc) {
  const words = [...(size >= LIMIT ? [size, size] : []), ...(header >= LIMIT ? [header] : [])];
  const extra = words.length ? 4 + 8 * words.length : 0;
  const bytes = new Uint8Array(46 + name.length + extra);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CENTRAL, true);
  view.setUint16(4, VERSION, true);
  view.setUint16(6, VERSION, true);
  view.setUint16(8, FLAGS, true);
  view.setUint16(14, DATE, true);
  view.setUint32(16, crc, true);
  view.setUint32(20, Math.min(size, LIMIT), true);
  view.setUint32(24, Math.min(size, LIMIT), true);
  view.setUint16(28, name.length, true);
  view.setUint16(30, extra, true);
  view.setUint32(42, Math.min(header, LIMIT), true);
  bytes.set(name, 46);
  if (extra) {
    view.setUint16(46 + name.length, 1, true);
    view.setUint16(48 + name.length, extra - 4, true);
    words.forEach((word, i) => setU64(view, 50 + name.length + 8 * i, word));
  }
  return bytes;
}

/** The end records. @param {Layout} layout */
export function endRecords({ members, central, centralSize, zip64 }) {
  const bytes = new Uint8Array((zip64 ? 76 : 0) + 22);
  const view = new DataView(bytes.buffer);
  let at = 0;
  if (zip64) {
    view.setUint32(0, END64, true);
    setU64(view, 4, 44);
    view.setUint16(12, VERSION, true);
    view.setUint16(14, VERSION, true);
    setU64(view, 24, members.length);
    setU64(view, 32, members.length);
    setU64(view, 40, centralSize);
    setU64(view, 48, central);
    view.setUint32(56, LOCATOR64, true);
    setU64(view, 64, central + centralSize);
    view.setUint32(72, 1, true);
    at = 76;
  }
  view.setUint32(at, END, true);
  view.setUint16(at + 8, Math.min(members.length, MANY), true);
  view.setUint16(at + 10, Math.min(members.length, MANY), true);
  view.setUint32(at + 12, Math.min(centralSize, LIMIT), true);
  view.setUint32(at + 16, Math.min(central, LIMIT), true);
  return bytes;
}

/** @typedef {[at: number, length: number, rule: string, what: string]} Field */

/** Reads of an archive that may be shorter than it has to be. @param {Bytes} bytes @param {number} offset @param {number} length */
export async function readUpTo(bytes, offset, length) {
  const left = Math.max(0, bytes.size - offset);
  return left ? bytes.read(offset, Math.min(length, left)) : new Uint8Array(0);
}

/**
 * Compares bytes with what they have to be, field by field.
 * @param {Uint8Array} found
 * @param {Uint8Array} expected
 * @param {Field[]} fields
 * @param {number} base offset in the archive
 * @param {Report} report
 * @returns {Set<string>} fields that differ
 */
function compareFields(found, expected, fields, base, report) {
  const different = new Set();
  for (const [at, length, rule, what] of fields) {
    const is = found.subarray(at, at + length);
    const due = expected.subarray(at, at + length);
    if (is.length === due.length && is.every((byte, i) => byte === due[i])) continue;
    different.add(what);
    const hex = (/** @type {Uint8Array} */ b) => [...b.subarray(0, 16)].map((x) => x.toString(16).padStart(2, '0')).join(' ');
    report.add(rule, `archive@${base + at}`, `${what} ${hex(due)}`, hex(is) || 'the end');
  }
  return different;
}

/** @param {Uint8Array} bytes @param {number} at */
const u16 = (bytes, at) => (at + 2 <= bytes.length ? bytes[at] | (bytes[at + 1] << 8) : -1);
/** @param {Uint8Array} bytes @param {number} at */
const u32 = (bytes, at) =>
  at + 4 <= bytes.length ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true) : -1;

/**
 * Compares the headers and end records of an archive with what they have to be; data is not read.
 * @param {Bytes} archive
 * @param {Layout} layout
 * @param {Report} report
 * @returns {Promise<Map<string, number>>} CRC-32 of the members as both headers state them
 */
export async function checkHeaders(archive, layout, report) {
  /** @type {Map<string, number>} */
  const stated = new Map();
  if (archive.size !== layout.size) {
    report.add('ARC-07', `archive@${Math.min(layout.size, archive.size)}`, `an archive of ${layout.size} bytes`, `${archive.size} bytes`);
  }
  /** @type {number[]} */
  const crcs = [];
  let inStep = true;
  for (const member of layout.members) {
    const { header, name, size, path } = member;
    const found = await readUpTo(archive, header, member.data - header);
    crcs.push(u32(found, 14));
    if (!inStep) continue;
    const expected = localHeader(member, 0);
    const first = path === MANIFEST;
    const signature = u32(found, 0);
    if (signature !== LOCAL) {
      report.add(first ? 'ARC-01' : 'ARC-06', `archive@${header}`, `the local header of ${path}`, signature.toString(16));
      // A central header here says that the member is missing.
      if (signature === CENTRAL) report.add('ARC-05', `archive@${header}`, `the member ${path}`, 'the central directory');
      inStep = false;
      continue;
    }
    const big = size >= LIMIT;
    const L = name.length;
    const z = big ? 20 : 0;
    const zip64 = big || u16(found, 30 + L) === 1;
    const different = compareFields(found, expected, [
      [4, 2, 'ARC-08', 'version needed'],
      [6, 2, 'ARC-02', 'flags'],
      [8, 2, 'ARC-02', 'method'],
      [10, 2, 'ARC-08', 'time'],
      [12, 2, 'ARC-08', 'date'],
      [18, 4, 'ARC-11', 'compressed size'],
      [22, 4, 'ARC-11', 'size'],
      [26, 2, 'ARC-05', 'name length'],
      [28, 2, zip64 ? 'ARC-09' : 'ARC-06', 'extra length'],
      [30, L, first ? 'ARC-01' : 'ARC-05', 'name'],
      [30 + L, z, 'ARC-09', 'zip64 field'],
      [30 + L + z, expected.length - 30 - L - z, zip64 && !big ? 'ARC-09' : 'ARC-06', 'padding field'],
    ], header, report);
    if (first && different.has('name length')) {
      report.add('ARC-01', 'archive@0', 'the local header of manifest.json', 'another name length');
    }
    if (different.has('name length') || different.has('extra length')) inStep = false;
  }
  let at = layout.central;
  for (let i = 0; i < layout.members.length && inStep; i++) {
    const member = layout.members[i];
    const expected = centralHeader(member, Math.max(0, crcs[i]));
    const found = await readUpTo(archive, at, expected.length);
    const signature = u32(found, 0);
    if (signature !== CENTRAL) {
      report.add(signature === LOCAL ? 'ARC-05' : 'ARC-07', `archive@${at}`, `the central header of ${member.path}`, signature.toString(16));
      // An end record here says that a header is missing.
      if (signature === END || signature === END64) {
        report.add('ARC-05', `archive@${at}`, `the central header of ${member.path}`, 'an end record');
      }
      inStep = false;
      break;
    }
    const L = member.name.length;
    const extra = expected.length - 46 - L;
    const zip64 = extra > 0 || (u16(found, 30) > 0 && u16(await readUpTo(archive, at + 46 + L, 2), 0) === 1);
    const different = compareFields(found, expected, [
      [4, 2, 'ARC-08', 'version made by'],
      [6, 2, 'ARC-08', 'version needed'],
      [8, 2, 'ARC-02', 'flags'],
      [10, 2, 'ARC-02', 'method'],
      [12, 2, 'ARC-08', 'time'],
      [14, 2, 'ARC-08', 'date'],
      [16, 4, 'ARC-03', 'CRC-32 of the local header'],
      [20, 4, 'ARC-11', 'compressed size'],
      [24, 4, 'ARC-11', 'size'],
      [28, 2, 'ARC-05', 'name length'],
      [30, 2, zip64 ? 'ARC-09' : 'ARC-06', 'extra length'],
      [32, 2, 'ARC-08', 'comment length'],
      [34, 2, 'ARC-08', 'disk'],
      [36, 2, 'ARC-08', 'internal attributes'],
      [38, 4, 'ARC-08', 'external attributes'],
      [42, 4, 'ARC-04', 'local header offset'],
      [46, L, 'ARC-05', 'name'],
      [46 + L, extra, 'ARC-09', 'zip64 field'],
    ], at, report);
    if (!different.has('CRC-32 of the local header')) stated.set(member.path, crcs[i]);
    if (['name length', 'extra length', 'comment length'].some((name) => different.has(name))) inStep = false;
    at += expected.length;
  }
  if (inStep) await checkEnd(archive, layout, report);
  return stated;
}

/** @param {Bytes} archive @param {Layout} layout @param {Report} report */
async function checkEnd(archive, layout, report) {
  const at = layout.central + layout.centralSize;
  const expected = endRecords(layout);
  const found = await readUpTo(archive, at, expected.length);
  const signature = u32(found, 0);
  if (signature === CENTRAL) {
    const name = await readUpTo(archive, at + 46, Math.max(0, u16(await readUpTo(archive, at, 46), 28)));
    report.add('ARC-05', `archive@${at}`, 'no other member', decodeUtf8(name) ?? 'a member');
  }
  const rule = layout.zip64 || signature === END64 ? 'ARC-09' : 'ARC-07';
  /** @type {[number, number, string][]} */
  const fields = [];
  let base = 0;
  if (layout.zip64) {
    fields.push([0, 4, 'signature of the zip64 end record'], [4, 8, 'size of the zip64 end record'],
      [12, 4, 'versions'], [16, 8, 'disks'], [24, 16, 'members'], [40, 8, 'size of the central directory'],
      [48, 8, 'offset of the central directory'], [56, 4, 'signature of the locator'], [60, 4, 'disk'],
      [64, 8, 'offset of the zip64 end record'], [72, 4, 'disks of the locator']);
    base = 76;
  }
  fields.push([base, 4, 'signature of the end record'], [base + 4, 4, 'disks of the end record'],
    [base + 8, 4, 'members of the end record'], [base + 12, 4, 'size of the central directory, 32 bits'],
    [base + 16, 4, 'offset of the central directory, 32 bits'], [base + 20, 2, 'comment length']);
  const listed = fields.map(([start, length, what]) => /** @type {Field} */ ([start, length, rule, what]));
  const different = compareFields(found, expected, listed, at, report);
  // Disk numbers and comment lengths belong to ARC-08 as well.
  if ([...different].some((what) => what.startsWith('disk') || what.startsWith('comment'))) {
    report.add('ARC-08', `archive@${at}`, 'disk numbers and comment lengths of the tables', 'others');
  }
}
