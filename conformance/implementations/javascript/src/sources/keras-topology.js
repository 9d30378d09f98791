/**
 * The topology of a Keras config (section 8.2): layers and models as records, calls as nodes.
 *
 *     const topology = new Topology(value, 'keras3', 'net.json').document();
 */
import { refuse } from '../findings.js';
import { canonicalJson } from '../json.js';
import { utf8Length } from '../text.js';
import { callOf, endsOf, offsetsOf } from './keras-calls.js';
import { classOf, graphForm, isLayer, isObject, textOf } from './keras-classes.js';
import { numberShared, takeMembers, takeValue } from './keras-values.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./keras-calls.js').Call} Call */
/** @typedef {import('./keras-calls.js').Reference} Reference */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('../json.js').Json} Json */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {'sequential' | 'functional' | 'subclassed' | 'layer'} Form */
/** @typedef {'keras1' | 'keras2' | 'keras3'} Dialect */
/** @typedef {{ name: string, outer: LooseMap }} Given  A layer of a model, with its name. */

const VERSION = '1.0-draft';
const MOST_LAYERS = 2 ** 14;
const DEEPEST_LAYER = 64;
const MOST_CALLS = 2 ** 16;
const LONGEST_NAME = 4096;
const LONGEST_PATH = 1024;
const GRAPH = new Set(['layers', 'input_layers', 'output_layers']);

/** The name of a dtype or a policy. @param {Loose | undefined} dtype @returns {string | null} */
function dtypeName(dtype) {
  if (typeof dtype === 'string') return dtype;
  const config = isMap(dtype) && isObject(dtype) ? dtype.get('config') : undefined;
  if (!isMap(config)) return null;
  const [mode, source, name] = ['mode', 'source_name', 'name'].map((key) => config.get(key));
  if (typeof mode === 'string' && typeof source === 'string') return `${mode}_from_${source}`;
  return typeof name === 'string' ? name : null;
}

/** @param {LooseMap} config */
const shapeOf = (config) => (config.has('batch_shape') ? config.get('batch_shape') : config.get('batch_input_shape')) ?? null;

/** A layer's name: beside its class in Functional models, else in its config. @param {LooseMap} layer */
function nameOf(layer) {
  const config = layer.get('config');
  return textOf(layer.get('name')) ?? textOf(isMap(config) ? config.get('name') : undefined);
}

export class Topology {
  /** @param {Loose} value of the config @param {Dialect} dialect @param {string} place @param {boolean} model whether the source is a model */
  constructor(value, dialect, place, model) {
    this.value = value;
    this.dialect = dialect;
    this.place = place;
    this.model = model;
    this.shared = numberShared(value);
    this.layers = 0;
    this.calls = 0;
  }

  /** @param {string} rule @param {string} expected @param {unknown} found @returns {never} */
  fail(rule, expected, found) {
    return refuse(rule, this.place, expected, found);
  }

  count(most = MOST_CALLS) {
    if (++this.calls > most) this.fail('KCF-02', `at most ${most} calls, tensors and tagged values`, 'more');
  }

  /** @returns {{ document: JsonObject, form: Form, config: LooseMap | null }} */
  document() {
    const outer = this.outermost();
    const form = graphForm(outer) ?? this.formless(outer);
    const config = outer.get('config');
    const record = this.record(outer, '', 0);
    return { document: { ...record, topology: VERSION, dialect: this.dialect, form }, form, config: isMap(config) ? config : null };
  }

  /** The config as a serialised object; the bare config of a model has the class of its form. @returns {LooseMap} */
  outermost() {
    const { value } = this;
    if (isObject(value)) return value;
    const bare = (/** @type {string} */ name) => /** @type {LooseMap} */ (new Map(/** @type {[string, Loose][]} */ ([['class_name', name], ['config', value]])));
    const form = graphForm(bare(this.listsLayers() ? 'Sequential' : ''));
    const named = isMap(value) && typeof value.get('name') === 'string';
    const marked = isMap(value) && (value.has('dtype') || typeof value.get('trainable') === 'boolean');
    if (Array.isArray(value) ? !form : !(named && (form || marked))) this.fail('KCF-01', 'a config of a model or a layer', isMap(value) ? [...value.keys()].slice(0, 5) : 'another value');
    return bare(form ? (form === 'functional' ? 'Functional' : 'Sequential') : '');
  }

  /** Whether the value is the bare config of a model. */
  listsLayers() {
    const layers = isMap(this.value) ? this.value.get('layers') : undefined;
    return Array.isArray(layers) && layers.every(isObject);
  }

  /** @param {LooseMap} outer @returns {Form} */
  formless(outer) {
    const own = classOf(outer);
    if (!own) return 'layer';
    if (!isMap(outer.get('config'))) this.fail('KCF-01', 'a class with its config', 'another value');
    if (!own.custom && !['model', 'layer', 'operation'].includes(own.kind)) this.fail('KCF-01', 'a layer or a model', own.name);
    const beside = ['keras_version', 'backend', 'compile_config'].some((name) => outer.has(name));
    return own.kind === 'model' || this.model || (own.custom && beside) ? 'subclassed' : 'layer';
  }

  /** What a layer, an operation or a model is. @param {LooseMap} outer @param {string} path @param {number} depth @param {string} [slot] the key under which it stands @returns {JsonObject} */
  record(outer, path, depth, slot = '') {
    if (++this.layers > MOST_LAYERS) this.fail('KCF-02', `at most ${MOST_LAYERS} layers`, 'more');
    if (depth > DEEPEST_LAYER) this.fail('KCF-02', `layers at most ${DEEPEST_LAYER} deep`, 'more');
    if ([...path].length > LONGEST_PATH) this.fail('KCF-02', `paths of at most ${LONGEST_PATH} characters`, 'a longer one');
    const own = classOf(outer, slot);
    const config = outer.get('config') ?? new Map();
    const form = graphForm(outer);
    if (!form && !isMap(config)) this.fail('KCF-01', 'a config object', 'another value');
    const members = isMap(config) ? config : new Map();
    const name = members.get('name');
    if (typeof name === 'string' && utf8Length(name) > LONGEST_NAME) this.fail('KCF-02', `names of at most ${LONGEST_NAME} bytes`, 'a longer one');
    /** @type {JsonObject[]} */
    const sublayers = [];
    const build = outer.get('build_config') ?? null;
    const shape = shapeOf(members);
    const dtype = dtypeName(members.get('dtype'));
    const shared = this.shared.get(outer.get('shared_object_id') ?? null);
    const written = takeMembers(members, this.context(sublayers, path, depth), form ? GRAPH : undefined);
    return {
      path,
      ...(typeof name === 'string' ? { name } : {}),
      ...(own ? { class: own.name, ...(own.shown ? { module: own.shown } : {}) } : {}),
      custom: own?.custom ?? false,
      ...(own?.custom && own.registered ? { registered_name: own.registered } : {}),
      ...(typeof members.get('trainable') === 'boolean' ? { trainable: members.get('trainable') } : {}),
      ...(dtype === null ? {} : { dtype }),
      ...(isMap(shape) || Array.isArray(shape) ? { batch_shape: takeValue(shape, this.plain) } : {}),
      config: written,
      ...(build === null ? {} : { build_config: takeValue(build, this.plain) }),
      ...(shared === undefined ? {} : { shared }),
      ...(sublayers.length ? { sublayers } : {}),
      ...(form ? { form, ...this.graph(outer, form, path, depth) } : {}),
    };
  }

  /** @returns {import('./keras-values.js').Context} for values that have no layers in them */
  get plain() {
    return { shared: this.shared, tagged: () => this.count() };
  }

  /** @param {JsonObject[]} sublayers @param {string} path @param {number} depth @returns {import('./keras-values.js').Context} */
  context(sublayers, path, depth) {
    return {
      ...this.plain,
      special: (value, slot) => {
        if (!isMap(value) || !isLayer(value, slot)) return undefined;
        const position = sublayers.length;
        /** @type {JsonObject} */
        const place = {};
        sublayers.push(place);
        const name = nameOf(value) ?? slot;
        Object.assign(place, this.record(value, path ? `${path}/${name}` : name, depth + 1, slot), { name, slot });
        return { $layer: position };
      },
    };
  }

  /** @param {LooseMap} outer @param {'sequential' | 'functional'} form @param {string} path @param {number} depth @returns {JsonObject} */
  graph(outer, form, path, depth) {
    const config = outer.get('config');
    const listed = isMap(config) ? config.get('layers') : config;
    if (!Array.isArray(listed)) return this.fail('KCF-01', 'a list of layers', 'another value');
    const given = listed.map((layer, i) => this.given(layer, form, i));
    const layers = given.map(({ outer: layer, name }) => ({ ...this.record(layer, path ? `${path}/${name}` : name, depth + 1), name }));
    return form === 'sequential' ? this.chain(outer, given, layers, path) : this.calledLayers(/** @type {LooseMap} */ (config), given, layers);
  }

  /** @param {Loose} layer @param {'sequential' | 'functional'} form @param {number} position @returns {Given} */
  given(layer, form, position) {
    if (!isMap(layer) || !isObject(layer)) return this.fail('KCF-01', 'a serialised layer', 'another value');
    const name = nameOf(layer) ?? (form === 'sequential' ? `${String(layer.get('class_name')).toLowerCase()}_${position}` : null);
    return name === null ? this.fail('KCF-01', 'a layer with a name', 'none') : { name, outer: layer };
  }

  /** A Sequential model: each layer is called on what the one before gives. @param {LooseMap} outer @param {Given[]} given @param {JsonObject[]} layers @param {string} path @returns {JsonObject} */
  chain(outer, given, layers, path) {
    if (!layers.length) return { layers, nodes: [], inputs: [], outputs: [], input_structure: null, output_structure: null };
    const all = layers[0].class === 'InputLayer' ? layers : [this.implied(outer, layers, path), ...layers];
    /** @type {Map<string, { layer: JsonObject, calls: number }>} */
    const once = new Map();
    /** @type {Reference[]} */
    let last = [];
    const nodes = all.map((layer) => {
      this.count();
      const name = String(layer.name);
      const known = once.get(name) ?? { layer, calls: 0 };
      once.set(name, known);
      if (known.layer !== layer && canonicalJson(/** @type {Json} */ (known.layer.config)) !== canonicalJson(/** @type {Json} */ (layer.config))) this.fail('KCF-01', 'layers with names of their own', name);
      const node = { layer: name, node: known.calls++, inputs: last, args: last.length ? [{ $tensor: 0 }] : [], kwargs: {} };
      last = [{ layer: name, node: node.node, tensor: 0 }];
      return node;
    });
    return {
      layers: [...once.values()].map(({ layer }) => layer), nodes: /** @type {any} */ (nodes),
      inputs: [{ layer: String(all[0].name), node: 0, tensor: 0 }], outputs: last,
      input_structure: { $tensor: 0 }, output_structure: { $tensor: 0 },
    };
  }

  /** The InputLayer that a Sequential model leaves out. @param {LooseMap} outer @param {JsonObject[]} layers @param {string} path @returns {JsonObject} */
  implied(outer, layers, path) {
    const names = new Set(layers.map(({ name }) => name));
    let name = `${layers[0].name}_input`;
    while (names.has(name)) name += '_';
    const config = outer.get('config');
    const built = isMap(config) ? config.get('build_input_shape') : null;
    let [first] = layers;
    while (first.form === 'sequential' && /** @type {JsonObject[]} */ (first.layers).length) [first] = /** @type {JsonObject[]} */ (first.layers);
    const shape = first.batch_shape ?? (isMap(built) || Array.isArray(built) ? takeValue(built, this.plain) : null);
    return {
      path: path ? `${path}/${name}` : name, name, class: 'InputLayer', module: 'keras.layers', custom: false, implied: true,
      ...(shape === null ? {} : { batch_shape: shape }), config: {},
    };
  }

  /** A Functional model. @param {LooseMap} config @param {Given[]} given @param {JsonObject[]} layers @returns {JsonObject} */
  calledLayers(config, given, layers) {
    const bad = (/** @type {string} */ expected, /** @type {unknown} */ found) => this.fail('KCF-01', expected, found);
    if (new Set(given.map(({ name }) => name)).size !== given.length) bad('layers of different names', given.map(({ name }) => name).slice(0, 20));
    const written = given.map(({ outer }) => {
      const calls = outer.has('inbound_nodes') ? outer.get('inbound_nodes') : [];
      return Array.isArray(calls) ? calls : bad('a list of calls', 'another value');
    });
    /** @type {import('./keras-calls.js').Scope} */
    const scope = {
      ...offsetsOf(layers, written, [config.get('input_layers') ?? null, config.get('output_layers') ?? null]),
      layers: new Map(layers.map(({ name }, i) => [String(name), { calls: Math.max(1, written[i].length), isInput: !written[i].length }])),
      plain: this.plain, bad, dangling: (expected, found) => this.fail('KCF-03', expected, found),
    };
    const calls = written.map((own, i) => {
      if (own.length) return own.map((call) => callOf(call, String(layers[i].class), scope));
      this.count();
      return [{ inputs: [], args: [], kwargs: {} }];
    });
    const unnest = this.dialect !== 'keras3';
    const inputs = endsOf(config.get('input_layers') ?? null, unnest, scope);
    const outputs = endsOf(config.get('output_layers') ?? null, unnest, scope);
    return {
      layers, nodes: this.ordered(given, calls),
      inputs: inputs.tensors, outputs: outputs.tensors, input_structure: inputs.structure, output_structure: outputs.structure,
    };
  }

  /** Nodes, each after those that feed it, else in the order of the config (KCF-03). @param {Given[]} given @param {Call[][]} calls @returns {JsonObject[]} */
  ordered(given, calls) {
    /** @type {Map<string, { layer: string, node: number, call: Call, state: number }>} */
    const all = new Map();
    given.forEach(({ name }, i) => calls[i].forEach((call, node) => {
      this.count();
      all.set(JSON.stringify([name, node]), { layer: name, node, call, state: 0 });
    }));
    /** @type {JsonObject[]} */
    const nodes = [];
    for (const start of all.values()) {
      const stack = [start];
      while (stack.length) {
        const top = stack[stack.length - 1];
        const waits = top.state === 0 ? top.call.inputs.map(({ layer, node }) => /** @type {typeof top} */ (all.get(JSON.stringify([layer, node])))).filter(({ state }) => state < 2) : [];
        if (waits.some(({ state }) => state === 1)) this.fail('KCF-03', 'calls that do not feed themselves', top.layer);
        if (top.state === 0) {
          top.state = 1;
          stack.push(...waits.reverse());
          continue;
        }
        stack.pop();
        if (top.state === 1) {
          top.state = 2;
          nodes.push(/** @type {any} */ ({ layer: top.layer, node: top.node, ...top.call }));
        }
      }
    }
    return nodes;
  }
}
