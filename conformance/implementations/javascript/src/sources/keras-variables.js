/**
 * Variables that Keras 3 makes for an object, in the order in which it saves them (section 13.3, keras-variables.md).
 *
 *     variablesOf('Dense', new Map([['use_bias', false]]), 1);  // [{ name: 'kernel', role: 'trainable' }]
 */
import { classOf, graphForm, isObject, kindsOf, textOf, withoutPackage } from './keras-classes.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {{ name: string, role: string }} Variable */
/** @typedef {{ name: string, className: string, config: LooseMap }} Owner  A layer or a part of one: its path of names, class and config. */
/** @typedef {{ at: string, name: string, object: LooseMap }} Child  What an object stores below itself: path, name and serialised form. */

const KERNEL = 'kernel bias?use_bias';
const CELL = 'kernel recurrent_kernel bias?use_bias';
const NORMALIZED = 'gamma?scale beta?center';
const SEPARABLE = 'depthwise_kernel pointwise_kernel bias?use_bias';

/** Variables by class: `name?key` where the key is true, `name?!key` where it is not, `name?key=text` where it is that text. @type {Map<string, string>} */
const LAYERS = new Map(Object.entries({
  AdditiveAttention: 'scale?use_scale', Attention: 'scale?use_scale concat_score_weight?score_mode=concat',
  BatchNormalization: `${NORMALIZED} moving_mean moving_variance`, ConvLSTMCell: CELL, Dense: KERNEL,
  EinsumDense: 'kernel bias?bias_axes', Embedding: 'embeddings', GRUCell: CELL, GroupNormalization: NORMALIZED, LSTMCell: CELL,
  LayerNormalization: NORMALIZED, Normalization: 'mean?!mean variance?!mean count?!mean', PReLU: 'alpha', RMSNormalization: 'scale',
  ReversibleEmbedding: 'embeddings reverse_embeddings?!tie_weights', SeedGenerator: 'seed_generator_state', SimpleRNNCell: CELL,
}));
for (const rank of [1, 2, 3]) {
  for (const kind of ['Conv', 'Convolution', 'DepthwiseConv', 'LocallyConnected']) for (const end of ['', 'Transpose']) LAYERS.set(`${kind}${rank}D${end}`, KERNEL);
  for (const kind of ['Conv', 'Convolution']) if (rank < 3) LAYERS.set(`Separable${kind}${rank}D`, SEPARABLE);
}
const DEFAULT_TRUE = new Set(['use_bias', 'scale', 'center', 'tie_weights']);
const FLOAT8 = 'kernel bias inputs_scale inputs_amax_history kernel_scale kernel_amax_history outputs_grad_scale outputs_grad_amax_history';
const GROUPED = 'bias quantized_kernel kernel_scale kernel_zero';
/** @type {Record<string, string[]>} */
const QUANTIZED = {
  int8: ['kernel bias kernel_scale'], int4: ['kernel bias kernel_scale', 'kernel bias kernel_scale kernel_zero g_idx'],
  float8: [FLOAT8], gptq: [`${GROUPED} g_idx`], awq: [`${GROUPED} awq_scales g_idx`],
};
/** @type {Record<string, string[]>} */
const QUANTIZED_EMBEDDINGS = { int8: ['embeddings embeddings_scale'], int4: ['embeddings embeddings_scale', 'embeddings embeddings_scale embeddings_zero g_idx'] };
const STATE = new Set([
  'moving_mean', 'moving_variance', 'mean', 'variance', 'count', 'vector_u', 'g_idx', 'quantized_kernel', 'kernel_scale', 'kernel_zero',
  'embeddings_scale', 'embeddings_zero', 'reverse_embeddings_scale', 'reverse_embeddings_zero', 'awq_scales',
]);
const INTEGER_MODES = ['int8', 'int4', 'gptq', 'awq'];
const INTEGERS = ['kernel', 'embeddings', 'reverse_embeddings'];
/** Groups of slots by optimizer; within a group the slots alternate, variable by variable. @type {Map<string, string[]>} */
const SLOTS = new Map(Object.entries({
  Adadelta: ['accumulated_grad accumulated_delta_var'], Adafactor: ['r c velocity'], Adagrad: ['accumulator'],
  Adam: ['momentum velocity', 'velocity_hat?amsgrad'], AdamW: ['momentum velocity', 'velocity_hat?amsgrad'], Adamax: ['momentum norm'],
  Ftrl: ['accumulator linear'], Lamb: ['momentum velocity'], Lion: ['momentum'], Nadam: ['momentum velocity'],
  RMSprop: ['velocity', 'momentum?momentum', 'average_gradient?centered'], SGD: ['momentum?momentum'], ScheduleFreeAdamW: ['momentum velocity'],
}));
/** @type {Map<string, string>} */
const METRICS = new Map([
  ...['Mean', 'MeanMetricWrapper', 'MeanSquaredError', 'MeanAbsoluteError', 'RootMeanSquaredError', 'CategoricalAccuracy', 'BinaryAccuracy', 'Accuracy',
    'SparseCategoricalAccuracy', 'CosineSimilarity'].map((name) => /** @type {[string, string]} */ ([name, 'total count'])),
  ['AUC', 'true_positives false_positives true_negatives false_negatives'], ['Precision', 'true_positives false_positives'],
  ['Recall', 'true_positives false_negatives'], ['Sum', 'total'],
]);

/** @param {string} condition @param {LooseMap} config */
function holds(condition, config) {
  const not = condition.startsWith('!');
  const [key, text] = (not ? condition.slice(1) : condition).split('=');
  const value = config.has(key) ? config.get(key) : DEFAULT_TRUE.has(key);
  if (text) return value === text;
  return (value !== null && value !== false && value !== 0) !== not;
}

/** @param {string} spec @param {LooseMap} config */
const tokens = (spec, config) => spec.split(' ').filter(Boolean).flatMap((token) => {
  const [name, condition] = token.split('?');
  return !condition || holds(condition, config) ? [name] : [];
});

/** The mode of a quantised dtype policy. @param {LooseMap} config */
function quantization(config) {
  const dtype = config.get('dtype');
  const inner = isMap(dtype) && isObject(dtype) ? dtype.get('config') : undefined;
  const mode = isMap(inner) ? inner.get('mode') : dtype;
  if (typeof mode !== 'string' || (mode === dtype && !mode.includes('_from_'))) return null;
  return mode.split(/_from_|\//)[0];
}

/** Whether weights are int4, which Keras stores two to a byte. @param {LooseMap} config */
export function isInt4(config) {
  const dtype = config.get('dtype');
  const inner = isMap(dtype) && isObject(dtype) ? dtype.get('config') : undefined;
  const mode = isMap(inner) ? inner.get('mode') : undefined;
  return typeof mode === 'string' && mode.startsWith('int4');
}

/** @param {string} className @param {LooseMap} config @param {string} mode */
function quantizedEmbeddings(className, config, mode) {
  const options = (QUANTIZED_EMBEDDINGS[mode] ?? []).map((names) => names.split(' '));
  const tied = config.has('tie_weights') ? Boolean(config.get('tie_weights')) : true;
  if (className === 'Embedding' || tied) return options;
  return options.map((names) => [...names, ...names.filter((name) => name.startsWith('embeddings')).map((name) => `reverse_${name}`)]);
}

/** @param {LooseMap} config */
function spectralWeight(config) {
  const layer = config.get('layer');
  return isMap(layer) && isObject(layer) && layer.get('class_name') === 'Embedding' ? 'embeddings' : 'kernel';
}

/** @param {string} className @param {LooseMap} config @param {number} count @returns {string[] | null} */
function namesOf(className, config, count) {
  const kinds = kindsOf(className);
  if (kinds.has('optimizer') && /^\p{Lu}/u.test(className)) return optimizerNames(className, config, count);
  const mode = quantization(config);
  const spec = LAYERS.get(className) ?? METRICS.get(className);
  /** @type {string[][]} */
  let options;
  if (mode && (className === 'Dense' || className === 'EinsumDense')) {
    const bias = tokens(String(LAYERS.get(className)), config).length > 1;
    options = (QUANTIZED[mode] ?? []).map((names) => names.split(' ').filter((name) => bias || name !== 'bias'));
  } else if (mode && (className === 'Embedding' || className === 'ReversibleEmbedding')) options = quantizedEmbeddings(className, config, mode);
  else if (className === 'SpectralNormalization') options = [[spectralWeight(config), 'vector_u']];
  else if (spec !== undefined) options = [tokens(spec, config)];
  else options = kinds.has('layer') || kinds.has('model') ? [[]] : [];
  return options.find((names) => names.length === count) ?? null;
}

/** `iteration`, `learning_rate`, then slots; tf_keras and schedules store no learning rate. @param {string} className @param {LooseMap} config @param {number} count @returns {string[] | null} */
function optimizerNames(className, config, count) {
  if (className === 'LossScaleOptimizer') return lossScaleNames(config, count);
  const slots = SLOTS.get(className);
  if (!slots) return null;
  const old = config.has('is_legacy_optimizer');
  const head = ['iteration', ...(old || isMap(config.get('learning_rate')) ? [] : ['learning_rate'])];
  const tail = className === 'Nadam' && !old ? ['u_product'] : [];
  const groups = ['average?use_ema', 'gradient_accumulator?gradient_accumulation_steps', ...slots].map((group) => tokens(group, config));
  const width = groups.flat().length;
  const variables = (count - head.length - tail.length) / (width || 1);
  if (!Number.isInteger(variables) || variables < 0 || (variables && !width)) return null;
  const listed = groups.flatMap((group) => Array.from({ length: variables }, (_, i) => group.map((name) => `${name}/${i}`)).flat());
  return [...head, ...listed, ...tail];
}

/** Its own state, then that of the optimizer inside. @param {LooseMap} config @param {number} count @returns {string[] | null} */
function lossScaleNames(config, count) {
  const inner = config.get('inner_optimizer');
  const own = isMap(inner) && isObject(inner) ? inner.get('config') : undefined;
  if (!isMap(inner) || !isMap(own)) return null;
  const head = ['iteration', 'learning_rate', 'step_counter', 'dynamic_scale'];
  const names = namesOf(String(classOf(inner)?.name), own, count - head.length);
  return names && [...head, ...names.map((name) => `inner_optimizer/${name}`)];
}

/** @param {string} name @param {boolean} frozen @param {boolean} integer */
function roleOf(name, frozen, integer) {
  if (name === 'seed_generator_state') return 'rng';
  const state = (STATE.has(name) && (integer || !name.endsWith('_scale'))) || (integer && INTEGERS.includes(name));
  return frozen || state ? 'non-trainable' : 'trainable';
}

/** The variables that an object stores itself, in stored order; null where class, config and count do not settle them. @param {string} className @param {LooseMap} config @param {number} count @returns {Variable[] | null} */
export function variablesOf(className, config, count) {
  const names = namesOf(className, config, count);
  if (!names) return null;
  const known = kindsOf(className).has('optimizer') ? 'optimizer' : METRICS.has(className) ? 'metric' : null;
  const frozen = config.get('trainable') === false;
  const integer = INTEGER_MODES.includes(quantization(config) ?? '');
  return names.map((name) => ({ name, role: known ?? roleOf(name, frozen, integer) }));
}

/** `to_snake_case` of Keras. @param {string} className */
const snake = (className) => className.replace(/\W+/g, '').replace(/(.)([A-Z][a-z]+)/g, '$1_$2').replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();

const CELLS = new Map([['GRU', 'GRUCell'], ['LSTM', 'LSTMCell'], ['SimpleRNN', 'SimpleRNNCell'], ['ConvLSTM1D', 'ConvLSTMCell'], ['ConvLSTM2D', 'ConvLSTMCell'], ['ConvLSTM3D', 'ConvLSTMCell']]);
const DEEPEST = 64;

/** @param {string} className @param {Loose} config @returns {LooseMap} */
const made = (className, config) => new Map(/** @type {[string, Loose][]} */ ([['class_name', className], ['config', config]]));

/** @param {LooseMap} object */
function nameOf(object) {
  const config = object.get('config');
  return textOf(object.get('name')) ?? textOf(isMap(config) ? config.get('name') : undefined) ?? snake(String(classOf(object)?.name));
}

/** @param {Loose | undefined} value @returns {LooseMap[]} */
const objectsIn = (value) => (Array.isArray(value) ? /** @type {LooseMap[]} */ (value.filter(isObject)) : []);

/** A list is stored by class: `dense`, `dense_1`, … @param {string} attribute @param {LooseMap[]} items @returns {Child[]} */
function listed(attribute, items) {
  const seen = new Map();
  return items.map((object) => {
    const name = String(classOf(object)?.name);
    const key = snake(name === 'GroupQueryAttention' ? 'GroupedQueryAttention' : name);
    const number = seen.get(key) ?? 0;
    seen.set(key, number + 1);
    return { at: `${attribute}/${key}${number ? `_${number}` : ''}`, name: nameOf(object), object };
  });
}

/** The dense layers of attention, under both names that Keras 3 has used for them. @param {LooseMap} config @returns {Child[]} */
function projections(config) {
  const axes = !config.has('use_bias') || config.get('use_bias') ? 'any' : null;
  return ['query', 'key', 'value', 'output'].flatMap((part) => {
    const name = part === 'output' ? 'attention_output' : part;
    const inner = new Map(/** @type {[string, Loose][]} */ ([['bias_axes', axes], ['dtype', config.get('dtype') ?? null], ['trainable', config.get('trainable') ?? null], ['name', name]]));
    return [`${part}_dense`, `_${part}_dense`].map((at) => ({ at, name, object: made('EinsumDense', inner) }));
  });
}

/** Both layers of a Bidirectional; a config of Keras 2 may hold one for both. @param {LooseMap} config @returns {Child[]} */
function directions(config) {
  const [forward, backward] = [config.get('layer'), config.get('backward_layer')];
  if (!isMap(forward) || !isObject(forward)) return [];
  const name = nameOf(forward).replace(/^forward_/, '');
  const other = isMap(backward) && isObject(backward) ? backward : null;
  return [
    { at: 'forward_layer', name: `forward_${name}`, object: forward },
    { at: 'backward_layer', name: other ? nameOf(other) : `backward_${name}`, object: other ?? forward },
  ];
}

/** @param {Owner} owner @param {LooseMap} object @returns {Child[]} */
function childrenOf({ className, config }, object) {
  const given = object.get('config');
  const cell = CELLS.get(className);
  /** @type {Child[]} */
  let found;
  if (graphForm(object)) {
    const items = objectsIn(isMap(given) ? given.get('layers') : given);
    found = listed('layers', items.filter((item) => {
      const own = classOf(item, 'layers');
      const input = own?.name === 'InputLayer' && !config.has('input_layers');
      return (own?.kind === 'layer' || own?.kind === 'model') && !input;
    }));
  } else if (cell) found = [{ at: 'cell', name: snake(cell), object: made(cell, config) }];
  else if (className === 'MultiHeadAttention' || className === 'GroupQueryAttention') found = projections(config);
  else if (className === 'StackedRNNCells') found = listed('cells', objectsIn(config.get('cells')));
  else if (className === 'Bidirectional') found = directions(config);
  else {
    const slots = kindsOf(className).size ? ['layer', 'cell'] : [];
    found = slots.flatMap((at) => {
      const item = config.get(at);
      return isMap(item) && isObject(item) ? [{ at, name: nameOf(item), object: item }] : [];
    });
  }
  const seeded = config.has('seed') && kindsOf(className).has('layer');
  return seeded ? [...found, { at: 'seed_generator', name: 'seed_generator', object: made('SeedGenerator', new Map()) }] : found;
}

/** @param {string} path @param {string} name @param {LooseMap} object @param {number} depth @param {Map<string, Owner>} found */
function walk(path, name, object, depth, found) {
  if (depth > DEEPEST) return;
  const config = object.get('config');
  const owner = { name, className: withoutPackage(String(object.get('class_name'))), config: isMap(config) ? config : new Map() };
  if (path) found.set(path, owner);
  for (const child of childrenOf(owner, object)) {
    walk([path, child.at].filter(Boolean).join('/'), [name, child.name].filter(Boolean).join('/'), child.object, depth + 1, found);
  }
}

/** What a model's config says of the objects of the model, by their paths in `.weights.h5`. @param {Loose} value @returns {Map<string, Owner>} */
export function ownersOf(value) {
  /** @type {Map<string, Owner>} */
  const found = new Map();
  walk('', '', isMap(value) && isObject(value) ? value : made('Functional', value), 0, found);
  const compiled = isMap(value) ? value.get('compile_config') : undefined;
  const optimizer = isMap(compiled) ? compiled.get('optimizer') : undefined;
  const config = isMap(optimizer) && isObject(optimizer) ? optimizer.get('config') : undefined;
  if (!isMap(optimizer) || !isMap(config)) return found;
  const name = config.get('name');
  return found.set('optimizer', { name: typeof name === 'string' ? name : 'optimizer', className: String(classOf(optimizer)?.name), config });
}
