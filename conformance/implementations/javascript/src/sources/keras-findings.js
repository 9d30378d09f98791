/**
 * What a Keras config asks of who loads it: classes, custom objects (section 9.2) and hazards (section 8.1).
 *
 *     const { layers, custom, listed } = new Findings(value);
 */
import { classOf, isFunction, isHome, isObject, kindsOf, textOf, withoutPackage } from './keras-classes.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./keras-classes.js').Class} Class */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {{ layer: string, kind: string, detail: string }} Hazard */

const MOST_HAZARDS = 100;
const MOST_CHARACTERS = 200;
/** Objects that stand for a value. */
const MARKERS = new Set([
  '__keras_tensor__', '__tensor__', '__numpy__', '__bytes__', '__slice__', '__ellipsis__',
  '__tuple__', '__typespec__', '__lambda__', 'TensorShape', 'TypeSpec', 'function',
]);
/** Kinds of what stands in requirements.layers, and the prefix there. @type {Record<string, string>} */
const GRAPH_CLASSES = { layer: '', model: '', operation: 'ops.' };
const PICKLES = new Set(['TorchModuleWrapper', 'FlaxLayer', 'JaxLayer']);
const PATH_KEYS = new Set(['filepath', 'vocabulary', 'model_path', 'file_path', 'idf_weights']);
const URL = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//;
/** Operations of TensorFlow that read or write outside the model. */
const OUTSIDE = /^(?:io|raw_ops|saved_model|py_func|numpy_function|load_|sysconfig|data\.)/;
const FUNCTION_KEY = /(?:^|_)(?:activation|initializer|regularizer|constraint)$|^(?:init|inner_init|inner_activation)$/;
const COMPILED = ['loss', 'metrics', 'weighted_metrics'];
const BYTECODE = 'bytecode of a Python lambda';

/** @param {string} text */
function shortened(text) {
  const characters = [...text];
  return characters.length > MOST_CHARACTERS ? `${characters.slice(0, MOST_CHARACTERS - 1).join('')}…` : text;
}

export class Findings {
  /** @param {Loose} value of the config */
  constructor(value) {
    /** @type {Set<string>} as requirements.layers has them */
    this.layers = new Set();
    /** @type {Map<string, { registeredName: string, className: string, module?: string }>} */
    this.custom = new Map();
    /** @type {Map<string, Hazard>} */
    this.hazards = new Map();
    this.walk(value, '', '');
  }

  /** @param {string} layer @param {string} kind @param {string} detail */
  hazard(layer, kind, detail) {
    const hazard = { layer, kind, detail: shortened(detail) };
    this.hazards.set(JSON.stringify(hazard), hazard);
  }

  /** @param {string} registeredName @param {string} className @param {string | null} module */
  addCustom(registeredName, className, module) {
    const entry = { registeredName, className, ...(module ? { module } : {}) };
    this.custom.set(JSON.stringify(entry), entry);
  }

  /** @param {Loose} value @param {string} slot the key above @param {string} layer that it belongs to */
  walk(value, slot, layer) {
    if (Array.isArray(value)) for (const item of value) this.walk(item, slot, layer);
    if (!isMap(value)) return;
    const config = value.get('config');
    const name = isObject(value) && isMap(config) && config.has('trainable') ? config.get('name') : undefined;
    const own = typeof name === 'string' ? shortened(name) || layer : layer;
    this.place(value, slot, own);
    for (const [key, member] of value) this.walk(member, key, own);
  }

  /** @param {LooseMap} value @param {string} slot @param {string} layer */
  place(value, slot, layer) {
    const name = value.get('class_name');
    const own = isObject(value) && !MARKERS.has(String(name)) ? /** @type {Class} */ (classOf(value, slot)) : null;
    if (name === '__lambda__') this.hazard(layer, 'lambda', BYTECODE);
    if (name === 'function') this.functionHazard(value, layer);
    if (own) this.classHazards(own, value, layer);
    this.memberHazards(value, layer);
    this.functions(value, slot);
    if (own?.custom) this.addCustom(own.registered ?? own.name, own.name, own.module);
    else if (own && own.kind in GRAPH_CLASSES) this.layers.add(GRAPH_CLASSES[own.kind] + own.name);
  }

  /** @param {LooseMap} value @param {string} layer */
  functionHazard(value, layer) {
    const name = textOf(value.get('config')) ?? '';
    const module = textOf(value.get('module')) ?? 'builtins';
    if (!(name.includes('>') && module === 'builtins') && !isFunction(name, module)) this.hazard(layer, 'function', `${module}.${name}`);
  }

  /** @param {Class} own @param {LooseMap} value @param {string} layer */
  classHazards({ name, module, custom, registered }, value, layer) {
    if (module && !isHome(module)) this.hazard(layer, 'module', `${module}.${name}`);
    else if (module && !kindsOf(name).size) this.hazard(layer, 'function', `${module}.${name}`);
    else if (module && registered) this.hazard(layer, 'registered-name', `${registered} for ${name}`);
    if (custom) return;
    if (PICKLES.has(name)) this.hazard(layer, 'pickle', `a ${name} holds a serialised foreign module`);
    if (name === 'Lambda') this.hazard(layer, 'lambda', 'a Lambda layer calls a function that the config names or holds');
    const config = value.get('config');
    const called = isMap(config) ? config.get('function') : undefined;
    if (name === 'TFOpLambda' && typeof called === 'string' && OUTSIDE.test(called)) this.hazard(layer, 'operation', `tf.${called}`);
    if (name === 'TensorFlowOpLayer') this.hazard(layer, 'operation', 'a serialised graph node');
  }

  /** @param {LooseMap} value @param {string} layer */
  memberHazards(value, layer) {
    if (value.get('function_type') === 'lambda' || value.get('output_shape_type') === 'lambda') this.hazard(layer, 'lambda', BYTECODE);
    for (const [key, item] of value) {
      if (typeof item === 'string' && item && (PATH_KEYS.has(key) || URL.test(item))) this.hazard(layer, 'path', `${key}: ${item}`);
    }
  }

  /** Functions that Keras does not resolve. @param {LooseMap} value @param {string} slot */
  functions(value, slot) {
    const module = textOf(value.get('module'));
    const config = value.get('config');
    if (value.get('class_name') === 'function' && typeof config === 'string' && !isFunction(config, module ?? '__main__')) {
      this.addCustom(config, withoutPackage(config), module);
    }
    for (const name of functionNames(value, slot)) {
      if (!kindsOf(name).size) this.addCustom(name, withoutPackage(name), null);
    }
    const called = value.get('function');
    if (value.get('function_type') === 'function' && typeof called === 'string') this.addCustom(called, called, module);
  }

  /** @returns {Hazard[]} the first 100, and how many more there are */
  get listed() {
    const all = [...this.hazards.values()];
    const more = all.length - MOST_HAZARDS;
    return more <= 0 ? all : [...all.slice(0, MOST_HAZARDS), { layer: '', kind: 'more', detail: `${more} more` }];
  }
}

/** The texts that stand where Keras looks a function up by name. @param {LooseMap} value @param {string} slot @returns {Generator<string>} */
function* functionNames(value, slot) {
  for (const [key, item] of value) if (typeof item === 'string' && item && FUNCTION_KEY.test(key)) yield item;
  if (slot === 'compile_config') for (const key of COMPILED) yield* textsIn(value.get(key));
}

/** @param {Loose | undefined} value @returns {Generator<string>} */
function* textsIn(value) {
  if (typeof value === 'string' && value) yield value;
  if (Array.isArray(value)) for (const item of value) yield* textsIn(item);
  if (isMap(value) && !value.has('class_name')) for (const item of value.values()) yield* textsIn(item);
}
