/**
 * Layers of Keras that TensorFlow.js does not have, or not wholly: GRU with its gates reset after the product (the
 * default of Keras 2 and 3), ReLU with all its arguments, BatchNormalization along any axis (TensorFlow.js computes
 * something else where it is not the last), and operations on tensors.
 *
 *     new Gru({ name: 'gru', units: 2, activation: 'tanh', recurrentActivation: 'sigmoid' });
 */
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers } from '@tensorflow/tfjs-layers';

/** @typedef {import('@tensorflow/tfjs-layers').Shape} Shape */
/** @typedef {{ units: number, activation: string, recurrentActivation: string, useBias?: boolean, name?: string }} CellArgs */

const { Layer, RNN, RNNCell } = layers;
const { serialization } = tf;

/** @param {tf.Tensor | tf.Tensor[]} inputs @returns {tf.Tensor} */
const one = (inputs) => (Array.isArray(inputs) ? inputs[0] : inputs);

/** @param {string} name @returns {(x: tf.Tensor) => tf.Tensor} */
function activation(name) {
  const layer = layers.activation({ activation: /** @type {any} */ (name) });
  return (x) => /** @type {tf.Tensor} */ (layer.call(x, {}));
}

/** h' = z·h + (1 − z)·tanh(x·W + b + r·(h·U + c)). Weights have the shapes of Keras: (in, 3u), (u, 3u), (2, 3u). */
class GruCell extends RNNCell {
  static className = 'modelbundle_GruCell';

  /** @param {CellArgs} args */
  constructor(args) {
    super(/** @type {any} */ (args));
    this.args = args;
    this.units = args.units;
    this.stateSize = args.units;
    this.activation = activation(args.activation);
    this.recurrentActivation = activation(args.recurrentActivation);
  }

  /** @param {any} inputShape */
  build(inputShape) {
    const width = inputShape.at(-1);
    const zeros = initializers.zeros();
    this.kernel = this.addWeight('kernel', [width, 3 * this.units], 'float32', zeros);
    this.recurrentKernel = this.addWeight('recurrent_kernel', [this.units, 3 * this.units], 'float32', zeros);
    this.bias = this.args.useBias === false ? null : this.addWeight('bias', [2, 3 * this.units], 'float32', zeros);
    this.built = true;
  }

  /** @param {any} inputs [x, h] @returns {tf.Tensor[]} */
  call([x, h]) {
    return tf.tidy(() => {
      const gates = (/** @type {tf.Tensor} */ value, /** @type {any} */ weights, /** @type {number} */ row) => {
        const product = tf.matMul(/** @type {tf.Tensor2D} */ (value), weights.read());
        const sum = this.bias ? tf.add(product, tf.gather(this.bias.read(), row)) : product;
        return tf.split(sum, 3, -1);
      };
      const [xz, xr, xh] = gates(x, this.kernel, 0);
      const [hz, hr, hh] = gates(h, this.recurrentKernel, 1);
      const z = this.recurrentActivation(tf.add(xz, hz));
      const r = this.recurrentActivation(tf.add(xr, hr));
      const next = this.activation(tf.add(xh, tf.mul(r, hh)));
      const out = tf.add(tf.mul(z, h), tf.mul(tf.sub(1, z), next));
      return [out, out];
    });
  }

  getConfig() {
    return { ...super.getConfig(), .../** @type {any} */ (this.args) };
  }
}
serialization.registerClass(/** @type {any} */ (GruCell));

/** GRU with `reset_after`. */
export class Gru extends RNN {
  static className = 'modelbundle_Gru';

  /** @param {any} args those of the cell, and of RNN */
  constructor(args) {
    const { units, activation: own, recurrentActivation, useBias } = args;
    super({ ...args, cell: new GruCell({ units, activation: own, recurrentActivation, useBias }) });
    this.args = { units, activation: own, recurrentActivation, useBias };
  }

  getConfig() {
    const { cell, ...config } = /** @type {any} */ (super.getConfig());
    return { ...config, ...this.args };
  }

  /** @param {any} cls @param {any} config */
  static fromConfig(cls, config) {
    return new cls(config);
  }
}
serialization.registerClass(/** @type {any} */ (Gru));

/** max(x, 0), with a slope below the threshold and a greatest value. */
export class Relu extends Layer {
  static className = 'modelbundle_Relu';

  /** @param {{ name?: string, maxValue?: number, negativeSlope?: number, threshold?: number }} args */
  constructor(args) {
    super({ name: args.name });
    this.args = args;
  }

  /** @param {Shape} shape @returns {Shape} */
  computeOutputShape(shape) {
    return shape;
  }

  /** @param {tf.Tensor | tf.Tensor[]} inputs */
  call(inputs) {
    const { maxValue, negativeSlope = 0, threshold = 0 } = this.args;
    return tf.tidy(() => {
      const x = one(inputs);
      const above = maxValue === undefined ? x : tf.minimum(x, maxValue);
      return tf.where(tf.greaterEqual(x, threshold), above, tf.mul(tf.sub(x, threshold), negativeSlope));
    });
  }

  getConfig() {
    return { ...super.getConfig(), ...this.args };
  }
}
serialization.registerClass(/** @type {any} */ (Relu));

/** γ·(x − mean)/√(variance + ε) + β, along one axis. */
export class BatchNorm extends Layer {
  static className = 'modelbundle_BatchNorm';

  /** @param {{ name?: string, axis: number | number[], epsilon: number, center: boolean, scale: boolean }} args */
  constructor(args) {
    super({ name: args.name });
    this.args = args;
    /** @type {any[]} gamma, beta, mean and variance; null where there is none */
    this.parts = [];
    /** @type {number[]} */
    this.along = [];
  }

  /** @param {any} shape */
  build(shape) {
    const axis = [this.args.axis].flat()[0];
    const at = axis < 0 ? shape.length + axis : axis;
    this.along = shape.map((/** @type {number} */ _, /** @type {number} */ d) => (d === at ? shape[at] : 1));
    const weight = (/** @type {string} */ name, /** @type {boolean} */ there) => (there ? this.addWeight(name, [shape[at]], 'float32', initializers.zeros()) : null);
    const { scale, center } = this.args;
    this.parts = [weight('gamma', scale), weight('beta', center), weight('moving_mean', true), weight('moving_variance', true)];
    this.built = true;
  }

  /** @param {Shape} shape @returns {Shape} */
  computeOutputShape(shape) {
    return shape;
  }

  /** @param {tf.Tensor | tf.Tensor[]} inputs */
  call(inputs) {
    return tf.tidy(() => {
      const [gamma, beta, mean, variance] = this.parts.map((part) => part && tf.reshape(part.read(), this.along));
      const normal = tf.mul(tf.sub(one(inputs), mean), tf.rsqrt(tf.add(variance, this.args.epsilon)));
      const scaled = gamma ? tf.mul(normal, gamma) : normal;
      return beta ? tf.add(scaled, beta) : scaled;
    });
  }

  getConfig() {
    return { ...super.getConfig(), ...this.args };
  }
}
serialization.registerClass(/** @type {any} */ (BatchNorm));

/** Shape of an element by element operation; null is a size that is not known. @param {(number | null)[]} a @param {(number | null)[]} b */
function broadcast(a, b) {
  const rank = Math.max(a.length, b.length);
  const at = (/** @type {(number | null)[]} */ shape, /** @type {number} */ d) => (d < rank - shape.length ? 1 : shape[d - rank + shape.length]);
  return Array.from({ length: rank }, (_, d) => (at(a, d) === 1 ? at(b, d) : at(a, d)));
}

/** An operation, element by element, on tensors and numbers. */
export class Operation extends Layer {
  static className = 'modelbundle_Operation';

  /** @param {{ name: string, compute: (...values: any[]) => tf.Tensor, args: (number | null)[] }} args null in args: the next tensor */
  constructor({ name, compute, args }) {
    super({ name });
    this.compute = compute;
    this.args = args;
  }

  /** @param {any} shapes @returns {Shape} */
  computeOutputShape(shapes) {
    const all = Array.isArray(shapes[0]) ? shapes : [shapes];
    return all.reduce(broadcast);
  }

  /** @param {tf.Tensor | tf.Tensor[]} inputs */
  call(inputs) {
    const tensors = Array.isArray(inputs) ? [...inputs] : [inputs];
    return tf.tidy(() => this.compute(...this.args.map((arg) => arg ?? tensors.shift())));
  }
}
