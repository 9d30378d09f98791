/** TensorFlow SavedModels (section 13.6). */
import { refuse, Report } from '../findings.js';
import { checkPath } from '../paths.js';
import { compareText } from '../text.js';
import { Artifact, placeDecoded } from './artifact.js';
import { Checkpoint, nameCheckpoint } from './checkpoint.js';
import { byGraph, byName } from './checkpoint-variables.js';
import { openFile, walk } from './files.js';
import { addConfig } from './keras-config.js';
import { firstModel, firstModelOf } from './keras-metadata.js';
import { checkNodes, encodeObjectGraph, nodeMessages, nodeOf } from './object-graph.js';
import { PagedBytes } from './paged.js';
import { BYTES, Protobuf } from './protobuf.js';
import { CHILD, SHAPE, SLOT, TF_DTYPES, dimensions, dtypeName } from './tf-types.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./artifact.js').Tensor} Tensor */
/** @typedef {import('./object-graph.js').Node} Node */
/** @typedef {import('./protobuf.js').Message} Message */
/** @typedef {import('./protobuf.js').Range} Range */
/** @typedef {import('./protobuf.js').Table} Table */
/** @typedef {import('../json.js').JsonObject} JsonObject */

const LARGEST = 2 * 2 ** 30;
const MODEL = 'saved_model.pb';
const VARIABLES = 'variables/variables';
const METADATA = 'keras_metadata.pb';
const INTERNAL = '__saved_model_';
const COPIES = '_all_variables/';

/** @type {Table} */
const INFO = { 4: { name: 'tags', type: 'text', many: true }, 5: { name: 'version', type: 'text' } };
/** @type {Table} */
const TENSOR_INFO = { 2: { name: 'dtype', type: 'uint' }, 3: { name: 'shape', type: 'message', table: SHAPE } };
/** @type {Table} */
const SIGNATURE = { 1: { name: 'inputs', type: 'message', map: true, table: TENSOR_INFO }, 2: { name: 'outputs', type: 'message', map: true, table: TENSOR_INFO } };
/** @type {Table} */
const COLLECTION = { 2: { name: 'bytes', type: 'message', table: { 1: { name: 'values', type: 'range', many: true } } } };
/** A variable in a collection of TensorFlow 1. @type {Table} */
const COLLECTED = { 1: { name: 'name', type: 'text' } };
/** @type {Table} */
const META_GRAPH = {
  1: { name: 'info', type: 'message', table: INFO }, 2: { name: 'graph', type: 'range' },
  4: { name: 'collections', type: 'message', map: true, table: COLLECTION },
  5: { name: 'signatures', type: 'message', map: true, table: SIGNATURE },
  6: { name: 'assets', type: 'message', many: true, table: { 2: { name: 'filename', type: 'text' } } },
  7: { name: 'objects', type: 'range' },
};
/** @type {Table} */
const SAVED_OBJECT = {
  1: { name: 'children', type: 'message', many: true, table: CHILD }, 3: { name: 'slots', type: 'message', many: true, table: SLOT },
  4: { name: 'object', type: 'message', table: { 1: { name: 'identifier', type: 'text' }, 3: { name: 'metadata', type: 'range' } } },
  5: { name: 'asset', type: 'message', table: { 1: { name: 'index', type: 'int' } } },
  6: { name: 'function', type: 'range' },
  7: {
    name: 'variable', type: 'message',
    table: { 1: { name: 'dtype', type: 'uint' }, 2: { name: 'shape', type: 'message', table: SHAPE }, 3: { name: 'trainable', type: 'bool' }, 6: { name: 'name', type: 'text' } },
  },
  8: { name: 'concrete_function', type: 'message', table: { 1: { name: 'name', type: 'text' } } },
  9: { name: 'constant', type: 'range' }, 10: { name: 'resource', type: 'range' }, 12: { name: 'captured_tensor', type: 'range' },
  13: { name: 'registered', type: 'text' },
};
const KINDS = ['object', 'asset', 'function', 'variable', 'concrete_function', 'constant', 'resource', 'captured_tensor'];

/** What a SavedModel says of an object. @param {Message} message @returns {JsonObject} */
function factsOf({ object, asset, variable, concrete_function: concrete, registered }) {
  const shape = variable && dimensions(variable.shape);
  return {
    ...(object?.identifier ? { identifier: object.identifier } : {}),
    ...(registered ? { registered_name: registered } : {}),
    ...(asset ? { asset: asset.index ?? 0 } : {}),
    ...(concrete?.name ? { function: concrete.name } : {}),
    ...(variable ? { dtype: dtypeName(variable.dtype ?? 0), name: variable.name ?? '', trainable: variable.trainable ?? false } : {}),
    ...(shape ? { shape } : {}),
  };
}

/** @param {Message} message @param {Protobuf} proto @returns {Node} */
function savedNode(message, proto) {
  const kind = KINDS.find((name) => message[name] !== undefined);
  return { ...(kind ? { kind } : {}), ...nodeOf(message, proto), facts: factsOf(message) };
}

/** Gives the objects of a SavedModel the keys that the graph of the checkpoint has for them: both are walked from the root, breadth first, by the names of children. @param {Node[]} nodes @param {Node[]} graph */
function takeKeys(nodes, graph) {
  for (const node of nodes) node.values = [];
  const seen = new Set([0]);
  const queue = [[0, 0]];
  for (let at = 0; at < queue.length; at++) {
    const [mine, theirs] = queue[at];
    nodes[mine].values = graph[theirs].values;
    for (const [name, child] of [...graph[theirs].children].sort(([a], [b]) => compareText(a, b))) {
      const own = nodes[mine].children.get(name);
      if (own === undefined || seen.has(child)) continue;
      seen.add(child);
      queue.push([own, child]);
    }
  }
}

class SavedModel {
  /** @param {Surroundings} surroundings @param {string} root */
  constructor(surroundings, root) {
    this.surroundings = surroundings;
    this.root = root;
    this.path = `${root}/${MODEL}`;
    this.artifact = new Artifact(root);
    /** @type {Set<string>} */
    this.functions = new Set();
    /** @type {Set<string>} */
    this.signatures = new Set();
    /** @type {string[]} */
    this.omitted = [];
    /** @type {Set<string>} */
    this.assets = new Set();
  }

  async read() {
    const { files, empty } = await walk(this.surroundings, this.root);
    this.files = files;
    this.artifact.directories.push(...empty);
    for (const path of files) this.artifact.addSource(path, await openFile(this.surroundings, path));
    const bytes = await openFile(this.surroundings, this.path, 'SVM-01');
    if (bytes.size > LARGEST) refuse('SVM-01', this.path, `at most ${LARGEST} bytes`, bytes.size);
    this.proto = new Protobuf(new PagedBytes(bytes), this.path, 'SVM-01');
    const graphs = await this.graphs(this.proto);
    const nodes = await this.objects(graphs, this.proto);
    const checkpoint = await this.variables(nodes, graphs);
    const config = await this.config(nodes);
    this.finish(graphs, nodes, checkpoint, config);
    return this.artifact;
  }

  /** @param {Protobuf} proto */
  async graphs(proto) {
    /** @type {Message[]} */
    const graphs = [];
    for await (const field of proto.fields(proto.whole)) {
      if (field.number !== 2) continue;
      if (field.wire !== BYTES) proto.fail(field.at, 'a graph', field.wire);
      const graph = await proto.message(field.range, META_GRAPH);
      graphs.push(graph);
      if (graph.graph) await this.graph(graph.graph, proto);
      this.addSignatures(graph);
      for (const { filename = '' } of graph.assets) await this.asset(filename);
    }
    if (!graphs.length) proto.fail(0, 'a graph', 'none');
    for (const name of this.functions) this.artifact.ops.delete(name);
    return graphs;
  }

  /** @param {Range} range @param {Protobuf} proto */
  async graph(range, proto) {
    for await (const field of proto.fields(range)) {
      if (field.number === 1) await this.op(field, proto);
      if (field.number !== 2) continue;
      if (field.wire !== BYTES) proto.fail(field.at, 'a library', field.wire);
      for await (const own of proto.fields(field.range)) if (own.number === 1) await this.library(own, proto);
    }
  }

  /** @param {import('./protobuf.js').Field} field @param {Protobuf} proto */
  async op({ range, wire, at }, proto) {
    if (wire !== BYTES) proto.fail(at, 'a node', wire);
    const { op } = await proto.message(range, { 2: { name: 'op', type: 'text' } });
    if (op) this.artifact.ops.add(op);
  }

  /** @param {import('./protobuf.js').Field} field @param {Protobuf} proto */
  async library({ range, wire, at }, proto) {
    if (wire !== BYTES) proto.fail(at, 'a function', wire);
    for await (const field of proto.fields(range)) {
      if (field.number === 3) await this.op(field, proto);
      if (field.number !== 1) continue;
      if (field.wire !== BYTES) proto.fail(field.at, 'a signature', field.wire);
      const { name } = await proto.message(field.range, { 1: { name: 'name', type: 'text' } });
      if (name) this.functions.add(name);
    }
  }

  /** @param {Message} graph */
  addSignatures({ info, signatures }) {
    for (const [name, { inputs, outputs }] of [...signatures].sort(([a], [b]) => compareText(a, b))) {
      if (name.startsWith(INTERNAL)) continue;
      const tags = [...(info?.tags ?? [])].sort(compareText).join('+');
      const unique = this.signatures.has(name) ? `${tags}/${name}` : name;
      this.signatures.add(name).add(unique);
      const ports = [inputs, outputs].map((map) => [...map].sort(([a], [b]) => compareText(a, b)).map(([port, value]) =>
        ({ name: port, dtype: TF_DTYPES.get(value?.dtype ?? 0), shape: dimensions(value?.shape) })));
      if (ports.flat().some(({ dtype, name: port }) => !dtype || !port)) this.omitted.push(unique);
      else this.artifact.signatures.push(/** @type {any} */ ({ name: unique, component: this.root, inputs: ports[0], outputs: ports[1] }));
    }
  }

  /** SVM-02. @param {string} filename */
  async asset(filename) {
    const report = new Report();
    checkPath(filename, this.path, report);
    const path = `${this.root}/assets/${filename}`;
    if (report.errors) refuse('SVM-02', this.path, 'a path below assets/', filename);
    if (!this.files?.includes(path)) refuse('SVM-02', this.path, 'an asset that is there', filename);
    this.assets.add(filename);
  }

  /** The object graph of the first graph that has one. @param {Message[]} graphs @param {Protobuf} proto */
  async objects(graphs, proto) {
    const range = graphs.find(({ objects }) => objects)?.objects;
    if (!range) return null;
    this.messages = await nodeMessages(proto, range, SAVED_OBJECT);
    const nodes = this.messages.map((message) => savedNode(message, proto));
    checkNodes(nodes, proto, range.offset);
    return nodes;
  }

  /** @param {Node[] | null} nodes @param {Message[]} graphs */
  async variables(nodes, graphs) {
    const prefix = `${this.root}/${VARIABLES}`;
    if (!this.files?.includes(`${prefix}.index`)) {
      if (nodes?.some(({ kind }) => kind === 'variable')) refuse('SVM-03', `${prefix}.index`, 'the table of the variables', 'nothing');
      return null;
    }
    const checkpoint = await new Checkpoint(this.surroundings, prefix).read();
    if (nodes && checkpoint.graph) takeKeys(nodes, checkpoint.graph);
    const keys = checkpoint.tensors.map(({ name }) => name);
    nameCheckpoint(checkpoint, 'tensorflow.saved_model', await this.known(checkpoint, nodes, graphs), this.copies(checkpoint, keys));
    return checkpoint;
  }

  /** What is known of the keys: the checkpoint tells most, the graphs tell more roles. @param {Checkpoint} checkpoint @param {Node[] | null} nodes @param {Message[]} graphs */
  async known({ graph, tensors }, nodes, graphs) {
    const known = graph ? byGraph(graph) : byName(tensors);
    for (const [key, found] of byGraph(nodes ?? graph ?? [])) if ((known.get(key) ?? found).role === 'other') known.set(key, found);
    for (const { collections } of graphs) {
      for (const bytes of collections.get('trainable_variables')?.bytes?.values ?? []) {
        const { name: written = '' } = await /** @type {Protobuf} */ (this.proto).message(bytes, COLLECTED);
        const name = written.endsWith(':0') ? written.slice(0, -2) : written;
        const found = known.get(name);
        if (found) known.set(name, { ...found, role: 'trainable' });
      }
    }
    return known;
  }

  /** Second copies below `_all_variables/` (section 13.6), by key. @param {Checkpoint} checkpoint @param {string[]} keys @returns {Map<string, string>} */
  copies({ tensors, graph, crcs }, keys) {
    const full = new Map((graph ?? []).flatMap(({ values }) => values.map(({ key, full_name: name }) => [key, name])));
    const likeness = (/** @type {number} */ i) => JSON.stringify([full.get(keys[i]), tensors[i].dtype, tensors[i].shape, crcs.get(keys[i])]);
    /** @type {Map<string, string>} */
    const first = new Map();
    keys.forEach((key, i) => {
      if (full.get(key) && !key.startsWith(COPIES) && !first.has(likeness(i))) first.set(likeness(i), key);
    });
    /** @type {Map<string, string>} */
    const copies = new Map();
    keys.forEach((key, i) => {
      const of = key.startsWith(COPIES) ? first.get(likeness(i)) : undefined;
      if (of !== undefined) copies.set(key, of);
    });
    return copies;
  }

  /** The Keras config, from the metadata file or the saved objects. @param {Node[] | null} nodes */
  async config(nodes) {
    const path = `${this.root}/${METADATA}`;
    if (this.files?.includes(path)) return firstModel(new PagedBytes(await openFile(this.surroundings, path)), path);
    if (!nodes || !this.messages) return null;
    const metadata = this.messages.flatMap(({ object }) =>
      (object?.metadata?.length && String(object.identifier).startsWith('_tf_keras_') ? [{ identifier: object.identifier, range: object.metadata }] : []));
    return firstModelOf(/** @type {Protobuf} */ (this.proto), metadata);
  }

  /** @param {Message[]} graphs @param {Node[] | null} nodes @param {Checkpoint | null} checkpoint @param {Awaited<ReturnType<typeof firstModel>>} config */
  finish(graphs, nodes, checkpoint, config) {
    const { artifact, root } = this;
    const files = [...(this.files ?? [])];
    if (nodes) {
      const path = `${root}.derived/object_graph.json`;
      artifact.addDerived(path, encodeObjectGraph(nodes));
      files.push(path);
    }
    if (checkpoint) artifact.tensors.push(...checkpoint.tensors);
    const version = graphs.map(({ info }) => info?.version).find(Boolean);
    artifact.addComponent(root, 'tensorflow.saved_model', files, {
      tags: graphs.map(({ info }) => [...(info?.tags ?? [])].sort(compareText)),
      shards: checkpoint?.shards.length ?? 0,
      assets: [...this.assets].sort(compareText),
      ...(version ? { tensorflow_version: version } : {}),
      ...(config?.kerasVersion ? { keras_version: config.kerasVersion } : {}),
      ...(this.omitted.length ? { omitted_signatures: this.omitted.sort(compareText) } : {}),
    });
    if (config) addConfig(artifact, config, root);
    placeDecoded(artifact, `${root}.derived/tensors.safetensors`, root);
  }
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export const readSavedModel = (surroundings, root) => new SavedModel(surroundings, root).read();
