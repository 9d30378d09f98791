/** Parts of the source formats by known values, and by bytes that nobody wrote. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Refusal, refuse } from '../src/findings.js';
import { node } from '../src/node.js';
import { specOf } from '../src/pack.js';
import { formRows } from '../src/rows.js';
import { lookup3 } from '../src/sources/hdf5/bytes.js';
import { inflate } from '../src/sources/inflate.js';
import { readConfig } from '../src/sources/keras-config.js';
import { parseLoose } from '../src/sources/loose-json.js';
import { inMemory } from '../src/sources/paged.js';
import { place, sliceKey, tiles } from '../src/sources/slices.js';
import { compileSchemas } from '../src/schemas.js';
import { readSource } from '../src/sources/source.js';
import { compareText, encodeUtf8 } from '../src/text.js';
import { planBundle } from '../src/writer.js';
import { CASES, loadCases } from './cases.js';

const text = (/** @type {string} */ value) => encodeUtf8(value);

describe('parts', () => {
  test('lookup3 of the texts that its author gives', () => {
    assert.equal(lookup3(text('')), 0xdeadbeef);
    assert.equal(lookup3(text('Four score and seven years ago')), 0x17770551);
  });

  test('slices tile a shape by cuts from side to side only', () => {
    const slice = (/** @type {number[]} */ ...pairs) => [{ start: pairs[0], length: pairs[1] }, { start: pairs[2], length: pairs[3] }];
    const whole = slice(0, 3, 0, 3);
    assert.ok(tiles(whole, [slice(0, 1, 0, 3), slice(1, 2, 0, 1), slice(1, 2, 1, 2)]));
    assert.ok(!tiles(whole, [slice(0, 1, 0, 3), slice(1, 2, 0, 1)]));
    assert.ok(!tiles(whole, [slice(0, 2, 0, 3), slice(1, 2, 0, 3)]));
    const pinwheel = [slice(0, 1, 0, 2), slice(0, 2, 2, 1), slice(2, 1, 1, 2), slice(1, 2, 0, 1), slice(1, 1, 1, 1)];
    assert.ok(!tiles(whole, pinwheel));
    const bytes = new Uint8Array(9);
    place(bytes, [3, 3], slice(1, 2, 1, 2), Uint8Array.of(1, 2, 3, 4), 1);
    assert.deepEqual([...bytes], [0, 0, 0, 0, 1, 2, 0, 3, 4]);
  });

  test('keys of slices as OrderedCode has them', () => {
    const hex = Buffer.from(sliceKey(text('v'), [{ start: 0, length: -1 }, { start: 64, length: 500 }])).toString('hex');
    assert.equal(hex, `00${'76'}0001${'0102'}80${'7f'}c040${'c1f4'}`);
  });

  test('deflate stops at the size that is allowed', async () => {
    const { deflateSync } = await import('node:zlib');
    const packed = new Uint8Array(deflateSync(new Uint8Array(5000)));
    assert.equal((await inflate(packed, 'deflate', 5000))?.length, 5000);
    assert.equal(await inflate(packed, 'deflate', 4999), null);
    assert.equal(await inflate(packed.subarray(0, 9), 'deflate', 5000), null);
  });

  test('JSON of others keeps order, and integers of any size', () => {
    const options = { refuse: (/** @type {boolean} */ limit, /** @type {number} */ at) => refuse(limit ? 'KCF-02' : 'KCF-01', `x@${at}`, '', '') };
    const { value } = parseLoose(text('{"2":[1,9007199254740993,-0,-0.0],"1":null}'), options);
    assert.deepEqual([.../** @type {Map<string, any>} */ (value).keys()], ['2', '1']);
    const [one, big, zero, minus] = /** @type {Map<string, any>} */ (value).get('2');
    assert.deepEqual([one, big, Object.is(zero, 0), Object.is(minus, -0)], [1, 9007199254740993n, true, true]);
    for (const wrong of ['{"a":1,"a":2}', '[NaN]', '["\\ud800"]', '[1] 2', '\ufeff[]']) assert.throws(() => parseLoose(text(wrong), options), Refusal, wrong);
  });
});

describe('rows', () => {
  const tensor = (/** @type {string} */ name, /** @type {string} */ keras, digest = 'd', extra = {}) => /** @type {any} */ ({
    name, dtype: 'float32', shape: [32], file: 'f', offset: 0, length: 128, role: 'other', names: keras ? { keras } : {},
    attributes: {}, digest, head: Uint8Array.from({ length: 128 }, (_, i) => i), ...extra,
  });

  test('join by name, by path, by bytes; equal zeros stay apart', () => {
    const zeros = { head: new Uint8Array(128) };
    const { rows } = formRows([
      { root: 'a', tensors: [tensor('k', 'dense/kernel'), tensor('z', '', 'zero', zeros)] },
      { root: 'b', tensors: [tensor('x', 'net/dense/kernel'), tensor('y', '', 'zero', zeros)] },
      { root: 'c', tensors: [tensor('raw', '')] },
    ]);
    assert.deepEqual(rows.map(({ name }) => name), ['dense/kernel', 'z', 'y']);
  });

  test('names that several want are told apart by source, then by number', () => {
    const { rows } = formRows([
      { root: 'a', tensors: [tensor('k', '', '1'), tensor('k', '', '2')] },
      { root: 'b', tensors: [tensor('k', '', '3')] },
    ]);
    assert.deepEqual(rows.map(({ name }) => name), ['a:k', 'a:k#2', 'b:k']);
  });
});

describe('Keras configs', () => {
  const dense = (/** @type {string} */ name, /** @type {any} */ ...nodes) => ({ class_name: 'Dense', name, config: { name, units: 1 }, inbound_nodes: nodes });
  const model = (/** @type {any[]} */ layers, /** @type {string} */ last) => text(JSON.stringify({
    class_name: 'Functional', keras_version: '2.15.0', config: { name: 'm', layers, input_layers: [['x', 0, 0]], output_layers: [[last, 0, 0]] },
  }));
  const input = { class_name: 'InputLayer', name: 'x', config: { name: 'x', batch_input_shape: [null, 1] }, inbound_nodes: [] };

  test('nodes stand after those that feed them, whatever the order of layers', () => {
    const { document } = readConfig(model([dense('b', [['a', 0, 0, {}]]), dense('a', [['x', 0, 0, {}]]), input], 'b'), 'm');
    assert.deepEqual(/** @type {any[]} */ (document.nodes).map(({ layer }) => layer), ['x', 'a', 'b']);
    assert.deepEqual(document.input_structure, { $tensor: 0 });
  });

  test('calls that feed themselves, and layers that are not there', () => {
    const rule = (/** @type {Uint8Array} */ bytes) => {
      try {
        readConfig(bytes, 'm');
      } catch (error) {
        return /** @type {Refusal} */ (error).findings[0].rule;
      }
      return 'none';
    };
    assert.equal(rule(model([input, dense('a', [['b', 0, 0]]), dense('b', [['a', 0, 0]])], 'b')), 'KCF-03');
    assert.equal(rule(model([input, dense('a', [['y', 0, 0]])], 'a')), 'KCF-03');
    assert.equal(rule(model([input, dense('a', [['x', 0, 0]]), dense('a', [['x', 0, 0]])], 'a')), 'KCF-01');
    assert.equal(rule(text('{"a": 1}')), 'KCF-01');
  });

  test('a Sequential without an input has an implied one; custom classes and hazards are listed', () => {
    const value = { class_name: 'Sequential', keras_version: '2.4.0', config: { name: 's', layers: [{ class_name: 'mine>Scale', config: { name: 'scale' } }, { class_name: 'Lambda', config: { name: 'l' } }] } };
    const { document, properties, custom, layers } = readConfig(text(JSON.stringify(value)), 'm');
    const [first] = /** @type {any[]} */ (document.layers);
    assert.equal(first.implied, true);
    assert.equal(properties.parameters_need_build, true);
    assert.deepEqual(custom, [{ registeredName: 'mine>Scale', className: 'Scale' }]);
    assert.deepEqual(layers, ['Sequential', 'Lambda']);
    assert.deepEqual(properties.hazards, [{ layer: 'l', kind: 'lambda', detail: 'Lambda' }]);
  });
});

/** @param {string} root @param {string} [below] @returns {Map<string, Uint8Array>} */
function filesBelow(root, below = '') {
  const files = new Map();
  for (const name of readdirSync(join(root, below))) {
    const path = below ? `${below}/${name}` : name;
    if (statSync(join(root, path)).isDirectory()) for (const [own, bytes] of filesBelow(root, path)) files.set(own, bytes);
    else files.set(path, new Uint8Array(readFileSync(join(root, path))));
  }
  return files;
}

/** @param {Map<string, Uint8Array>} files @returns {import('../src/platform.js').Directory} */
function directoryOf(files) {
  const below = (/** @type {string} */ path) => [...files.keys()].filter((one) => one.startsWith(path ? `${path.replace(/\/$/, '')}/` : ''));
  return {
    stat: async (path) => files.has(path) ? { kind: 'file', size: files.get(path)?.length ?? 0, links: 1 } : below(path).length ? { kind: 'directory', size: 0, links: 1 } : null,
    open: async (path) => inMemory(/** @type {Uint8Array} */ (files.get(path))),
    list: async (path) => [...new Set(below(path).map((one) => one.slice(path ? path.replace(/\/$/, '').length + 1 : 0).split('/')[0]))].sort(compareText),
  };
}

const SCHEMAS = new URL('../../../../schemas/', import.meta.url);
const schemas = compileSchemas(Object.fromEntries(['keras_model', 'keras_training', 'stablehlo_arguments', 'golden'].map((name) =>
  [name, JSON.parse(readFileSync(new URL(`${name}.schema.json`, SCHEMAS), 'utf8'))])));

let seed = 7;
/** @param {number} below */
const random = (below) => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >>> 8) % below;
};

/** @param {Uint8Array} bytes */
function mutate(bytes) {
  const copy = bytes.slice();
  for (let k = random(3); k >= 0; k--) {
    const at = random(copy.length);
    if (random(3)) copy[at] ^= 1 << random(8);
    else copy[at] = random(2) ? 255 : 0;
  }
  return random(10) ? copy : copy.subarray(0, random(copy.length));
}

test('no source makes the readers throw anything but a refusal', async () => {
  const sound = loadCases().filter(({ operation, expected, recipe }) => operation === 'pack' && expected.verdict === 'accept' && !recipe);
  assert.ok(!existsSync(CASES) || sound.length > 20);
  for (const item of sound) {
    const files = filesBelow(join(CASES, item.id, item.input));
    for (let i = 0; i < 40; i++) {
      const changed = new Map(files);
      const path = [...files.keys()][random(files.size)];
      changed.set(path, mutate(/** @type {Uint8Array} */ (files.get(path))));
      try {
        const artifacts = [];
        for (const source of item.arguments?.sources ?? []) artifacts.push(await readSource({ platform: node, directory: directoryOf(changed), schemas }, source));
        await planBundle(node, await specOf(node, artifacts));
      } catch (error) {
        if (!(error instanceof Refusal)) throw new Error(`${item.id}, ${path}`, { cause: error });
      }
    }
  }
});
