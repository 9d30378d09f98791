/** Small models on both engines, held against their golden vectors (../fixtures, made by make.py there). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Refusal } from '../../src/findings.js';
import { locate, node } from '../../src/node.js';
import { openBundle } from '../../src/reader.js';
import { compileSchemas } from '../../src/schemas.js';
import { check, goldenVectors, run } from '../src/index.js';
import { numbersOf } from '../src/arrays.js';
import { writeDamaged } from './damaged.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const SCHEMAS = resolve(HERE, '../../../../../schemas');
const CLI = resolve(HERE, '../../cli.js');
const fixture = (/** @type {string} */ name) => join(HERE, '../fixtures', `${name}.modelbundle`);
const readSchema = (/** @type {string} */ path) => JSON.parse(readFileSync(join(SCHEMAS, `${path}.schema.json`), 'utf8'));
const schemas = compileSchemas({
  golden: readSchema('golden'), topology: readSchema('topology'), 'load-check': readSchema('answers/load-check'), run: readSchema('answers/run'),
});
const scratch = mkdtempSync(join(tmpdir(), 'modelbundle-run-'));
after(() => rm(scratch, { recursive: true, force: true }));

/** @template T @param {string} path @param {(bundle: import('../../src/reader.js').Bundle) => Promise<T>} work */
async function opened(path, work) {
  const where = await locate(path);
  try {
    return await work(await openBundle(node, where));
  } finally {
    if (where && 'archive' in where) await where.archive.close();
  }
}

const checked = (/** @type {string} */ path) => opened(path, (bundle) => check(bundle, schemas));

for (const name of ['convolutional', 'recurrent', 'masked', 'siamese', 'layers', 'sequential']) {
  test(`${name}: TensorFlow.js computes what the golden vectors say`, async () => {
    const answer = await checked(fixture(name));
    assert.deepEqual(schemas.errors('load-check', answer), []);
    assert.ok(answer.ok);
    for (const { status, engine, outputs, reason } of answer.rows) {
      assert.deepEqual([status, engine, reason], ['pass', 'tensorflow.js', undefined]);
      for (const { max_ratio: max } of outputs) assert.ok(Number(max ?? 0) < 10);
    }
  });
}

test('the masked model has masked ids, so that its mask is tested', () => opened(fixture('masked'), async (bundle) => {
  const [vector] = await goldenVectors(bundle, schemas);
  assert.ok(Array.from(numbersOf('int32', vector.inputs[0].data)).includes(0));
}));

test('an ONNX model is consistent, and never a pass, by a vector of that grade (GLD-10)', async () => {
  const { ok, rows: [row] } = await checked(fixture('onnx'));
  assert.deepEqual([ok, row.status, row.engine, row.grade], [true, 'consistent', 'onnxruntime-web', 'consistent']);
  assert.ok(Number(row.outputs[0].relative_l2) < 1e-6);
});

for (const tensor of ['conv/kernel', 'norm/moving_variance', 'depthwise/kernel', 'head/bias']) {
  test(`0.01 more in ${tensor}, under digests that are right, fails`, async () => {
    const answer = await checked(await writeDamaged(fixture('convolutional'), join(scratch, tensor.replace('/', '-')), tensor));
    assert.deepEqual([answer.ok, answer.ran, answer.rows[0].status], [false, true, 'fail']);
    assert.ok(Number(answer.rows[0].outputs[0].max_ratio) > 10);
    assert.deepEqual(schemas.errors('load-check', answer), []);
  });
}

test('a weight whose bytes are not those of its digest is refused', async () => {
  const path = join(scratch, 'broken.modelbundle');
  const bytes = readFileSync(fixture('convolutional'));
  const offset = await opened(fixture('convolutional'), async (bundle) => {
    const row = /** @type {import('../../src/tensor-index.js').TensorIndex} */ (bundle.index).row(bundle.find('conv/kernel'));
    return Number(bundle.offsets.get(row.file)) + row.offset;
  });
  bytes[offset] ^= 1;
  await writeFile(path, bytes);
  await assert.rejects(checked(path), (error) => error instanceof Refusal && error.findings[0].rule === 'TEN-10');
});

test('what TensorFlow.js does not have is listed, and nothing is tried', async () => {
  const { ran, ok, rows: [row] } = await checked(fixture('unlike'));
  assert.deepEqual([ran, ok, row.status], [false, false, 'not run']);
  assert.match(String(row.reason), /unit: UnitNormalization is not one that this program maps/);
});

test('run answers with the outputs, of given inputs and of those of the vector', () => opened(fixture('sequential'), async (bundle) => {
  const { answer, outputs: [own] } = await run(bundle, schemas);
  assert.deepEqual(schemas.errors('run', answer), []);
  const [vector] = await goldenVectors(bundle, schemas);
  const golden = numbersOf('float64', vector.outputs[0].data);
  Array.from(own.values).forEach((y, i) => assert.ok(Math.abs(y - golden[i]) < 1e-5));
  const { outputs: [zero] } = await run(bundle, schemas, { inputs: { x: [[0, 0, 0, 0]] } });
  assert.deepEqual(zero.shape, [1, 2]);
  await assert.rejects(run(bundle, schemas, { inputs: {} }), /inputs are missing: x/);
  await assert.rejects(run(bundle, schemas, { signature: 'none' }), (error) => error instanceof Refusal && error.findings[0].rule === 'RUN-01');
}));

test('the command line: 0 as it must be, 1 something else, 2 nothing could run', async () => {
  const damaged = await writeDamaged(fixture('convolutional'), join(scratch, 'cli'));
  for (const [path, status] of /** @type {[string, number][]} */ ([[fixture('siamese'), 0], [damaged, 1], [fixture('unlike'), 2]])) {
    const { status: found, stdout } = spawnSync(process.execPath, [CLI, 'check', path, '--json'], { encoding: 'utf8' });
    assert.equal(found, status);
    assert.deepEqual(schemas.errors('load-check', JSON.parse(stdout)), []);
  }
  const target = join(scratch, 'y.json');
  const ran = spawnSync(process.execPath, [CLI, 'run', fixture('onnx'), '--outputs', target], { encoding: 'utf8' });
  assert.equal(ran.status, 0);
  assert.deepEqual(schemas.errors('run', JSON.parse(ran.stdout)), []);
  assert.equal(JSON.parse(readFileSync(target, 'utf8')).y.length, 4);
});
