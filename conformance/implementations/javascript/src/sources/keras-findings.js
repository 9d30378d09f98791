/** What a Keras config asks of who loads it: classes, custom objects (section 9.2) and hazards (section 8.1). */
import { classOf, withoutPackage } from './keras-classes.js';
import { ACTIVATIONS, LAYERS, MODELS, OTHERS } from './keras-names.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./keras-classes.js').Class} Class */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {{ layer: string, kind: string, detail: string }} Hazard */

const MOST_HAZARDS = 100;
const ACTIVATION_KEY = /^(?:.*_)?activation$/;
const PATH_KEY = /^(?:vocabulary|idf_weights|filepath|file_path|path|saved_model|url)$/;
/** Operations of TensorFlow that read or write outside the model. */
const OUTSIDE = /(?:^|[./])(?:io[./]|raw_ops[./].*(?:Read|Write|File|Save|Restore)|(?:py_func|numpy_function|py_function|load_op_library|print|Print|ReadFile|WriteFile|PyFunc|EagerPyFunc|MatchingFiles|SaveV2|RestoreV2)$)/;

export class Findings {
  constructor() {
    /** @type {Set<string>} as requirements.layers has them */
    this.layers = new Set();
    /** @type {Map<string, { registeredName: string, className: string, module?: string }>} */
    this.custom = new Map();
    /** @type {Hazard[]} */
    this.hazards = [];
    /** The Lambda layer whose config is looked at: its bytecode is no hazard besides. @type {string | null} */
    this.inLambda = null;
  }

  /** @param {string} layer @param {string} kind @param {string} detail */
  hazard(layer, kind, detail) {
    this.hazards.push({ layer, kind, detail });
  }

  /** @param {string} registeredName @param {string} className @param {Loose | undefined} module */
  addCustom(registeredName, className, module) {
    const entry = { registeredName, className, ...(typeof module === 'string' && module ? { module } : {}) };
    this.custom.set(JSON.stringify(entry), entry);
  }

  /** A layer, an operation or a model. @param {Class | null} own @param {LooseMap} outer @param {string} layer */
  layer(own, outer, layer) {
    if (!own) return;
    if (own.custom) this.customClass(own, outer, layer);
    else this.layers.add(own.kind === 'operation' ? `ops.${own.name}` : own.name);
    const config = outer.get('config');
    const members = isMap(config) ? config : new Map();
    if (own.custom) return;
    this.inLambda = own.name === 'Lambda' ? layer : null;
    if (own.name === 'Lambda') this.hazard(layer, 'lambda', 'Lambda');
    if (['TorchModuleWrapper', 'FlaxLayer', 'JaxLayer'].includes(own.name)) this.hazard(layer, 'pickle', own.name);
    if (own.name === 'TFSMLayer') this.hazard(layer, 'path', String(members.get('filepath') ?? ''));
    if (own.name === 'TensorFlowOpLayer') this.hazard(layer, 'operation', own.name);
    const called = members.get('function') ?? members.get('symbol');
    if (own.name === 'TFOpLambda' && typeof called === 'string' && OUTSIDE.test(called)) this.hazard(layer, 'operation', called);
  }

  /** @param {Class} own @param {LooseMap} outer @param {string} layer */
  customClass(own, outer, layer) {
    this.addCustom(own.registered, own.name, outer.get('module'));
    if (own.module && own.module !== 'builtins') this.hazard(layer, 'module', `${own.module}.${own.name}`);
    if (LAYERS.has(own.registered) || MODELS.has(own.registered)) this.hazard(layer, 'registered-name', own.registered);
  }

  /** A serialised object that is no layer. @param {LooseMap} value @param {string} layer */
  object(value, layer) {
    const name = value.get('class_name');
    if (name === '__lambda__') {
      if (this.inLambda !== layer) this.hazard(layer, 'lambda', 'bytecode');
      return;
    }
    const config = value.get('config');
    if (name === 'function' || name === 'builtin_function_or_method') {
      const called = typeof config === 'string' ? config : String(value.get('registered_name') ?? '');
      const module = value.get('module');
      if (!called) return;
      this.addCustom(called, withoutPackage(called), module === 'builtins' ? undefined : module);
      this.hazard(layer, 'function', typeof module === 'string' ? `${module}.${called}` : called);
      return;
    }
    const own = config === undefined ? null : classOf(value);
    if (!own) return;
    if (own.custom) this.customClass(own, value, layer);
  }

  /** A member of a config that names a function or a file. @param {string} key @param {Loose} value @param {string} layer */
  member(key, value, layer) {
    const code = isMap(value) && !value.has('class_name') ? value.get('value') : undefined;
    if (ACTIVATION_KEY.test(key) && Array.isArray(code) && typeof code[0] === 'string') this.hazard(layer, 'lambda', 'bytecode');
    if (typeof value !== 'string' || !value) return;
    if (ACTIVATION_KEY.test(key) && !ACTIVATIONS.has(value) && !LAYERS.has(value) && !OTHERS.has(value)) {
      this.addCustom(value, withoutPackage(value), undefined);
    }
    if (PATH_KEY.test(key) && /[/\\.:]/.test(value)) this.hazard(layer, 'path', value);
  }

  /** All objects in a value. @param {Loose} value */
  walk(value) {
    if (Array.isArray(value)) for (const item of value) this.walk(item);
    if (!isMap(value)) return;
    if (typeof value.get('class_name') === 'string') this.object(value, '');
    for (const [key, member] of value) {
      this.member(key, member, '');
      this.walk(member);
    }
  }

  /** @returns {Hazard[]} the first 100, and how many more there are */
  get listed() {
    const more = this.hazards.length - MOST_HAZARDS;
    if (more <= 0) return this.hazards;
    return [...this.hazards.slice(0, MOST_HAZARDS), { layer: '', kind: 'more', detail: String(more) }];
  }
}
