/**
 * Which layers of Keras TensorFlow.js has, and how their configs read there: one row a class.
 *
 * Invariants: an argument that is in neither list of a row is one that this program does not know, and the layer is
 * not run; so is one that TensorFlow.js would ignore, unless it has the value for which that changes nothing.
 *
 *     LAYERS.get('Dense');     // { make, args: ['units', 'use_bias', 'activation'], only: {}, weights: {} }
 */
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { BatchNorm, Gru, Operation, Relu } from './own-layers.js';

/**
 * @typedef {object} Row
 * @property {(args: any) => import('@tensorflow/tfjs-layers').layers.Layer} make
 * @property {string[]} args  arguments that are passed on, under their names in camel case
 * @property {Record<string, unknown[]>} only  arguments with the values, as JSON, that they can have
 * @property {Record<string, string[]>} weights  other names of a weight in Keras, by that in TensorFlow.js
 * @property {Record<string, string>} renamed  arguments that have another name in TensorFlow.js
 * @property {boolean} masked  whether TensorFlow.js uses a mask here as Keras does
 */

/**
 * @param {Row['make']} make @param {string} args
 * @param {{ only?: Row['only'], weights?: Row['weights'], renamed?: Row['renamed'], masked?: boolean }} [more]
 * @returns {Row}
 */
const row = (make, args = '', { only = {}, weights = {}, renamed = {}, masked = false } = {}) => ({
  make, args: args.split(' ').filter(Boolean), only, weights, renamed, masked,
});

const LAST = { data_format: ['channels_last', null] };
const UNDILATED = { dilation_rate: [1, [1], [1, 1], [1, 1, 1]], output_padding: [null] };
const CONV = 'filters kernel_size strides padding dilation_rate activation use_bias';
const PLAIN_CONV = { only: { ...LAST, groups: [1], padding: ['same', 'valid'] } };
const POOL = { only: { ...LAST, padding: ['same', 'valid'] } };
const GLOBAL = { only: { ...LAST, keepdims: [false] } };
const RECURRENT = 'units activation use_bias return_sequences return_state go_backwards';
const RECURRENT_ONLY = {
  stateful: [false], dropout: null, recurrent_dropout: null, unroll: null, implementation: null, time_major: [false], seed: null, zero_output_for_mask: null,
};
const anyOf = (/** @type {Record<string, unknown[] | null>} */ only) => /** @type {Row['only']} */ (only);

/** @type {Map<string, Row>} */
export const LAYERS = new Map([
  ['Activation', row(layers.activation, 'activation')],
  ['Add', row(() => layers.add())],
  ['AlphaDropout', row(layers.alphaDropout, 'rate', { only: anyOf({ noise_shape: null, seed: null }) })],
  ['Average', row(() => layers.average())],
  ['AveragePooling1D', row(layers.averagePooling1d, 'pool_size strides padding', POOL)],
  ['AveragePooling2D', row(layers.averagePooling2d, 'pool_size strides padding', POOL)],
  ['AveragePooling3D', row(layers.averagePooling3d, 'pool_size strides padding', POOL)],
  ['BatchNormalization', row((args) => (args.axis === -1 ? layers.batchNormalization(args) : new BatchNorm(args)), 'axis epsilon center scale', {
    only: anyOf({ momentum: null, renorm: [false], renorm_clipping: null, renorm_momentum: null, synchronized: null, virtual_batch_size: [null], fused: null }),
  })],
  ['Bidirectional', row(layers.bidirectional, 'layer merge_mode', { only: anyOf({ merge_mode: ['concat', 'sum', 'mul', 'ave'], backward_layer: null, seed: null }), masked: true })],
  ['Concatenate', row(layers.concatenate, 'axis')],
  ['Conv1D', row(layers.conv1d, CONV, PLAIN_CONV)],
  ['Conv2D', row(layers.conv2d, CONV, PLAIN_CONV)],
  ['Conv2DTranspose', row(layers.conv2dTranspose, 'filters kernel_size strides padding activation use_bias', { only: { ...LAST, ...UNDILATED, groups: [1], padding: ['same', 'valid'] } })],
  ['Conv3D', row(layers.conv3d, CONV, PLAIN_CONV)],
  ['Cropping2D', row(layers.cropping2D, 'cropping', { only: LAST })],
  ['Dense', row(layers.dense, 'units activation use_bias', { only: { lora_rank: [null] } })],
  ['DepthwiseConv2D', row(layers.depthwiseConv2d, 'kernel_size strides padding depth_multiplier activation use_bias', {
    only: { ...LAST, dilation_rate: UNDILATED.dilation_rate, groups: [1], filters: [null], padding: ['same', 'valid'] }, weights: { depthwise_kernel: ['kernel'] },
  })],
  ['Dot', row(layers.dot, 'axes normalize')],
  ['Dropout', row(layers.dropout, 'rate', { only: anyOf({ noise_shape: null, seed: null }) })],
  ['ELU', row(layers.elu, '', { only: { alpha: [1] } })],
  ['Embedding', row(layers.embedding, 'input_dim output_dim mask_zero', { only: anyOf({ input_length: null, lora_rank: [null], sparse: null }) })],
  ['Flatten', row(layers.flatten, '', { only: LAST })],
  ['GRU', row((args) => (args.resetAfter ? new Gru(args) : layers.gru(args)), `${RECURRENT} recurrent_activation reset_after`, { only: anyOf(RECURRENT_ONLY), masked: true })],
  ['GaussianDropout', row(layers.gaussianDropout, 'rate', { only: anyOf({ seed: null }) })],
  ['GaussianNoise', row(layers.gaussianNoise, 'stddev', { only: anyOf({ seed: null }) })],
  ['GlobalAveragePooling1D', row(() => layers.globalAveragePooling1d(), '', GLOBAL)],
  ['GlobalAveragePooling2D', row(() => layers.globalAveragePooling2d({}), '', GLOBAL)],
  ['GlobalMaxPooling1D', row(() => layers.globalMaxPooling1d(), '', GLOBAL)],
  ['GlobalMaxPooling2D', row(() => layers.globalMaxPooling2d({}), '', GLOBAL)],
  ['LSTM', row(layers.lstm, `${RECURRENT} recurrent_activation`, { only: anyOf({ ...RECURRENT_ONLY, unit_forget_bias: null }), masked: true })],
  ['LayerNormalization', row(layers.layerNormalization, 'axis epsilon center scale', { only: { rms_scaling: [false] } })],
  ['LeakyReLU', row(layers.leakyReLU, 'alpha negative_slope', { renamed: { negative_slope: 'alpha' } })],
  ['Masking', row(layers.masking, 'mask_value')],
  ['MaxPooling1D', row(layers.maxPooling1d, 'pool_size strides padding', POOL)],
  ['MaxPooling2D', row(layers.maxPooling2d, 'pool_size strides padding', POOL)],
  ['MaxPooling3D', row(layers.maxPooling3d, 'pool_size strides padding', POOL)],
  ['Maximum', row(() => layers.maximum())],
  ['Minimum', row(() => layers.minimum())],
  ['Multiply', row(() => layers.multiply())],
  ['PReLU', row(layers.prelu, 'shared_axes')],
  ['Permute', row(layers.permute, 'dims')],
  ['ReLU', row((args) => new Relu(args), 'max_value negative_slope threshold')],
  ['RepeatVector', row(layers.repeatVector, 'n')],
  ['Rescaling', row(layers.rescaling, 'scale offset')],
  ['Reshape', row(layers.reshape, 'target_shape')],
  ['SeparableConv2D', row(layers.separableConv2d, `${CONV} depth_multiplier`, PLAIN_CONV)],
  ['SimpleRNN', row(layers.simpleRNN, RECURRENT, { only: anyOf(RECURRENT_ONLY), masked: true })],
  ['Softmax', row(layers.softmax, 'axis', { only: { axis: [-1] } })],
  ['SpatialDropout1D', row(layers.spatialDropout1d, 'rate', { only: anyOf({ seed: null, noise_shape: null }) })],
  ['Subtract', row(({ name }) => new Operation({ name, compute: tf.sub, args: [null, null] }))],
  ['TimeDistributed', row(layers.timeDistributed, 'layer')],
  ['UpSampling2D', row(layers.upSampling2d, 'size', { only: { ...LAST, interpolation: ['nearest'] } })],
  ['ZeroPadding2D', row(layers.zeroPadding2d, 'padding', { only: LAST })],
]);

/** Arguments that TensorFlow.js takes as Keras does where a config is silent. */
export const OPTIONAL = new Set(['alpha', 'negative_slope', 'reset_after', 'shared_axes']);

/** What says nothing about the outputs of a layer. */
export const WITHOUT_EFFECT = /^(name|trainable|dtype|activity_regularizer|batch_input_shape|quantization_config|autocast|.*_(initializer|regularizer|constraint)|lora_alpha)$/;

/** Operations on tensors: what `x + y` is in a Keras model. @type {Map<string, (...values: any[]) => tf.Tensor>} */
export const OPERATIONS = new Map(Object.entries({
  Absolute: tf.abs, Add: tf.add, Divide: tf.div, Exp: tf.exp, Log: tf.log, Maximum: tf.maximum, Minimum: tf.minimum, Multiply: tf.mul,
  Negative: tf.neg, Power: tf.pow, Relu: tf.relu, Sigmoid: tf.sigmoid, Sqrt: tf.sqrt, Square: tf.square, Subtract: tf.sub, Tanh: tf.tanh, TrueDivide: tf.div,
}));
