/**
 * Bundles that the tests of the page open, written by this implementation's own Writer.
 *
 *     const path = await writeDeep(directory);
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canonicalJson } from '../../src/json.js';
import { writeBundle } from '../../src/layout-writer.js';
import { node } from '../../src/node.js';
import { memory, planBundle } from '../../src/writer.js';

/** A model in a model, both called twice, with a custom layer: see make_siamese.py. */
export const SIAMESE = fileURLToPath(new URL('data/siamese.modelbundle', import.meta.url));
const HOSTILE = '<img src=x onerror="document.title=\'owned\'">';

/** Numbers that look like weights, the same in every run. @param {number} count @param {number} seed */
function weights(count, seed) {
  const values = new Float32Array(count);
  let state = seed >>> 0;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < count; i++) values[i] = (next() + next() + next() + next() - 2) / 4;
  return values;
}

/** @param {string} layer @param {number} node */
const from = (layer, node = 0) => ({ layer, node, tensor: 0 });
/** @param {string} layer @param {{ layer: string, node: number, tensor: number }[]} inputs @param {number} node */
const call = (layer, inputs, node = 0) => ({ layer, node, inputs, args: inputs.map((_, i) => ({ $tensor: i })), kwargs: {} });
/** @param {string} path @param {string} of @param {object} [more] */
const layer = (path, of, more = {}) => ({
  path, name: path.split('/').at(-1), class: of, module: 'keras.layers', custom: false, trainable: true, config: { name: path.split('/').at(-1) }, ...more,
});

const ENCODER = {
  ...layer('encoder', 'Functional'), module: 'keras.models', form: 'functional',
  layers: [layer('encoder/tokens', 'InputLayer', { batch_shape: [null, 64] }), layer('encoder/embedding', 'Embedding'), layer('encoder/normalize', 'LayerNormalization'), layer('encoder/pool', 'GlobalAveragePooling1D')],
  nodes: [call('tokens', []), call('embedding', [from('tokens')]), call('normalize', [from('embedding')]), call('pool', [from('normalize')])],
  inputs: [from('tokens')], outputs: [from('pool')], input_structure: [{ $tensor: 0 }], output_structure: [{ $tensor: 0 }],
};

/** Two texts through one encoder: a nested model, shared, with a shared layer behind it and one that is custom. */
const NESTED = {
  topology: '1.0-draft', dialect: 'keras3', form: 'functional', path: '', name: 'siamese', class: 'Functional', module: 'keras.models', custom: false, trainable: true,
  config: { name: 'siamese' },
  layers: [
    layer('question', 'InputLayer', { batch_shape: [null, 64] }), layer('answer', 'InputLayer', { batch_shape: [null, 64] }), ENCODER,
    layer('project', 'Dense', { config: { name: 'project', units: 16, activation: 'relu' } }),
    layer('memory', 'Bidirectional', { sublayers: [layer('memory/cell', 'LSTM', { slot: 'layer' })] }),
    layer('gate', 'Gate', { module: 'shop.layers', custom: true, registered_name: 'shop>Gate' }),
    layer('concatenate', 'Concatenate'), layer('score', 'Dense'),
  ],
  nodes: [
    call('question', []), call('answer', []), call('encoder', [from('question')]), call('encoder', [from('answer')], 1),
    call('project', [from('encoder')]), call('project', [from('encoder', 1)], 1), call('memory', [from('question')]), call('gate', [from('project')]),
    call('concatenate', [from('gate'), from('project', 1), from('memory')]), call('score', [from('concatenate')]),
  ],
  inputs: [from('question'), from('answer')], outputs: [from('score')],
  input_structure: [{ $tensor: 0 }, { $tensor: 1 }], output_structure: [{ $tensor: 0 }],
};

/** A chain of many layers with a line past every fourth. @param {number} length */
function chain(length) {
  const names = Array.from({ length }, (_, i) => `block_${i}`);
  return {
    topology: '1.0-draft', dialect: 'keras3', form: 'functional', path: '', name: 'deep', class: 'Functional', module: 'keras.models', custom: false, config: {},
    layers: names.map((name, i) => layer(name, i ? (i % 4 ? 'Conv2D' : 'Add') : 'InputLayer')),
    nodes: names.map((name, i) => call(name, i ? [from(names[i - 1]), ...(i % 4 || i < 4 ? [] : [from(names[i - 4])])] : [])),
    inputs: [from(names[0])], outputs: [from(names[length - 1])], input_structure: [{ $tensor: 0 }], output_structure: [{ $tensor: 0 }],
  };
}

/** @param {any} value */
const json = (value) => memory(new TextEncoder().encode(canonicalJson(value)));

/** @param {string} directory @param {string} name @param {any} spec @returns {Promise<string>} path of the archive */
async function write(directory, name, spec) {
  const path = join(directory, `${name}.modelbundle`);
  if (existsSync(path)) return path;
  await writeBundle(node, await planBundle(node, spec), path);
  return path;
}

/**
 * A bundle of weights and a config, of files that this page only shows.
 * @param {{ topology: object, tensors: { name: string, shape: number[], role: string }[], name: string, extra?: any[] }} content
 */
function model({ topology, tensors, name, extra = [] }) {
  const counts = tensors.map(({ shape }) => shape.reduce((product, n) => product * n, 1));
  const data = new Float32Array(counts.reduce((sum, n) => sum + n, 0));
  let at = 0;
  const rows = tensors.map(({ name: row, shape, role }, i) => {
    data.set(weights(counts[i], i + 1), at / 4);
    const given = { name: row, dtype: 'float32', shape, role, file: 'weights.bin', offset: at };
    at += 4 * counts[i];
    return given;
  });
  const config = 'net.derived/config.json';
  return {
    name,
    files: [
      { path: 'weights.bin', bytes: memory(new Uint8Array(data.buffer)) },
      { path: config, role: 'derived', mediaType: 'application/json', bytes: json({ class_name: 'Functional' }) },
      { path: 'net.derived/topology.json', role: 'derived', mediaType: 'application/json', bytes: json(topology) },
    ],
    rows,
    namespaces: [{ component: 'weights.bin', system: 'keras', names: Object.fromEntries(tensors.map(({ name: row }) => [row, `siamese/${row}`])) }],
    components: [
      { id: config, kind: 'keras.config', derivedFrom: 'weights.bin', files: [config, 'net.derived/topology.json'], properties: { dialect: 'keras3', form: 'functional', keras_version: '3.15.0', ...(extra.length ? { hazards: extra } : {}) } },
      { id: 'weights.bin', kind: 'assets', files: ['weights.bin'] },
    ],
    signatures: [{
      name: 'serving_default', component: config, inputs: [{ name: 'question', dtype: 'int32', shape: ['batch', 64] }, { name: 'answer', dtype: 'int32', shape: ['batch', 64] }],
      outputs: [{ name: 'score', dtype: 'float32', shape: ['batch', 1] }],
    }],
    requirements: {
      layers: ['Bidirectional', 'Concatenate', 'Dense', 'Embedding', 'Functional', 'GlobalAveragePooling1D', 'InputLayer', 'LSTM', 'LayerNormalization'],
      customObjects: [{ registeredName: 'shop>Gate', className: 'Gate', module: 'shop.layers', component: config }],
    },
    metadata: { license: 'Apache-2.0' },
  };
}

/** Four hundred layers. @param {string} directory */
export const writeDeep = (directory) => write(directory, 'deep', model({
  name: 'Deep chain', topology: chain(400), tensors: Array.from({ length: 40 }, (_, i) => ({ name: `block_${i}/kernel`, shape: [3, 3, 2, 2], role: 'trainable' })),
}));

/** A component of kind golden, for which the page has no engine. @param {string} directory */
export const writeGolden = (directory) => write(directory, 'golden', {
  files: [{ path: 'golden.json', bytes: json({}) }], components: [{ id: 'golden.json', kind: 'golden', files: ['golden.json'] }],
});

/** Names that would be markup, if they were read as such. @param {string} directory */
export function writeHostile(directory) {
  const evil = { ...NESTED, name: HOSTILE, layers: NESTED.layers.map((l) => ({ ...l, class: l.class + HOSTILE, config: { name: HOSTILE, text: '\u202egnp.exe </script><script>document.title="owned"</script>' } })) };
  const tensors = [HOSTILE, `"><svg onload=alert(1)>`, 'javascript:alert(1)', `\u202erow`].map((name) => ({ name, shape: [2], role: 'trainable' }));
  return write(directory, 'hostile', model({ name: HOSTILE, topology: evil, tensors, extra: [{ layer: HOSTILE, kind: 'lambda', detail: HOSTILE }] }));
}

/** @param {string} directory @param {number} count */
export const writeMany = (directory, count) => write(directory, 'many', {
  name: 'Many tensors',
  files: [{ path: 'weights.bin', bytes: memory(new Uint8Array(Float32Array.from({ length: 64 }, (_, i) => i).buffer)) }],
  // Rows with one and the same range, which TEN-09 allows.
  rows: Array.from({ length: count }, (_, i) => ({
    name: `layer_${String(i).padStart(6, '0')}/kernel`, dtype: i % 2 ? 'int32' : 'float32', shape: i % 3 ? [64] : [8, 8],
    role: i % 5 ? 'trainable' : 'non-trainable', file: 'weights.bin', offset: 0,
  })),
});

/** One tensor of a few megabytes, and zeros besides. @param {string} directory @param {number} megabytes */
export function writeLarge(directory, megabytes) {
  const zeros = { size: megabytes * 1e6, read: async (/** @type {number} */ _, /** @type {number} */ length) => new Uint8Array(length), close: async () => {} };
  return write(directory, `large-${megabytes}`, {
    name: 'Large', files: [{ path: 'a.bin', bytes: memory(new Uint8Array(weights(1_000_000, 7).buffer)) }, { path: 'zeros.bin', bytes: zeros }],
    rows: [{ name: 'kernel', dtype: 'float32', shape: [1000, 1000], role: 'trainable', file: 'a.bin', offset: 0 }],
  });
}
