/** The role Copier (section 12.3): needs manifest and paths, and no kind, extension or tensor. */
import { NoAnswer, Report } from './findings.js';
import { writeBundle } from './layout-writer.js';
import { checkArchiveSize, openManifest } from './reader.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./reader.js').Place} Place */

/**
 * Copies a bundle, byte for byte, to a layout; or throws a Refusal and leaves nothing.
 * @param {Platform} platform
 * @param {Place} where
 * @param {string} destination
 * @returns {Promise<string>} bundle digest
 */
export async function copyBundle(platform, where, destination) {
  const report = new Report();
  const bundle = await openManifest(platform, where, report, { kinds: false });
  report.stop();
  if (!bundle) throw new NoAnswer('no bundle');
  checkArchiveSize(bundle, report);
  report.stop();
  try {
    const { manifest, manifestBytes } = bundle;
    await writeBundle(platform, { manifest, manifestBytes, stored: (path) => bundle.stored(path) }, destination);
  } finally {
    await bundle.close();
  }
  return bundle.digest;
}
