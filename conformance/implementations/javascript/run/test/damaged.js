/**
 * A bundle that is right by all its digests, with one weight other than that which its golden vectors were made with.
 *
 *     const path = await writeDamaged('fixtures/convolutional.modelbundle', folder);
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { locate, node } from '../../src/node.js';
import { pack, unpackTo } from '../../src/operations.js';
import { openBundle } from '../../src/reader.js';

/** @param {string} path of a bundle of a captured model @param {string} folder @param {string} [tensor] whose first element gets 0.01 more */
export async function writeDamaged(path, folder, tensor = 'conv/kernel') {
  const where = await locate(path);
  const bundle = await openBundle(node, where);
  const row = /** @type {import('../../src/tensor-index.js').TensorIndex} */ (bundle.index).row(bundle.find(tensor));
  if (where && 'archive' in where) await where.archive.close();
  const sources = join(folder, `${basename(path)}.sources`);
  await unpackTo(path, sources);
  const file = join(sources, row.file);
  const bytes = await readFile(file);
  bytes.writeFloatLE(bytes.readFloatLE(row.offset) + 0.01, row.offset);
  await writeFile(file, bytes);
  const target = join(folder, `damaged-${basename(path)}`);
  await pack(sources, target, ['model', 'vectors.golden']);
  return target;
}
