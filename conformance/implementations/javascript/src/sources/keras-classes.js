/** What a serialised object of Keras is: one of Keras's own, or custom (section 9.2). */
import { LAYERS, MODELS, OPERATIONS, OTHERS } from './keras-names.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('./loose-json.js').Loose} Loose */

/**
 * @typedef {object} Class
 * @property {string} name  without its package
 * @property {string} [module]  as the topology has it
 * @property {boolean} custom
 * @property {string} registered  what a custom class is registered as
 * @property {'layer' | 'model' | 'operation' | 'other'} kind
 */

const KERAS_MODULE = /^(?:keras|tf_keras|tensorflow\.(?:python\.)?keras)(?:\.|$)/;
const OPERATION_MODULE = /\.ops(?:\.|$)/;
const OTHER_MODULE = /\.(?:initializers|regularizers|constraints|activations|losses|metrics|optimizers|dtype_policies|random|utils)(?:\.|$)/;

/** The name behind the package that it is registered in. @param {string} name */
export const withoutPackage = (name) => name.slice(name.lastIndexOf('>') + 1);

/** @param {string} name */
const inKerasPackage = (name) => /^(?:keras|tf_keras|Keras)>/.test(name);

/** @param {string} name @param {string | null | undefined} module @returns {Class['kind']} */
function kindOf(name, module) {
  if (typeof module === 'string') {
    if (OPERATION_MODULE.test(module)) return 'operation';
    if (OTHER_MODULE.test(module) || OTHERS.has(name)) return 'other';
  }
  if (MODELS.has(name)) return 'model';
  if (LAYERS.has(name)) return 'layer';
  if (OTHERS.has(name)) return 'other';
  return OPERATIONS.has(name) ? 'operation' : 'layer';
}

/** @param {string} name */
const isKnown = (name) => [LAYERS, MODELS, OPERATIONS, OTHERS].some((names) => names.has(name));

/** @param {Class['kind']} kind */
const moduleOf = (kind) => ({ layer: 'keras.layers', model: 'keras.models', operation: 'keras.ops', other: undefined })[kind];

/** @param {LooseMap} object with a class_name @returns {Class | null} null where it has none */
export function classOf(object) {
  const written = object.get('class_name');
  if (typeof written !== 'string' || !written) return null;
  const module = object.get('module');
  const stated = object.get('registered_name');
  const registered = typeof stated === 'string' && stated ? stated : written;
  const name = withoutPackage(written);
  const own = typeof module === 'string' ? KERAS_MODULE.test(module) : module === undefined && isKnown(name);
  const packaged = registered.includes('>') && !inKerasPackage(registered);
  const custom = !own || packaged;
  const kind = custom ? 'layer' : kindOf(name, typeof module === 'string' ? module : null);
  const shown = custom ? (typeof module === 'string' && module ? module : undefined) : moduleOf(kind);
  return { name, module: shown, custom, registered, kind };
}

/** Whether an object in a config is a layer: one of Keras's, or a custom class with the config of a layer. @param {LooseMap} object */
export function isLayer(object) {
  const own = classOf(object);
  const config = object.get('config');
  if (!own || !isMap(config)) return false;
  if (!own.custom) return own.kind === 'layer' || own.kind === 'model';
  return typeof config.get('name') === 'string' && (config.has('trainable') || config.has('dtype'));
}
