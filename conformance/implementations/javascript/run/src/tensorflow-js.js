/**
 * The engine TensorFlow.js: a component `keras.config` as a layers model, in plain JavaScript (backend `cpu`), which
 * computes products in float64 and stores in float32: what it gives is judged as float32.
 *
 *     const model = await loadKeras(bundle, 'model/config.json');
 *     const outputs = await model.run([{ name: 'x', dtype: 'float32', shape: [1, 4], values }]);
 *     model.end();
 */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { NoAnswer } from '../../src/findings.js';
import { bindWeights } from './bind-weights.js';
import { topologyOf } from './documents.js';
import { buildModel, unsupported } from './topology-model.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('./arrays.js').Value} Value */

export const NAME = 'tensorflow.js';
export const VERSION = tf.version_core;
export const DEVICE = 'cpu (plain JavaScript)';
const LISTED = 10;

/** @param {Value} value @returns {tf.Tensor} */
const tensorOf = ({ values, shape, dtype }) => tf.tensor(/** @type {any} */ (values), shape, /** @type {any} */ (dtype));

/** @param {tf.Tensor} tensor @param {number} i @returns {Promise<Value>} */
const resultOf = async (tensor, i) => ({ name: `output_${i}`, dtype: tensor.dtype, shape: tensor.shape, values: await tensor.data() });

/** Makes the model and puts its weights in; raises NoAnswer with all that TensorFlow.js does not have. @param {Bundle} bundle @param {string} component */
export async function loadKeras(bundle, component) {
  const topology = await topologyOf(bundle, component);
  const problems = unsupported(topology);
  if (problems.length) throw new NoAnswer(`not supported: ${problems.slice(0, LISTED).join('; ')}${problems.length > LISTED ? ` and ${problems.length - LISTED} more` : ''}`);
  // Without it, TensorFlow.js greets on the console.
  tf.enableProdMode();
  await tf.setBackend('cpu');
  const { model, pairs } = buildModel(topology);
  await bindWeights(bundle, component, pairs);
  return {
    inputs: topology.inputs.map((/** @type {{ layer: string }} */ { layer }) => layer),
    /** @param {Value[]} inputs in the order of the model's @returns {Promise<Value[]>} */
    async run(inputs) {
      const given = inputs.map(tensorOf);
      const batch = Math.max(1, inputs[0]?.shape[0] ?? 1);
      const outputs = [model.predict(given.length === 1 ? given[0] : given, { batchSize: batch })].flat();
      const results = await Promise.all(outputs.map(resultOf));
      tf.dispose([given, outputs]);
      return results;
    },
    end: () => void model.dispose(),
  };
}
