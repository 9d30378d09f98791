/** The role Validator (section 11.5). */
import { checkHeaders } from './archive.js';
import { checkDirectory, checkEntry } from './directory.js';
import { bitsOf } from './dtypes.js';
import { Refusal, Report } from './findings.js';
import { COMPOSITIONS, MANIFEST, TENSORS } from './paths.js';
import { pieces } from './platform.js';
import { checkSources } from './sources.js';
import { checkArchiveSize, openIndexes, openManifest } from './reader.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./reader.js').Bundle} Bundle */
/** @typedef {import('./reader.js').Place} Place */
/** @typedef {import('./schemas.js').Schemas} Schemas */

/** Reports a Refusal that a read threw. @param {Report} report @param {() => Promise<void>} work */
async function reporting(report, work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    for (const { rule, place, expected, found, hint } of error.findings) {
      if (!report.findings.some((other) => other.rule === rule && other.place === place)) {
        report.add(rule, place, expected, found, hint);
      }
    }
  }
}

/**
 * MAN-13, where no other rule says already what a schema refuses.
 * @param {Bundle} bundle
 * @param {Schemas} schemas
 * @param {Report} report
 */
function checkSchemas(bundle, schemas, report) {
  // A newer MINOR is checked against the schema of its own version.
  if (bundle.newer) return;
  /** @param {'manifest' | 'tensor_index' | 'compositions'} name @param {string} path @param {unknown} value */
  const check = (name, path, value) => {
    for (const { pointer, message } of schemas.errors(name, value).slice(0, 20)) {
      report.add('MAN-13', `${path}#${pointer}`, `a value that ${name}.schema.json accepts`, message);
    }
  };
  const clean = (/** @type {string} */ path) => !report.findings.some(({ place }) => place.split(/[#@]/, 1)[0] === path);
  if (clean(MANIFEST)) check('manifest', MANIFEST, JSON.parse(new TextDecoder().decode(bundle.manifestBytes)));
  if (bundle.index && clean(TENSORS)) {
    check('tensor_index', TENSORS, bundle.index.decoded());
  }
  if (bundle.compositions && clean(COMPOSITIONS)) check('compositions', COMPOSITIONS, bundle.compositions);
}

/** IDN-02, IDN-03 and ARC-10 for all stored files. @param {Bundle} bundle @param {Map<string, number>} crcs @param {Report} report */
async function checkStored(bundle, crcs, report) {
  const { platform, layout } = bundle;
  if (layout) {
    const manifest = platform.crc32(bundle.manifestBytes, 0);
    compareCrc(MANIFEST, manifest);
  }
  /** @param {string} path @param {number} crc */
  function compareCrc(path, crc) {
    const stated = crcs.get(path);
    if (stated !== undefined && stated !== crc) {
      const header = layout?.members.find((member) => member.path === path)?.header ?? 0;
      report.add('ARC-10', `archive@${header + 14}`, `CRC-32 ${crc.toString(16)} of ${path}`, stated.toString(16));
    }
  }
  for (const file of bundle.manifest.files) {
    // A file over its limit is not read (RDR-04).
    if (file.storage !== 'stored' || report.findings.some(({ rule, place }) => (rule === 'TEN-17' || rule === 'CMP-07') && place === file.path)) continue;
    await reporting(report, async () => {
      const hash = platform.sha256();
      let crc = 0;
      for await (const piece of pieces(bundle.stored(file.path), 0, file.size)) {
        hash.update(piece);
        if (layout) crc = platform.crc32(piece, crc);
      }
      const digest = `sha256:${await hash.hex()}`;
      if (file.digest.startsWith('sha256:') && digest !== file.digest) {
        const known = report.findings.some(({ rule, place }) => rule === 'IDN-02' && place === file.path);
        if (!known) report.add('IDN-02', file.path, file.digest, digest);
      }
      if (layout) compareCrc(file.path, crc);
    });
  }
}

/** TEN-10, TEN-13, TEN-14 and CMP-06. @param {Bundle} bundle @param {Report} report */
async function checkContents(bundle, report) {
  const { index } = bundle;
  const usable = ['TEN-06', 'TEN-07', 'TEN-08', 'TEN-04'].every((rule) => !report.has(rule));
  if (index && usable) {
    // In the order of the files, so that each is opened once.
    const order = Array.from({ length: index.count }, (_, i) => i);
    order.sort((a, b) => index.file[a] - index.file[b] || index.offset[a] - index.offset[b]);
    for (const i of order) await reporting(report, () => bundle.verifyTensor(i, report));
  }
  if (bundle.segments && ['CMP-02', 'CMP-03', 'CMP-04', 'CMP-05'].every((rule) => !report.has(rule))) {
    for (const file of bundle.manifest.files) {
      if (file.storage !== 'composed' || !file.digest.startsWith('sha256:')) continue;
      await reporting(report, async () => {
        for await (const piece of bundle.verified(file)) void piece;
      });
    }
  }
}

/** WRT-07, a warning: tensors of derived files at multiples of the width of their elements. @param {Bundle} bundle @param {Report} report */
function checkAlignment(bundle, report) {
  const { index } = bundle;
  if (!index) return;
  const widths = index.dtypes.map((dtype) => {
    const bits = bitsOf(dtype);
    return bits && bits >= 16 && !dtype.startsWith('bytes') ? bits / 8 : 1;
  });
  const derived = index.files.map((path) => bundle.files.get(path)?.role === 'derived');
  for (let i = 0; i < index.count; i++) {
    const width = widths[index.dtype[i]];
    if (derived[index.file[i]] && index.offset[i] % width) {
      report.add('WRT-07', `${TENSORS}#/offset/${i}`, `a multiple of ${width}`, index.offset[i]);
    }
  }
}

/**
 * Validates a bundle at level Core: every breach that can be seen, each under its rule.
 * @param {Platform} platform
 * @param {Place} where
 * @param {{ schemas?: Schemas | null, structure?: boolean, sources?: boolean }} [options] structure: leave the data of files
 *   out; sources: compare components with their files, for the kinds that sources.js offers
 * @returns {Promise<{ digest?: string, report: Report, bundle: Bundle | null }>}
 */
export async function validateBundle(platform, where, { schemas = null, structure = false, sources = false } = {}) {
  const report = new Report();
  /** @type {string | undefined} */
  let digest;
  const bundle = await openManifest(platform, where, report, { seen: (seen) => { digest = seen; } });
  // Nothing else of a bundle of another MAJOR is checked (VER-01).
  if (!bundle || report.has('VER-01')) return { digest, report, bundle };
  try {
    /** @type {Map<string, number>} */
    let crcs = new Map();
    if ('archive' in bundle.where && bundle.layout) {
      crcs = await checkHeaders(bundle.where.archive, bundle.layout, report);
      if (!report.has('ARC-07')) checkArchiveSize(bundle, report);
    } else if ('directory' in bundle.where) {
      await checkDirectory(bundle.where.directory, bundle.manifest, report);
      for (const { path, size, storage } of bundle.manifest.files) {
        if (storage !== 'stored') continue;
        const local = new Report();
        await checkEntry(bundle.where.directory, path, size, local);
        for (const { rule, place, expected, found } of local.findings) {
          if (!report.findings.some((other) => other.rule === rule && other.place === place)) {
            report.add(rule, place, expected, found);
          }
        }
      }
    }
    await reporting(report, () => openIndexes(bundle, report));
    if (schemas) checkSchemas(bundle, schemas, report);
    checkAlignment(bundle, report);
    if (!structure) {
      await checkStored(bundle, crcs, report);
      await checkContents(bundle, report);
      if (sources && !report.errors) await reporting(report, () => checkSources(bundle, schemas, report));
    }
  } finally {
    await bundle.close();
  }
  return { digest, report, bundle };
}
