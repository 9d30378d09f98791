/** What the page computes, without a browser. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { makePage } from '../build.js';
import { numbersOf } from '../src/elements.js';
import { bytes, number, shown } from '../src/format.js';
import { measure } from '../src/histogram.js';
import { layOut } from '../src/layout.js';
import { sha256 } from '../src/sha256.js';
import { TensorRows } from '../src/tensor-columns.js';
import { MOST_BOXES, graphOf } from '../src/topology.js';

/** @param {string} dtype @param {Uint8Array} data @param {number} [elements] */
function values(dtype, data, elements) {
  /** @type {number[]} */
  const list = [];
  numbersOf(dtype, elements)?.(data, (value) => list.push(value));
  return list;
}

test('sha256 in pieces is that of OpenSSL, at every length around a block', async () => {
  for (const length of [0, 1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 100_003]) {
    const data = randomBytes(length);
    const hash = sha256();
    for (let at = 0; at < length; at += 37) hash.update(data.subarray(at, at + 37));
    assert.equal(await hash.hex(), createHash('sha256').update(data).digest('hex'), `${length} bytes`);
  }
});

test('small floats have the values of ml_dtypes', async () => {
  // sha256 of the values of all codes as float64, NaN as 0x7ff8…, computed with ml_dtypes 0.5 and NumPy.
  const digests = JSON.parse(await readFile(new URL('data/small-floats.json', import.meta.url), 'utf8'));
  for (const [name, digest] of Object.entries(digests)) {
    const bits = /^(float4|int4)/.test(name) ? 4 : /^float6/.test(name) ? 6 : /^int2/.test(name) ? 2 : /16$/.test(name) ? 16 : 8;
    const packed = bits < 8;
    // Every code once, from the lowest bit upwards (section 4.6).
    const data = new Uint8Array((2 ** bits * bits) / 8);
    for (let code = 0; code < 2 ** bits; code++) for (let k = 0; k < bits; k++) if ((code >> k) & 1) data[(code * bits + k) >> 3] |= 1 << ((code * bits + k) & 7);
    const list = values(packed ? `${name}_packed` : name, data);
    assert.equal(list.length, 2 ** bits, name);
    const out = new DataView(new ArrayBuffer(8 * list.length));
    list.forEach((value, i) => (Number.isNaN(value) ? out.setBigUint64(8 * i, 0x7ff8000000000000n, true) : out.setFloat64(8 * i, value, true)));
    assert.equal(createHash('sha256').update(new Uint8Array(out.buffer)).digest('hex'), digest, name);
  }
});

test('other dtypes', () => {
  assert.deepEqual(values('int64', new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255])), [-1]);
  assert.deepEqual(values('int4', new Uint8Array([0xf8, 0x07])), [-8, 7]);
  assert.deepEqual(values('uint4_packed', new Uint8Array([0x21, 0x03]), 3), [1, 2, 3]);
  assert.deepEqual(values('qint8', new Uint8Array([0x80])), [-128]);
  assert.deepEqual(values('complex64', new Uint8Array(Float32Array.of(1.5, -2).buffer)), [1.5, -2]);
  assert.deepEqual([numbersOf('string'), numbersOf('bytes16'), numbersOf('constructor')], [null, null, null]);
});

test('figures and bins', () => {
  const floats = (/** @type {number[]} */ ...list) => [new Uint8Array(Float64Array.from(list).buffer)];
  const read = /** @type {import('../src/elements.js').Numbers} */ (numbersOf('float64'));
  const figures = measure(floats(0, 1, 2, 3, NaN, Infinity), read, false);
  assert.deepEqual({ ...figures, bins: figures.bins.filter(Boolean) }, { values: 6, min: 0, max: 3, mean: 1.5, deviation: Math.sqrt(1.25), zeros: 1, nan: 1, infinite: 1, bins: [1, 1, 1, 1] });
  assert.deepEqual(measure(floats(2, 2), read, false).bins, [2]);
  assert.deepEqual(measure(floats(NaN), read, false).bins, []);
  const wide = measure(floats(-1.7e308, 1.7e308, 0), read, false).bins;
  assert.deepEqual([wide[0], wide[32], wide[63], wide.length], [1, 1, 1, 64]);
  const integers = measure([Uint8Array.of(3, 4, 4, 6)], /** @type {any} */ (numbersOf('uint8')), true);
  assert.deepEqual(integers.bins, [1, 2, 0, 1]);
});

/** @param {number} length @param {(i: number) => number[]} inputsOf */
function model(length, inputsOf) {
  const layers = Array.from({ length }, (_, i) => ({ path: `l${i}`, name: `l${i}`, class: 'Dense', custom: false, config: {} }));
  const nodes = layers.map(({ name }, i) => ({ layer: name, node: 0, args: [], kwargs: {}, inputs: inputsOf(i).map((k) => ({ layer: `l${k}`, node: 0, tensor: 0 })) }));
  return { path: '', custom: false, config: {}, layers, nodes, inputs: [], outputs: [] };
}
const none = { expanded: new Set(), collapsed: new Set() };

test('boxes do not overlap, lines go down, and a chain with lines past it stays straight', () => {
  const graph = graphOf(model(200, (i) => (i ? [i - 1, ...(i % 4 || i < 4 ? [] : [i - 4])] : [])), none);
  layOut(graph);
  for (const { points } of graph.lines) for (let i = 1; i < points.length; i++) assert.ok(points[i][1] > points[i - 1][1]);
  for (const a of graph.boxes) {
    for (const b of graph.boxes) {
      const apart = a === b || a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
      assert.ok(apart, `${a.key} over ${b.key}`);
    }
  }
  assert.ok(graph.width < 500, `${graph.width} px wide`);
});

test('a graph that is too large, goes backwards or nowhere is drawn as far as it can be', () => {
  const huge = graphOf(model(100_000, (i) => (i ? [i - 1] : [])), none);
  assert.deepEqual([huge.boxes.length, huge.left], [MOST_BOXES, 100_000 - MOST_BOXES]);
  layOut(huge);
  const odd = graphOf(model(3, (i) => [(i + 1) % 3, 7, i]), none);
  assert.deepEqual(odd.lines.map(({ from, to }) => [from, to]), [[0, 2]]);
  layOut(odd);
  const dense = graphOf(model(600, (i) => Array.from({ length: i }, (_, k) => k)), none);
  const started = Date.now();
  layOut(dense);
  assert.ok(Date.now() - started < 10_000);
});

test('models within models are open as deep as they are shown, and within the budget', () => {
  /** @type {any} */
  let inner = model(3, (i) => (i ? [i - 1] : []));
  for (let depth = 0; depth < 40; depth++) {
    const outer = model(2, (i) => (i ? [0] : []));
    Object.assign(outer.layers[1], inner, { name: 'l1', path: 'l1' });
    inner = outer;
  }
  const expanded = new Set(Array.from({ length: 41 }, (_, n) => '/l1#0'.repeat(n)));
  let graph = graphOf(inner, { expanded, collapsed: new Set() });
  let depth = 0;
  for (; graph.boxes[1]?.inside; depth++) graph = graph.boxes[1].inside;
  assert.equal(depth, 8);
});

test('rows are filtered by any of their names, and sorted', () => {
  /** @type {any} */
  const columns = {
    count: 3, names: ['a', 'b', 'c'], dtypes: ['float32', 'int8'], dtype: [0, 1, 0], rank: [1, 0, 1], shape: Float64Array.of(2, 9), starts: [0, 1, 1, 2],
    files: ['f'], file: [0, 0, 0], offset: [0, 8, 9], length: [8, 1, 36], roles: ['other'], role: [0, 0, 0],
    namespaces: [{ component: 'x', system: 'keras', tensors: Uint32Array.of(1), names: ['Dense/kernel'] }], attributes: [{ tensor: 2, values: { slot: 'm' } }],
  };
  const rows = new TensorRows(columns);
  rows.filter({ text: 'dense', dtype: '', role: '' });
  assert.deepEqual([...rows.order], [1]);
  assert.deepEqual(rows.namesOf(1).map(({ name }) => name), ['Dense/kernel']);
  assert.deepEqual(rows.namesOf(0), []);
  rows.filter({ text: '', dtype: 'float32', role: '' });
  rows.sort('size', -1);
  assert.deepEqual([...rows.order], [2, 0]);
  rows.filter({ text: '', dtype: '', role: '' });
  rows.sort('shape', 1);
  assert.deepEqual([...rows.order], [1, 0, 2]);
  assert.deepEqual(rows.attributesOf(2), [['slot', 'm']]);
});

test('numbers and names as they are shown', () => {
  assert.deepEqual([0, 999, 1000, 12_345, 99_950, 5e9].map(bytes), ['0 B', '999 B', '1.0 kB', '12.3 kB', '100 kB', '5.0 GB']);
  assert.deepEqual([0, -2, 0.1, 1 / 3, 1e-9, NaN].map(number), ['0', '-2', '0.1', '0.33333', '1.000e-9', '–']);
  assert.equal(shown('a\u202eb\u0000\ud800'), 'a\\u202eb\\u0000\\ud800');
  assert.equal(shown('x'.repeat(500)).length, 301);
});

test('the page is one file, the same each time, and its policy names what is in it', async () => {
  const page = await makePage();
  assert.equal(page, await makePage());
  const hash = (/** @type {string} */ text) => createHash('sha256').update(text).digest('base64');
  const [, style] = /** @type {RegExpExecArray} */ (/<style>([^]*?)<\/style>/.exec(page));
  const [, script] = /** @type {RegExpExecArray} */ (/<script>([^]*?)<\/script>/.exec(page));
  assert.ok(page.includes(`script-src 'sha256-${hash(script)}'; style-src 'sha256-${hash(style)}'`));
  assert.equal(page.match(/<script/g)?.length, 1);
  assert.doesNotMatch(page.replace(script, ''), /\b(src|href)="(?!#)/);
  assert.doesNotMatch(page, /unsafe-|\{\{/);
});
