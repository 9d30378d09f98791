/**
 * The golden check: every vector of a bundle on the engine that can run it, judged as section 18.3 has it, as an
 * answer of schemas/answers/load-check.schema.json.
 *
 *     const { ok, ran, rows } = await check(bundle, schemas);
 *
 * A row never fails because an engine could not run: it says so. What was judged by a vector of grade `consistent`,
 * or by no channels, is never a pass (GLD-10).
 */
import { NoAnswer, Refusal } from '../../src/findings.js';
import { valueOf } from './arrays.js';
import { engineOf } from './engines.js';
import { judge } from './judge.js';
import { goldenVectors } from './vectors.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('../../src/sources/golden.js').Vector} Vector */
/** @typedef {import('./judge.js').Judgement} Judgement */
/**
 * @typedef {{ component: string, signature: string, vector: string, grade: string, engine: string, device: string, precision: string,
 *   status: 'pass' | 'fail' | 'consistent' | 'not run', reason?: string, version?: string, seconds?: number, outputs: Judgement[] }} Row
 */
/** @typedef {{ digest: string, ok: boolean, ran: boolean, rows: Row[] }} Answer */

const PRECISION = 'float32';
const LONGEST = 2000;

/** @param {Vector} vector @param {Judgement[]} outputs @returns {{ status: Row['status'], reason?: string }} */
function verdict({ grade }, outputs) {
  const failing = outputs.find(({ outcome }) => outcome === 'fail');
  if (failing) return { status: 'fail', reason: `${failing.name}: ${failing.reason}` };
  if (grade !== 'verified') return { status: 'consistent', reason: 'the vector is of grade consistent' };
  const unjudged = outputs.find(({ outcome }) => outcome !== 'pass');
  return unjudged ? { status: 'consistent', reason: `${unjudged.name}: ${unjudged.reason}` } : { status: 'pass' };
}

/** @param {Bundle} bundle @param {Vector} vector @param {Row} row @returns {Promise<Row>} */
async function checkVector(bundle, vector, row) {
  const { engine, load } = await engineOf(bundle, vector.component, vector.signature);
  Object.assign(row, { engine: engine.name, version: engine.version, device: engine.device });
  const inputs = vector.inputs.map(valueOf);
  const model = await load();
  try {
    const start = performance.now();
    const results = await model.run(inputs);
    row.seconds = (performance.now() - start) / 1000;
    if (results.length !== vector.outputs.length) return { ...row, status: 'fail', reason: `${results.length} outputs, not ${vector.outputs.length}` };
    row.outputs = vector.outputs.map((output, i) => judge(output, results[i], { exact: Number(vector.exact) === 1 }));
    return { ...row, ...verdict(vector, row.outputs) };
  } finally {
    model.end();
  }
}

/** @param {Bundle} bundle @param {Vector} vector @returns {Promise<Row>} */
async function rowOf(bundle, vector) {
  /** @type {Row} */
  const row = {
    component: vector.component, signature: vector.signature, vector: vector.name, grade: vector.grade, engine: 'none', device: 'cpu',
    precision: PRECISION, status: 'not run', outputs: [],
  };
  try {
    return await checkVector(bundle, vector, row);
  } catch (error) {
    // A bundle that is damaged is refused. An engine is foreign code, and fails in any way.
    if (error instanceof Refusal) throw error;
    const reason = error instanceof NoAnswer ? error.message : `the engine failed: ${error}`;
    return { ...row, status: 'not run', reason: reason.slice(0, LONGEST) };
  }
}

/** @param {Bundle} bundle @param {import('../../src/schemas.js').Schemas} schemas @returns {Promise<Answer>} */
export async function check(bundle, schemas) {
  const vectors = await goldenVectors(bundle, schemas);
  if (!vectors.length) throw new NoAnswer('the bundle has no golden vectors');
  const rows = [];
  for (const vector of vectors) rows.push(await rowOf(bundle, vector));
  const ran = rows.some(({ status }) => status !== 'not run');
  return { digest: bundle.digest, ok: ran && rows.every(({ status }) => status !== 'fail'), ran, rows };
}
