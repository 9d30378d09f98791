/** Every case that this machine can prepare: verdict, rule IDs and places, and what is packed. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { copyBundle } from '../src/copier.js';
import { Refusal, Report } from '../src/findings.js';
import { locate, node } from '../src/node.js';
import { packSources } from '../src/pack.js';
import { digestOf } from '../src/platform.js';
import { openBundle } from '../src/reader.js';
import { compileSchemas } from '../src/schemas.js';
import { unpack } from '../src/unpacker.js';
import { validateBundle } from '../src/validator.js';
import { CASES, judge, loadCases, withInput } from './cases.js';

const SCHEMAS = fileURLToPath(new URL('../../../../schemas', import.meta.url));
const load = (/** @type {string} */ name) => JSON.parse(readFileSync(join(SCHEMAS, `${name}.schema.json`), 'utf8'));
const schemas = compileSchemas({
  manifest: load('manifest'), tensor_index: load('tensor_index'), compositions: load('compositions'),
  topology: load('topology'), object_graph: load('object_graph'),
  keras_model: load('keras_model'), keras_training: load('keras_training'),
  stablehlo_arguments: load('stablehlo_arguments'), golden: load('golden'),
});
const findingsSchema = compileSchemas({ findings: load('findings') });

/** What expected.json says of a bundle that is accepted. @param {import('./cases.js').Case} item @param {string} input */
async function compareContent(item, input) {
  const file = join(CASES, item.id, 'expected.json');
  if (!existsSync(file)) return;
  const expected = JSON.parse(readFileSync(file, 'utf8'));
  for (const [path, digest] of Object.entries(expected.copy ?? {})) {
    assert.equal(await digestOf(node, new Uint8Array(readFileSync(join(input, path)))), digest, path);
  }
  if (!expected.files) return;
  const where = await locate(input);
  const bundle = await openBundle(node, where);
  const { index } = bundle;
  assert.equal(bundle.digest, expected.digest);
  if (expected.files) {
    const files = bundle.manifest.files.map(({ path, size, digest, role }) => ({ path, size, digest, role }));
    assert.deepEqual(files, expected.files);
  }
  if (expected.tensors) {
    const rows = Array.from({ length: index?.count ?? 0 }, (_, i) => index?.row(i));
    assert.deepEqual(
      rows.map((row) => row && { name: row.name, dtype: row.dtype, shape: row.shape, role: row.role, digest: row.digest }),
      expected.tensors,
    );
  }
  await bundle.close();
  if (where && 'archive' in where) await where.archive.close();
}

/** Packs twice, in both orders, to the digest that is expected. @param {import('./cases.js').Case} item @param {string} input */
async function pack(item, input) {
  const scratch = mkdtempSync(join(tmpdir(), 'mb-pack-'));
  try {
    const paths = item.arguments?.sources.map((/** @type {string} */ source) => join(input, source));
    const digest = await packSources(node, paths, join(scratch, 'first.modelbundle'), { schemas });
    assert.equal(await packSources(node, paths.reverse(), join(scratch, 'second'), { schemas }), digest);
    assert.equal(digest, JSON.parse(readFileSync(join(CASES, item.id, 'expected.json'), 'utf8')).digest);
    return { verdict: 'accept', findings: [] };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { verdict: error.verdict, findings: error.findings };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** @param {import('./cases.js').Case} item @param {string} input @param {string} folder */
async function perform(item, input, folder) {
  if (item.operation === 'pack') return pack(item, input);
  const where = await locate(input);
  try {
    if (item.operation === 'validate') {
      const { report } = await validateBundle(node, where, { schemas, sources: true });
      return { verdict: report.verdict, findings: report.findings };
    }
    if (item.operation === 'copy') {
      const copy = join(folder, item.arguments?.layout === 'directory' ? 'copy.out' : 'copy.modelbundle');
      await copyBundle(node, where, copy);
      const made = await locate(copy);
      const { report } = await validateBundle(node, made, { schemas });
      if (made && 'archive' in made) await made.archive.close();
      assert.notEqual(report.verdict, 'reject', JSON.stringify(report.findings));
      await compareContent(item, copy);
    } else {
      const bundle = await openBundle(node, where, { digest: item.arguments?.digest });
      try {
        if (item.operation === 'unpack') await unpack(bundle, join(folder, item.arguments?.destination ?? 'unpacked.out'));
        else {
          const report = new Report();
          for (let i = 0; i < (bundle.index?.count ?? 0); i++) await bundle.verifyTensor(i, report);
          report.stop();
          for (const file of bundle.manifest.files) for await (const piece of bundle.verified(file)) void piece;
        }
      } finally {
        await bundle.close();
      }
    }
    return { verdict: 'accept', findings: [] };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { verdict: error.verdict, findings: error.findings };
  } finally {
    if (where && 'archive' in where) await where.archive.close();
  }
}

describe('conformance', () => {
  for (const item of loadCases()) {
    const skip = item.recipe?.some((step) => step.do === 'build') ? 'is built by the generator' : false;
    test(item.id, { skip }, () => withInput(item, async (input, folder) => {
      const answer = await perform(item, input, folder);
      assert.deepEqual(findingsSchema.errors('findings', { findings: answer.findings }), []);
      const wrong = judge(item, answer);
      assert.ok(!wrong, wrong ?? '');
      if (answer.verdict === 'accept' && item.operation !== 'copy' && item.operation !== 'pack') await compareContent(item, input);
    }));
  }
});
