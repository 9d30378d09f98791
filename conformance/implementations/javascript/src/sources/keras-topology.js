/**
 * The topology of a Keras config (section 8.2): layers and models as records, calls as nodes.
 *
 *     const topology = new Topology(value, 'keras3', 'net.json').document();
 */
import { refuse } from '../findings.js';
import { utf8Length } from '../text.js';
import { callsOf, endsOf } from './keras-calls.js';
import { classOf } from './keras-classes.js';
import { Findings } from './keras-findings.js';
import { numberShared, takeMembers, takeValue } from './keras-values.js';
import { isMap } from './loose-json.js';
/** @typedef {import('./keras-calls.js').Call} Call */
/** @typedef {import('./keras-calls.js').Reference} Reference */
/** @typedef {import('./loose-json.js').Loose} Loose */
/** @typedef {import('./loose-json.js').LooseArray} LooseArray */
/** @typedef {import('./loose-json.js').LooseMap} LooseMap */
/** @typedef {import('../json.js').Json} Json */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {'sequential' | 'functional' | 'subclassed' | 'layer'} Form */
/** @typedef {'keras1' | 'keras2' | 'keras3'} Dialect */
/** @typedef {{ name: string, config: LooseMap | LooseArray, outer: LooseMap }} Given  A layer of a model, with its name. */

const VERSION = '1.0-draft';
const MOST_LAYERS = 2 ** 14;
const DEEPEST_LAYER = 64;
const MOST_CALLS = 2 ** 16;
const LONGEST_NAME = 4096;
const LONGEST_PATH = 1024;
const GRAPH = new Set(['layers', 'input_layers', 'output_layers']);

/** @param {Loose | undefined} config @returns {boolean} */
const isFunctional = (config) => isMap(config) && config.has('layers') && config.has('input_layers') && config.has('output_layers');

/** The form of a serialised object whose graph its config tells. @param {LooseMap} outer @returns {'sequential' | 'functional' | null} */
export function graphForm(outer) {
  const config = outer.get('config');
  if (isFunctional(config)) return 'functional';
  const own = classOf(outer);
  if (Array.isArray(config)) return own?.name === 'Sequential' || config.every((item) => isMap(item) && item.has('class_name')) ? 'sequential' : null;
  if (!isMap(config) || !config.has('layers')) return null;
  return own?.name === 'Sequential' || config.has('build_input_shape') ? 'sequential' : null;
}

/** The name of a dtype or a policy. @param {Loose | undefined} dtype @returns {string | null} */
function dtypeName(dtype) {
  if (typeof dtype === 'string') return dtype || null;
  const config = isMap(dtype) ? dtype.get('config') : undefined;
  if (!isMap(config)) return null;
  const name = config.get('name');
  if (typeof name === 'string') return name;
  const [mode, source] = [config.get('mode'), config.get('source_name')];
  if (typeof mode === 'string' && typeof source === 'string') return `${mode}_from_${source}`;
  return dtypeName(config.get('default_policy'));
}

/** @param {LooseMap} config */
const shapeOf = (config) => config.get('batch_shape') ?? config.get('batch_input_shape') ?? null;

export class Topology {
  /** @param {Loose} value of the config @param {Dialect} dialect @param {string} place @param {boolean} model whether the source is a model */
  constructor(value, dialect, place, model) {
    this.value = value;
    this.dialect = dialect;
    this.place = place;
    this.model = model;
    this.shared = numberShared(value);
    this.findings = new Findings();
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
    const record = this.record(outer, '', 1);
    return { document: { ...record, topology: VERSION, dialect: this.dialect, form }, form, config: isMap(config) ? config : null };
  }

  /** The config as a serialised object, without a class where it is the config of one only. @returns {LooseMap} */
  outermost() {
    const { value } = this;
    if (Array.isArray(value) && value.length && value.every((item) => isMap(item) && item.has('class_name'))) return new Map([['config', value]]);
    if (!isMap(value)) return this.fail('KCF-01', 'a serialised model or layer', 'another value');
    if (value.has('class_name')) {
      const config = value.get('config');
      if (!classOf(value) || !(isMap(config) || Array.isArray(config))) this.fail('KCF-01', 'a class with its config', 'another value');
      return value;
    }
    const bare = isFunctional(value) || (value.has('layers') && value.has('name')) || value.has('build_input_shape');
    if (!bare && !(typeof value.get('name') === 'string' && (value.has('trainable') || value.has('dtype')))) this.fail('KCF-01', 'a config of a model or a layer', [...value.keys()].slice(0, 5));
    return new Map([['config', value]]);
  }

  /** @param {LooseMap} outer @returns {Form} */
  formless(outer) {
    const own = classOf(outer);
    const config = outer.get('config');
    if (!own) return isMap(config) && Array.isArray(config.get('layers')) ? 'sequential' : 'layer';
    const beside = ['keras_version', 'backend', 'compile_config'].some((name) => outer.has(name));
    return own.kind === 'model' || (own.custom && (this.model || beside)) ? 'subclassed' : 'layer';
  }

  /** What a layer, an operation or a model is. @param {LooseMap} outer @param {string} path @param {number} depth @returns {JsonObject} */
  record(outer, path, depth) {
    if (++this.layers > MOST_LAYERS) this.fail('KCF-02', `at most ${MOST_LAYERS} layers`, 'more');
    if (depth > DEEPEST_LAYER) this.fail('KCF-02', `layers at most ${DEEPEST_LAYER} deep`, 'more');
    if ([...path].length > LONGEST_PATH) this.fail('KCF-02', `paths of at most ${LONGEST_PATH} characters`, 'a longer one');
    const own = classOf(outer);
    const config = outer.get('config');
    const members = isMap(config) ? config : new Map();
    const name = members.get('name') ?? outer.get('name');
    if (typeof name === 'string' && utf8Length(name) > LONGEST_NAME) this.fail('KCF-02', `names of at most ${LONGEST_NAME} bytes`, 'a longer one');
    this.findings.layer(own, outer, typeof name === 'string' ? name : '');
    /** @type {JsonObject[]} */
    const sublayers = [];
    const context = this.context(sublayers, path, depth, typeof name === 'string' ? name : '');
    const build = outer.get('build_config');
    const form = graphForm(outer) ?? (path === '' && !own && this.formless(outer) === 'sequential' ? 'sequential' : null);
    const shape = shapeOf(members);
    const dtype = dtypeName(members.get('dtype'));
    const shared = this.shared.get(outer.get('shared_object_id') ?? null);
    const written = takeMembers(members, context, form ? GRAPH : undefined);
    return {
      path,
      ...(typeof name === 'string' ? { name } : {}),
      ...(own ? { class: own.name, ...(own.module ? { module: own.module } : {}) } : {}),
      custom: own?.custom ?? false,
      ...(own?.custom && own.registered !== own.name ? { registered_name: own.registered } : {}),
      ...(typeof members.get('trainable') === 'boolean' ? { trainable: members.get('trainable') } : {}),
      ...(dtype ? { dtype } : {}),
      ...(isMap(shape) || Array.isArray(shape) ? { batch_shape: takeValue(shape, context) } : {}),
      config: written,
      ...(build === null || build === undefined ? {} : { build_config: takeValue(build, context) }),
      ...(shared === undefined ? {} : { shared }),
      ...(sublayers.length ? { sublayers } : {}),
      ...(form ? { form, ...this.graph(outer, form, path, depth) } : {}),
    };
  }

  /** @param {JsonObject[]} sublayers @param {string} path @param {number} depth @param {string} layer @returns {import('./keras-values.js').Context} */
  context(sublayers, path, depth, layer) {
    return {
      shared: this.shared,
      tagged: () => this.count(),
      object: (value) => this.findings.object(value, layer),
      member: (key, value) => this.findings.member(key, value, layer),
      layer: (value, slot) => {
        const position = sublayers.length;
        /** @type {JsonObject} */
        const place = {};
        sublayers.push(place);
        const config = value.get('config');
        const own = isMap(config) ? config.get('name') : undefined;
        const name = typeof own === 'string' && own ? own : `${classOf(value)?.name.toLowerCase()}_${position}`;
        Object.assign(place, this.record(value, path ? `${path}/${name}` : name, depth + 1), { name, slot });
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
    if (new Set(given.map(({ name }) => name)).size !== given.length) this.fail('KCF-01', 'layers of different names', given.map(({ name }) => name).slice(0, 20));
    const layers = given.map(({ outer: layer, name }) => ({ ...this.record(layer, path ? `${path}/${name}` : name, depth + 1), name }));
    return form === 'sequential' ? this.chain(outer, given, layers, path) : this.calledLayers(/** @type {LooseMap} */ (config), given, layers);
  }

  /** @param {Loose} layer @param {'sequential' | 'functional'} form @param {number} position @returns {Given} */
  given(layer, form, position) {
    if (!isMap(layer) || !classOf(layer)) return this.fail('KCF-01', 'a serialised layer', 'another value');
    const config = layer.get('config');
    if (!isMap(config) && !Array.isArray(config)) return this.fail('KCF-01', 'a config of a layer', 'another value');
    const stated = layer.get('name') ?? (isMap(config) ? config.get('name') : undefined);
    if (typeof stated === 'string' && stated) return { name: stated, config, outer: layer };
    if (form === 'functional') return this.fail('KCF-01', 'a layer with a name', 'none');
    return { name: `${classOf(layer)?.name.toLowerCase()}_${position}`, config, outer: layer };
  }

  /** A Sequential model: each layer is called on what the one before gives. @param {LooseMap} outer @param {Given[]} given @param {JsonObject[]} layers @param {string} path @returns {JsonObject} */
  chain(outer, given, layers, path) {
    if (!layers.length) return { layers, nodes: [], inputs: [], outputs: [], input_structure: null, output_structure: null };
    const all = layers[0].class === 'InputLayer' ? layers : [this.implied(outer, given, layers[0], path), ...layers];
    const tensor = (/** @type {JsonObject} */ { name }) => ({ layer: /** @type {string} */ (name), node: 0, tensor: 0 });
    const nodes = all.map((layer, i) => {
      this.count();
      const called = i > 0;
      return { layer: layer.name, node: 0, inputs: called ? [tensor(all[i - 1])] : [], args: called ? [{ $tensor: 0 }] : [], kwargs: {} };
    });
    return {
      layers: all, nodes,
      inputs: [tensor(all[0])], outputs: [tensor(/** @type {JsonObject} */ (all.at(-1)))],
      input_structure: { $tensor: 0 }, output_structure: { $tensor: 0 },
    };
  }

  /** The InputLayer that a Sequential model leaves out. @param {LooseMap} outer @param {Given[]} given @param {JsonObject} first @param {string} path @returns {JsonObject} */
  implied(outer, given, first, path) {
    const names = new Set(given.map(({ name }) => name));
    let name = `${first.name}_input`;
    for (let n = 1; names.has(name); n++) name = `${first.name}_input_${n}`;
    const shape = first.batch_shape ?? this.builtShape(outer) ?? this.builtShape(given[0].outer);
    return {
      path: path ? `${path}/${name}` : name, name, class: 'InputLayer', module: 'keras.layers', custom: false, implied: true,
      ...(shape ? { batch_shape: shape } : {}), config: {},
    };
  }

  /** The shape that something is built from. @param {LooseMap} outer @returns {Json} */
  builtShape(outer) {
    const [config, build] = [outer.get('config'), outer.get('build_config')];
    const shape = (isMap(config) ? config.get('build_input_shape') : null) ?? (isMap(build) ? build.get('input_shape') : null);
    return Array.isArray(shape) ? takeValue(shape, this.context([], '', 1, '')) : null;
  }

  /** Whether Keras counts the calls of a nested model from 1. @param {JsonObject} layer */
  countsFromOne(layer) {
    if (layer.form === 'functional') return true;
    const [first] = /** @type {JsonObject[]} */ (layer.layers ?? []);
    return layer.form === 'sequential' && this.dialect !== 'keras3' && first?.class === 'InputLayer' && !first.implied;
  }

  /** A Functional model. @param {LooseMap} config @param {Given[]} given @param {JsonObject[]} layers @returns {JsonObject} */
  calledLayers(config, given, layers) {
    const names = new Set(given.map(({ name }) => name));
    const bad = (/** @type {string} */ expected, /** @type {unknown} */ found) => this.fail('KCF-01', expected, found);
    const calls = given.map(({ outer, name }, i) => {
      const context = this.context([], '', 1, name);
      const own = callsOf(outer.get('inbound_nodes'), (value) => takeValue(value, context), names, bad);
      return own.length || layers[i].class !== 'InputLayer' ? own : [{ inputs: [], args: [], kwargs: {} }];
    });
    const unnest = this.dialect !== 'keras3';
    const inputs = endsOf(config.get('input_layers'), unnest, bad);
    const outputs = endsOf(config.get('output_layers'), unnest, bad);
    const references = [...calls.flat().flatMap((call) => call.inputs), ...inputs.tensors, ...outputs.tensors];
    this.renumber(references, new Map(given.map(({ name }, i) => [name, { layer: layers[i], calls: calls[i].length }])));
    return {
      layers, nodes: this.ordered(given, calls),
      inputs: inputs.tensors, outputs: outputs.tensors, input_structure: inputs.structure, output_structure: outputs.structure,
    };
  }

  /** Numbers calls from 0, and checks that all that is referred to is there (KCF-03). @param {Reference[]} references @param {Map<string, { layer: JsonObject, calls: number }>} layers */
  renumber(references, layers) {
    /** @type {Map<string, number>} */
    const firsts = new Map();
    for (const [name, { layer, calls }] of layers) {
      const own = references.filter((one) => one.layer === name).map(({ node }) => node);
      const one = this.countsFromOne(layer) || (layer.form !== undefined && own.includes(calls));
      firsts.set(name, one && own.length && calls && !own.includes(0) ? 1 : 0);
    }
    for (const one of references) {
      this.count();
      const target = layers.get(one.layer);
      if (!target) return this.fail('KCF-03', 'a layer of the model', one.layer);
      one.node -= /** @type {number} */ (firsts.get(one.layer));
      if (one.node >= target.calls) this.fail('KCF-03', `one of ${target.calls} calls of ${one.layer}`, one.node);
      const { layer } = target;
      const most = layer.class === 'InputLayer' ? 1 : Array.isArray(layer.outputs) ? layer.outputs.length : Infinity;
      if (one.tensor >= most) this.fail('KCF-03', `one of ${most} outputs of ${one.layer}`, one.tensor);
    }
    return undefined;
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
