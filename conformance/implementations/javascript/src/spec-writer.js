/** Writes a bundle from a SPEC.json: the Spec of writer.js, its files as paths beside it, text or hexadecimal digits. */
import { promises as fs } from 'node:fs';
import { dirname, join } from 'node:path';
import { NoAnswer } from './findings.js';
import { writeBundle } from './layout-writer.js';
import { openFile } from './node.js';
import { encodeUtf8, fromHex } from './text.js';
import { bundleDigest, memory, planBundle } from './writer.js';
/** @typedef {import('./platform.js').Platform} Platform */

/**
 * @param {Platform} platform
 * @param {string} path of the SPEC.json
 * @param {string} destination
 * @returns {Promise<string>} bundle digest
 */
export async function writeFromSpec(platform, path, destination) {
  /** @type {any} */
  let spec;
  try {
    spec = JSON.parse(await fs.readFile(path, 'utf8'));
  } catch (error) {
    throw new NoAnswer(`${path}: ${/** @type {Error} */ (error).message}`);
  }
  /** @type {import('./platform.js').Bytes[]} */
  const opened = [];
  try {
    const files = [];
    for (const { from, text, hex, ...file } of spec.files ?? []) {
      const bytes = text !== undefined ? memory(encodeUtf8(text))
        : hex !== undefined ? memory(fromHex(hex))
          : await openFile(join(dirname(path), from ?? file.path), false);
      opened.push(bytes);
      files.push({ ...file, bytes });
    }
    const content = await planBundle(platform, { ...spec, files });
    await writeBundle(platform, content, destination);
    return await bundleDigest(platform, content);
  } finally {
    for (const bytes of opened) await bytes.close();
  }
}
