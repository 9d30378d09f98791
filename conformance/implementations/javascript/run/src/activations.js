/**
 * Activation functions by the names of Keras, as TensorFlow.js knows them.
 *
 * Invariant: a name is here only where both compute the same function. `hard_sigmoid` has one slope in Keras 1 and 2,
 * which is that of TensorFlow.js, and another in Keras 3, which is added here.
 *
 *     activationOf('silu', 'keras3');      // 'swish'
 *     activationOf('sparsemax', 'keras3'); // undefined
 */
import * as tf from '@tensorflow/tfjs-core';

const { serialization } = tf;

/** A function as an activation that TensorFlow.js finds by its name. @param {string} name @param {(x: tf.Tensor) => tf.Tensor} compute */
function register(name, compute) {
  class Own extends serialization.Serializable {
    static className = name;

    getConfig() {
      return {};
    }

    /** @param {tf.Tensor} x */
    apply(x) {
      return tf.tidy(() => compute(x));
    }
  }
  serialization.registerClass(Own);
  return name;
}

const hardSigmoid3 = (/** @type {tf.Tensor} */ x) => tf.div(tf.clipByValue(tf.add(x, 3), 0, 6), 6);

const SAME = new Map([
  ['linear', 'linear'], ['relu', 'relu'], ['relu6', 'relu6'], ['elu', 'elu'], ['selu', 'selu'], ['sigmoid', 'sigmoid'],
  ['tanh', 'tanh'], ['softplus', 'softplus'], ['softsign', 'softsign'], ['softmax', 'softmax'], ['log_softmax', 'logSoftmax'],
  ['swish', 'swish'], ['silu', 'swish'], ['gelu', 'gelu'], ['mish', 'mish'],
  ['exponential', register('modelbundle_exponential', (x) => tf.exp(x))],
]);
const KERAS3 = new Map([
  ['hard_sigmoid', register('modelbundle_hard_sigmoid', hardSigmoid3)],
  ['hard_silu', register('modelbundle_hard_silu', (x) => tf.mul(x, hardSigmoid3(x)))],
  ['leaky_relu', register('modelbundle_leaky_relu', (x) => tf.leakyRelu(x, 0.2))],
]);

/** @param {unknown} name @param {string} dialect @returns {string | undefined} identifier in TensorFlow.js */
export function activationOf(name, dialect) {
  if (name === null || name === undefined) return 'linear';
  if (typeof name !== 'string') return undefined;
  if (dialect === 'keras3') return SAME.get(name) ?? KERAS3.get(name);
  return name === 'hard_sigmoid' ? 'hardSigmoid' : SAME.get(name);
}
