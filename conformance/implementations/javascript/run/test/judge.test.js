/** Section 18.3, step by step, on arrays made for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, sigmasOf } from '../src/judge.js';

const U = 2 ** -24;
const bytesOf = (/** @type {ArrayBufferView} */ array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** @param {number[]} g @param {Partial<Record<'st' | 'ab' | 'acc' | 'mm' | 'wt', number[]>>} [channels] */
const golden = (g, channels = { st: g.map(() => 1) }) => ({
  name: 'y', dtype: 'float64', shape: [g.length], data: bytesOf(Float64Array.from(g)),
  channels: Object.fromEntries(['st', 'ab', 'acc', 'mm', 'wt'].map((name) => [name, bytesOf(Float32Array.from(/** @type {any} */ (channels)[name] ?? g.map(() => 0)))])),
});
/** @param {number[]} values @param {string} [dtype] */
const output = (values, dtype = 'float32') => ({ name: 'y', dtype, shape: [values.length], values });

test('the ratio decides: 10 at most, and 3 in the mean', () => {
  assert.equal(judge(golden([1, 2, 3, 4]), output([1 + 5 * U, 2, 3, 4])).outcome, 'pass');
  assert.equal(judge(golden([1, 2, 3, 4]), output([1 + 11 * U, 2, 3, 4])).outcome, 'fail');
  const all = judge(golden([1, 2, 3, 4]), output([1 + 4 * U, 2 + 4 * U, 3 + 4 * U, 4 + 4 * U]));
  assert.deepEqual([all.outcome, all.max_ratio, all.rms_ratio], ['fail', 4, 4]);
});

test('σ is the sum of squares of the channels, and not below a tenth of its median', () => {
  const { channels } = golden([0, 0, 0, 0], { st: [1, 1, 1, 0], ab: [1, 1, 1, 0], acc: [1, 1, 1, 0], mm: [1, 1, 1, 0], wt: [1, 1, 1, 0] });
  const sigma = Math.sqrt(3) * U;
  assert.deepEqual([...sigmasOf(channels, 'float32')].map((value) => +(value / sigma).toFixed(9)), [1, 1, 1, 0.1]);
  assert.equal(sigmasOf(channels, 'tf32')[0], Math.sqrt(3 * 2 ** -48 + 2 ** -22));
  assert.equal(sigmasOf(channels, 'float16')[0], Math.sqrt(2 * 2 ** -22 + 2 ** -48 + 2 ** -22));
  assert.equal(sigmasOf(channels, 'bfloat16')[0], Math.sqrt(2 * 2 ** -16 + 2 ** -48 + 2 ** -16));
  assert.equal(sigmasOf(channels, 'float64')[0], Math.sqrt(3 * 2 ** -106));
});

test('NaN and infinities stand at the same places, or it fails', () => {
  assert.equal(judge(golden([NaN, Infinity, 1]), output([NaN, Infinity, 1])).outcome, 'pass');
  for (const y of [[0, Infinity, 1], [NaN, -Infinity, 1], [NaN, Infinity, NaN], [Infinity, NaN, 1]]) assert.equal(judge(golden([NaN, Infinity, 1]), output(y)).outcome, 'fail');
  // σ of zero: a ratio that is infinite, or 0 where the values are equal.
  assert.equal(judge(golden([1], { st: [0] }), output([1 + U])).outcome, 'fail');
  assert.equal(judge(golden([1], { st: [0] }), output([1])).outcome, 'pass');
});

test('minus zero equals zero, and zero stands for what is below the least normal number', () => {
  assert.equal(judge(golden([0, 2 ** -130], { st: [0, 0] }), output([-0, 0])).outcome, 'pass');
  assert.equal(judge(golden([0, 2 ** -120], { st: [0, 0] }), output([-0, 0])).outcome, 'fail');
  assert.equal(judge(golden([2 ** -130], { st: [0] }), output([0], 'float64')).outcome, 'fail');
});

test('a failure that a lower precision explains is named', () => {
  const about = { st: [1, 1, 1, 1], mm: [1, 1, 1, 1], wt: [1, 1, 1, 1] };
  assert.equal(judge(golden([1, 1, 1, 1], about), output([1 + 2 ** -12, 1, 1, 1])).explained_by, 'tf32');
  assert.equal(judge(golden([1, 1, 1, 1], { ...about, mm: [0, 0, 0, 0] }), output([1 + 2 ** -12, 1, 1, 1])).explained_by, 'float16');
  assert.equal(judge(golden([1, 1, 1, 1], about), output([2, 1, 1, 1])).explained_by, undefined);
});

test('clear decisions are counted, and never decide', () => {
  const right = judge({ ...golden([1, 2, 5, 4]), shape: [2, 2] }, { ...output([1, 2, 5, 4]), shape: [2, 2] });
  assert.deepEqual([right.outcome, right.decisions, right.top1], ['pass', 2, 1]);
  assert.equal(judge({ ...golden([1, 1 + 10 * U]), shape: [1, 2] }, { ...output([1, 1]), shape: [1, 2] }).decisions, 0);
});

test('shapes, dtypes, outputs without channels, and outputs that are no floats', () => {
  assert.equal(judge(golden([1, 2]), { ...output([1, 2]), shape: [2, 1] }).outcome, 'fail');
  assert.equal(judge(golden([1]), output([1], 'int32')).outcome, 'fail');
  const { channels, ...bare } = golden([1, 2]);
  assert.equal(judge(bare, output([1.001, 2])).outcome, 'unjudged');
  assert.equal(judge(bare, output([1.1, 2])).outcome, 'fail');
  const ids = { name: 'y', dtype: 'int32', shape: [2], data: bytesOf(Int32Array.of(3, 4)), decided: Uint8Array.of(1, 0) };
  assert.equal(judge(ids, output([3, 9], 'int32')).outcome, 'pass');
  assert.equal(judge(ids, output([2, 4], 'int32')).outcome, 'fail');
  assert.equal(judge({ ...ids, decided: undefined }, output([3, 4], 'int32')).outcome, 'unjudged');
});

test('an exact vector allows no difference', () => {
  const { channels, ...bare } = golden([1, -0]);
  assert.equal(judge(bare, output([1, 0]), { exact: true }).outcome, 'pass');
  assert.equal(judge(bare, output([1 + U, 0]), { exact: true }).outcome, 'fail');
});
