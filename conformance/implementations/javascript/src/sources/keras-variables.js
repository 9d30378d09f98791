/** Variables that Keras 3 makes for an object, in the order in which it saves them (section 13.3). */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {{ class?: string, custom?: boolean, name?: string, trainable?: boolean, config: JsonObject, sublayers?: any[], layers?: any[], form?: string }} Record_ */
/** @typedef {{ name: string, role: string }} Variable */

/** @param {string[]} names @returns {Variable[]} */
const trainable = (...names) => names.filter(Boolean).map((name) => ({ name, role: 'trainable' }));
/** @param {string[]} names @returns {Variable[]} */
const frozen = (...names) => names.map((name) => ({ name, role: 'non-trainable' }));
/** @param {JsonObject} config @param {string} key @param {boolean} otherwise */
const flag = (config, key, otherwise) => (typeof config[key] === 'boolean' ? Boolean(config[key]) : otherwise);
/** @param {JsonObject} config */
const bias = (config) => (flag(config, 'use_bias', true) ? 'bias' : '');

/** @param {JsonObject} config */
const kernelAndBias = (config) => trainable('kernel', bias(config));
/** @param {JsonObject} config */
const cell = (config) => trainable('kernel', 'recurrent_kernel', bias(config));
/** @param {JsonObject} config */
const scaleAndCenter = (config) => trainable(flag(config, 'scale', true) ? 'gamma' : '', flag(config, 'center', true) ? 'beta' : '');
/** @param {JsonObject} config */
const isQuantised = (config) => {
  const dtype = /** @type {any} */ (config.dtype);
  return typeof dtype === 'object' && dtype !== null && String(dtype.class_name).startsWith('Quantized');
};

/** @type {Record<string, (config: JsonObject) => Variable[]>} */
const TABLE = {
  Dense: kernelAndBias, EinsumDense: (config) => trainable('kernel', config.bias_axes ? 'bias' : ''),
  Conv1D: kernelAndBias, Conv2D: kernelAndBias, Conv3D: kernelAndBias,
  Conv1DTranspose: kernelAndBias, Conv2DTranspose: kernelAndBias, Conv3DTranspose: kernelAndBias,
  DepthwiseConv1D: kernelAndBias, DepthwiseConv2D: kernelAndBias,
  SeparableConv1D: (config) => trainable('depthwise_kernel', 'pointwise_kernel', bias(config)),
  SeparableConv2D: (config) => trainable('depthwise_kernel', 'pointwise_kernel', bias(config)),
  BatchNormalization: (config) => [...scaleAndCenter(config), ...frozen('moving_mean', 'moving_variance')],
  LayerNormalization: scaleAndCenter, GroupNormalization: scaleAndCenter, RMSNormalization: () => trainable('scale'),
  Embedding: () => trainable('embeddings'), PReLU: () => trainable('alpha'),
  LSTMCell: cell, GRUCell: cell, SimpleRNNCell: cell, ConvLSTMCell: cell,
  Normalization: (config) => (config.mean === null || config.mean === undefined ? frozen('mean', 'variance', 'count') : []),
  AdditiveAttention: (config) => trainable(flag(config, 'use_scale', true) ? 'scale' : ''),
  Attention: (config) => trainable(flag(config, 'use_scale', false) ? 'scale' : '', config.score_mode === 'concat' ? 'concat_score_weight' : ''),
  SeedGenerator: () => [{ name: 'seed_generator_state', role: 'rng' }],
};

/** Slots of optimizers: names of what is kept for each variable; null where there is more. @type {Record<string, (config: JsonObject) => string[] | null>} */
const SLOTS = {
  SGD: ({ momentum }) => (momentum ? ['momentum'] : []),
  Adam: () => ['momentum', 'velocity'], AdamW: () => ['momentum', 'velocity'], Lamb: () => ['momentum', 'velocity'],
  Adamax: () => ['momentum', 'norm'], Lion: () => ['momentum'], Adagrad: () => ['accumulator'],
  RMSprop: ({ momentum, centered }) => (momentum || centered ? null : ['velocity']),
  Adadelta: () => ['accumulated_grad', 'accumulated_delta_var'], Ftrl: () => ['accumulator', 'linear'],
};

/**
 * The variables of an object; null where Keras 3 makes others, or it is not known.
 * @param {Record_ | null} record @param {number} count of variables that are there
 * @returns {Variable[] | null}
 */
export function variablesOf(record, count) {
  if (!record || record.custom || !record.class || isQuantised(record.config)) return null;
  const make = TABLE[record.class];
  const variables = make?.(record.config) ?? null;
  if (!variables || variables.length !== count) return null;
  return record.trainable === false ? variables.map(({ name, role }) => ({ name, role: role === 'trainable' ? 'non-trainable' : role })) : variables;
}

/**
 * The state of an optimizer: iteration and learning rate, then what it keeps for each variable.
 * @param {{ class: string, config: JsonObject } | null} optimizer @param {number} count
 * @returns {Variable[] | null}
 */
export function optimizerVariables(optimizer, count) {
  const slots = optimizer && SLOTS[optimizer.class]?.(optimizer.config);
  if (!slots || optimizer.config.amsgrad || optimizer.config.use_ema || count < 2) return null;
  const rest = count - 2;
  if (slots.length ? rest % slots.length : rest) return null;
  const names = ['iteration', 'learning_rate'];
  for (let i = 0; i < rest; i++) names.push(`${slots[i % slots.length]}/${Math.floor(i / slots.length)}`);
  return names.map((name) => ({ name, role: 'optimizer' }));
}

/** @param {string} name of a class @returns {string} as Keras writes it in paths */
export const snakeCase = (name) => name.replace(/\W+/g, '').replace(/(.)([A-Z][a-z]+)/g, '$1_$2').replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();

const CELLS = new Map([['LSTM', 'LSTMCell'], ['GRU', 'GRUCell'], ['SimpleRNN', 'SimpleRNNCell'], ['ConvLSTM1D', 'ConvLSTMCell'], ['ConvLSTM2D', 'ConvLSTMCell'], ['ConvLSTM3D', 'ConvLSTMCell']]);
const PROJECTIONS = new Map([['query_dense', 'query'], ['key_dense', 'key'], ['value_dense', 'value'], ['output_dense', 'attention_output']]);

/**
 * The object that an attribute of another leads to.
 * @param {Record_ | null} record @param {string} key the attribute, as the file has it
 * @returns {Record_ | null}
 */
export function partOf(record, key) {
  if (key === 'seed_generator') return { class: 'SeedGenerator', name: 'seed_generator', config: {} };
  if (!record || record.custom) return null;
  const cellClass = CELLS.get(record.class ?? '');
  if (key === 'cell' && cellClass) return { class: cellClass, name: snakeCase(cellClass), trainable: record.trainable, config: record.config };
  if (['MultiHeadAttention', 'GroupQueryAttention', 'GroupedQueryAttention'].includes(record.class ?? '') && PROJECTIONS.has(key)) {
    const config = { bias_axes: flag(record.config, 'use_bias', true) ? 'e' : null };
    return { class: 'EinsumDense', name: PROJECTIONS.get(key), trainable: record.trainable, config };
  }
  const slot = record.class === 'Bidirectional' && key === 'forward_layer' ? 'layer' : key;
  const found = record.sublayers?.find((sub) => sub.slot === slot) ?? (key === 'backward_layer' ? record.sublayers?.find((sub) => sub.slot === 'layer') : undefined);
  if (!found) return null;
  return record.trainable === false ? { ...found, trainable: false } : found;
}

/**
 * The layer of a model that a group below `layers` holds: by its name, or by its class and how many came before.
 * @param {Record_ | null} record of the model @param {string} key @param {string | null} name
 * @returns {Record_ | null}
 */
export function layerOf(record, key, name) {
  const layers = (record?.layers ?? []).filter((layer) => !layer.implied);
  const inherit = (/** @type {any} */ layer) => (layer && record?.trainable === false ? { ...layer, trainable: false } : layer ?? null);
  if (name !== null) return inherit(layers.find((layer) => layer.name === name));
  /** @type {Map<string, number>} */
  const used = new Map();
  for (const layer of layers) {
    const base = snakeCase(layer.class ?? '');
    const number = used.get(base) ?? 0;
    used.set(base, number + 1);
    if (key === (number ? `${base}_${number}` : base)) return inherit(layer);
  }
  return null;
}
