/**
 * Puts the tensors of a bundle into a layers model, by name and never by order.
 *
 * Invariants: each weight of the model gets exactly one row, found by the path of its layer in the namespaces `keras`
 * of the source that the config comes from; each row of role trainable or non-trainable there is taken; else all
 * that is wrong is said at once, and nothing is put in.
 *
 *     await bindWeights(bundle, 'net.keras.members/config.json', pairs);
 */
import * as tf from '@tensorflow/tfjs-core';
import { NoAnswer } from '../../src/findings.js';
import { numbersOf } from './arrays.js';
import { LAYERS } from './layer-table.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('./topology-model.js').Pair} Pair */

const LISTED = 10;
/** An RNN's weights belong to its cell, which has a name of its own. */
const CELL = /^[^/]*cell(_[0-9]+)?\/(?=[^/]+$)/;

/** The outermost component that one was taken from. @param {Bundle} bundle @param {string} id */
function rootOf(bundle, id) {
  const components = new Map(bundle.manifest.components.map((one) => [one.id, one]));
  for (let from = components.get(id)?.derivedFrom; from !== undefined; from = components.get(id)?.derivedFrom) id = from;
  return id;
}

/** Rows by what Keras calls them. @param {Bundle} bundle @param {string} config @returns {Map<string, number>} */
function kerasNames(bundle, config) {
  const root = rootOf(bundle, config);
  const own = bundle.index?.namespaces.filter(({ system, component }) => system === 'keras' && rootOf(bundle, component) === root) ?? [];
  return new Map(own.flatMap(({ names, tensors }) => names.map((name, i) => /** @type {[string, number]} */ ([name, tensors[i]]))));
}

/** The parts of a layer that own weights, each with the paths that Keras can have for it. @param {any} layer @param {string[]} paths @returns {{ owner: any, paths: string[] }[]} */
function owners(layer, paths) {
  if (layer.forwardLayer) {
    const part = (/** @type {any} */ inner) => paths.flatMap((path) => [`${path}/${inner.name}`, `${path}/${inner.name.replace(/^(forward|backward)_(forward_)?/, '$1_')}`]);
    return [layer.forwardLayer, layer.backwardLayer].flatMap((inner) => owners(inner, part(inner)));
  }
  const inner = layer.getClassName() === 'TimeDistributed' ? layer.layer : null;
  if (inner) return owners(inner, paths.flatMap((path) => [path, `${path}/${inner.name}`]));
  return [{ owner: layer, paths }];
}

/** @typedef {{ weight: any, names: string[], paths: string[] }} Wanted a weight of the model, and its last and first names in Keras */

/** @param {Pair[]} pairs @returns {Wanted[]} */
function wanted(pairs) {
  return pairs.flatMap(({ record, layer }) => owners(layer, [...new Set([record.path, record.name])]).flatMap(({ owner, paths }) =>
    owner.weights.map((/** @type {any} */ weight) => {
      const last = weight.originalName.split('/').at(-1);
      return { weight, names: [last, ...(LAYERS.get(record.class)?.weights[last] ?? [])], paths };
    })));
}

/** The rows that a weight can be: those of the first path that has any. @param {Wanted} want @param {Map<string, number>} rows @returns {string[]} */
function candidates({ names, paths }, rows) {
  for (const path of paths) {
    const found = [...rows.keys()].filter((name) => name.startsWith(`${path}/`) && names.includes(name.slice(path.length + 1).replace(CELL, '')));
    if (found.length) return found;
  }
  return [];
}

/** @param {string[]} problems */
function stop(problems) {
  if (!problems.length) return;
  const more = problems.length > LISTED ? ` and ${problems.length - LISTED} more` : '';
  throw new NoAnswer(`weights: ${problems.slice(0, LISTED).join('; ')}${more}`);
}

/**
 * Raises NoAnswer with all that does not fit; a Refusal where the bytes of a tensor are not those of the index.
 * @param {Bundle} bundle @param {string} config id of the component that the model was made from @param {Pair[]} pairs
 */
export async function bindWeights(bundle, config, pairs) {
  const index = /** @type {import('../../src/tensor-index.js').TensorIndex} */ (bundle.index);
  const rows = kerasNames(bundle, config);
  const wants = wanted(pairs);
  /** @type {string[]} */
  const problems = [];
  /** @type {Map<any, number>} */
  const chosen = new Map();
  for (const want of wants) {
    const found = candidates(want, rows);
    const row = found.length === 1 ? /** @type {number} */ (rows.get(found[0])) : -1;
    const { dtype, shape } = row < 0 ? { dtype: '', shape: [] } : index.row(row);
    if (row < 0) problems.push(`${found.length ? 'several names fit' : 'no name fits'} ${want.paths[0]}/${want.names[0]}`);
    else if (dtype !== 'float32') problems.push(`${found[0]} is ${dtype}, and TensorFlow.js computes in float32`);
    else if (`${shape}` !== `${want.weight.shape}`) problems.push(`${found[0]} has the shape [${shape}], not [${want.weight.shape}]`);
    else chosen.set(want.weight, row);
  }
  const taken = new Set(chosen.values());
  for (const [name, row] of rows) {
    const { role } = index.row(row);
    if ((role === 'trainable' || role === 'non-trainable') && !taken.has(row)) problems.push(`no layer took ${name}`);
  }
  stop(problems);
  for (const [weight, row] of chosen) {
    const values = numbersOf('float32', await bundle.readTensor(row));
    weight.write(tf.tensor(/** @type {any} */ (values), weight.shape, 'float32'));
  }
}
