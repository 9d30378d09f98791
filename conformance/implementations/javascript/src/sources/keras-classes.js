/** What a serialised object of Keras is: one of Keras's own, or custom (section 13.8). */
import { KINDS } from './keras-names.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('./loose-json.js').Loose} Loose */

/**
 * @typedef {object} Class
 * @property {string} name  without its package
 * @property {string | null} module  as the config names it
 * @property {string | null} shown  the module as the topology has it
 * @property {boolean} custom
 * @property {string | null} registered  what it is registered as, where that is not its name
 * @property {string} kind  of keras_names.json; `custom` where nothing tells what it is
 */

/** @type {Map<string, Set<string>>} */
const BY_NAME = new Map();
for (const [kind, names] of Object.entries(KINDS)) {
  for (const name of names) BY_NAME.set(name, (BY_NAME.get(name) ?? new Set()).add(kind));
}
/** @type {Set<string>} */
const NONE = new Set();
const HOME = /^(?:keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras|tensorflow_core\.keras)(?:\.|$)/;
/** Segments of modules that tell the kind of what is in them. @type {Record<string, string>} */
const PACKAGES = {
  layers: 'layer', models: 'model', ops: 'operation', initializers: 'initializer', losses: 'loss',
  metrics: 'metric', optimizers: 'optimizer', regularizers: 'regularizer', constraints: 'constraint',
};
/** @type {Record<string, string>} */
const SHOWN = { layer: 'keras.layers', model: 'keras.models', operation: 'keras.ops' };
const FUNCTIONS = ['activation', 'constraint', 'initializer', 'loss', 'metric', 'op_function', 'regularizer'];
const LAYER_SLOTS = new Set(['layer', 'forward_layer', 'backward_layer', 'cell', 'cells', 'layers', 'branches']);
const GRAPH_KINDS = new Set(['layer', 'model', 'operation']);

/** The kinds of what Keras has under a name. @param {string} name */
export const kindsOf = (name) => BY_NAME.get(name) ?? NONE;

/** Whether a module is one of Keras's own. @param {string} module */
export const isHome = (module) => HOME.test(module);

/** The name behind the package that it is registered in. @param {string} name */
export const withoutPackage = (name) => name.slice(name.lastIndexOf('>') + 1) || name;

/** @param {Loose | undefined} value @returns {string | null} */
export const textOf = (value) => (typeof value === 'string' && value ? value : null);

/** Whether Keras resolves a name as a function for modelling. @param {string} name @param {string | null} module */
export function isFunction(name, module) {
  if (module !== null && module !== 'builtins' && !isHome(module)) return false;
  const found = FUNCTIONS.filter((kind) => kindsOf(name).has(kind) && !(module === 'builtins' && kind === 'op_function'));
  return !module?.includes('.utils') && found.length > 0;
}

/** Whether a value has the form of a serialised object. @param {Loose | undefined} value @returns {value is LooseMap} */
export const isObject = (value) => isMap(value) && value.has('config') && textOf(value.get('class_name')) !== null;

/** @param {string} name @param {string | null} module @param {Loose | undefined} config */
function ownKind(name, module, config) {
  const kinds = kindsOf(name);
  for (const segment of (module ?? '').split('.')) if (kinds.has(PACKAGES[segment])) return PACKAGES[segment];
  const named = kinds.size < 2 || (isMap(config) && config.has('name'));
  const found = [...kinds].filter((kind) => named || kind !== 'layer').sort();
  return ['model', 'layer', ...found].find((kind) => found.includes(kind)) ?? 'other';
}

/** @param {LooseMap} object @param {string} slot */
function customKind(object, slot) {
  const config = object.get('config');
  const marked = LAYER_SLOTS.has(slot) || object.has('inbound_nodes') || (isMap(config) && config.has('trainable'));
  return marked || graphForm(object) ? 'layer' : 'custom';
}

/** The class of a serialised object. @param {LooseMap} object @param {string} [slot] the key under which it stands @returns {Class | null} null where it has none */
export function classOf(object, slot = '') {
  const written = textOf(object.get('class_name'));
  if (written === null) return null;
  const module = textOf(object.get('module'));
  const registered = textOf(object.get('registered_name')) ?? (written.includes('>') ? written : null);
  const name = withoutPackage(written);
  const own = kindsOf(name).size > 0 && (module === null ? !object.has('module') : isHome(module));
  const custom = Boolean(registered?.includes('>')) || !own;
  const kind = custom ? customKind(object, slot) : ownKind(name, module, object.get('config'));
  return { name, module, custom, kind, shown: custom ? module : SHOWN[kind] ?? module, registered: registered === name ? null : registered };
}

/** Whether an object in a config is a layer, a model or an operation. @param {LooseMap} object @param {string} slot */
export const isLayer = (object, slot) => isObject(object) && GRAPH_KINDS.has(classOf(object, slot)?.kind ?? '');

/** The form of a serialised object whose graph its config tells. @param {LooseMap} object @returns {'sequential' | 'functional' | null} */
export function graphForm(object) {
  const config = object.get('config');
  if (Array.isArray(config)) return config.length && config.every(isObject) ? 'sequential' : null;
  if (!isMap(config)) return null;
  if (['layers', 'input_layers', 'output_layers'].every((key) => config.has(key))) return 'functional';
  const named = withoutPackage(textOf(object.get('class_name')) ?? '') === 'Sequential';
  return named || (config.has('layers') && config.has('build_input_shape')) ? 'sequential' : null;
}
