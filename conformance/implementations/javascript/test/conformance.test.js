/** Every Core case that this machine can prepare: verdict, rule IDs and places. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { copyBundle } from '../src/copier.js';
import { Refusal, Report } from '../src/findings.js';
import { locate, node } from '../src/node.js';
import { openBundle } from '../src/reader.js';
import { compileSchemas } from '../src/schemas.js';
import { unpack } from '../src/unpacker.js';
import { validateBundle } from '../src/validator.js';
import { judge, loadCases, withInput } from './cases.js';

const SCHEMAS = fileURLToPath(new URL('../../../../schemas', import.meta.url));
const load = (/** @type {string} */ name) => JSON.parse(readFileSync(join(SCHEMAS, `${name}.schema.json`), 'utf8'));
const schemas = compileSchemas({
  manifest: load('manifest'), tensor_index: load('tensor_index'), compositions: load('compositions'),
});
const findingsSchema = compileSchemas({ findings: load('findings') });

/** @param {import('./cases.js').Case} item @param {string} input @param {string} folder */
async function perform(item, input, folder) {
  const where = await locate(input);
  try {
    if (item.operation === 'validate') {
      const { report } = await validateBundle(node, where, { schemas });
      return { verdict: report.verdict, findings: report.findings };
    }
    if (item.operation === 'copy') {
      await copyBundle(node, where, join(folder, item.arguments?.layout === 'directory' ? 'copy.out' : 'copy.modelbundle'));
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
    const skip = item.level !== 'core' ? 'level Full is not offered'
      : item.operation === 'pack' ? 'sources are not offered'
      : item.recipe?.some((step) => step.do === 'build') ? 'is built by the generator' : false;
    test(item.id, { skip }, () => withInput(item, async (input, folder) => {
      const answer = await perform(item, input, folder);
      assert.deepEqual(findingsSchema.errors('findings', { findings: answer.findings }), []);
      const wrong = judge(item, answer);
      assert.ok(!wrong, wrong ?? '');
    }));
  }
});
