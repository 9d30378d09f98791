/**
 * What a bundle carries, lacks and needs, as plain data for the page.
 *
 *     const { carried, missing, needed } = summarise(bundle);
 *
 * It says what follows from manifest and index; nothing of it is a verdict.
 */
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('../../src/manifest.js').Manifest} Manifest */
/** @typedef {import('../../src/manifest.js').Component} Component */

/** @typedef {{ name: string, tensors: number, bytes: number, elements: number }} Total */
/** @typedef {{ id: string, kind: string, what: string, files: number, bytes: number, derivedFrom: string | null,
 *   depth: number, facts: [string, string][] }} Part */

/** Section 8.1. @type {Record<string, string>} */
const KINDS = {
  assets: 'files that the model reads, such as vocabularies',
  golden: 'golden vectors: inputs with the outputs that they must give',
  hdf5: 'an HDF5 file',
  'keras.archive': 'a .keras file',
  'keras.config': 'a Keras architecture',
  'keras.model': 'a Keras model or layer, captured while it was live',
  onnx: 'an ONNX model',
  safetensors: 'tensors in the safetensors format',
  stablehlo: 'a portable graph',
  'tensorflow.checkpoint': 'a TensorFlow checkpoint',
  'tensorflow.saved_model': 'a TensorFlow SavedModel',
  tflite: 'a TensorFlow Lite model',
  training: 'how the model was trained',
};
const GRAPHS = ['tensorflow.saved_model', 'onnx', 'tflite', 'stablehlo'];
const MOST_PARTS = 500;
const MOST_FACTS = 50;
const MOST_TOPOLOGIES = 100;

/** Components, each before those that were taken from it. @param {Manifest} manifest @returns {Part[]} */
function partsOf(manifest) {
  const sizes = new Map(manifest.files.map(({ path, size }) => [path, size]));
  /** @type {Map<string | null, Component[]>} */
  const children = new Map();
  for (const component of manifest.components) {
    const key = component.derivedFrom ?? null;
    const siblings = children.get(key);
    if (siblings) siblings.push(component);
    else children.set(key, [component]);
  }
  /** @type {Part[]} */
  const parts = [];
  /** @param {string | null} from @param {number} depth */
  const walk = (from, depth) => {
    for (const { id, kind, files, derivedFrom, properties } of children.get(from) ?? []) {
      if (parts.length >= MOST_PARTS) return;
      parts.push({
        id, kind, files: files.length, derivedFrom: derivedFrom ?? null, depth,
        what: Object.hasOwn(KINDS, kind) ? KINDS[kind] : 'a kind that this page does not know',
        bytes: files.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0),
        facts: Object.entries(properties ?? {}).filter(([name]) => name !== 'hazards').slice(0, MOST_FACTS).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
      });
      if (depth < 8) walk(id, depth + 1);
    }
  };
  walk(null, 0);
  return parts;
}

/** Sums over the rows by the item of a table; of ranges that several of its rows share, the bytes count once. @param {Bundle} bundle @param {'role' | 'dtype'} column @returns {Total[]} */
function totals(bundle, column) {
  const index = bundle.index;
  if (!index) return [];
  const names = column === 'role' ? index.roles : index.dtypes;
  const sums = names.map((name) => ({ name, tensors: 0, bytes: 0, elements: 0 }));
  const seen = new Set();
  for (let i = 0; i < index.count; i++) {
    const total = sums[index[column][i]];
    total.tensors++;
    total.elements += index.shapeOf(i).reduce((product, n) => product * n, 1);
    const range = `${index[column][i]} ${index.file[i]}@${index.offset[i]}`;
    if (!seen.has(range)) total.bytes += index.length[i];
    if (index.length[i]) seen.add(range);
  }
  return sums;
}

/** @param {Manifest} manifest @param {Total[]} roles @param {boolean} indexed @returns {string[]} sentences, the gravest first */
function missingOf({ components, requirements, signatures }, roles, indexed) {
  const has = (/** @type {string[]} */ ...kinds) => components.some(({ kind }) => kinds.includes(kind));
  const tensors = (/** @type {string[]} */ ...names) => roles.reduce((sum, { name, tensors: n }) => sum + (names.includes(name) ? n : 0), 0);
  const graph = has(...GRAPHS);
  const config = has('keras.config', 'keras.model');
  /** What captured models carry (section 8.1, `keras.model`). */
  const captured = new Set(components.flatMap(({ kind, properties }) => (kind === 'keras.model' && Array.isArray(properties?.selection) ? properties.selection : [])));
  /** @type {[boolean, string][]} */
  const gaps = [
    [!config && !graph, 'No architecture: nothing here says how to compute with the tensors.'],
    [!config && graph, 'No Keras config: the graph can be run, but layers cannot be rebuilt.'],
    [config && !graph, 'No graph: Keras has to build the model from its config.'],
    [indexed && !tensors('trainable', 'non-trainable', 'other') && !has('tflite'), 'No weights.'],
    [requirements.customObjects.length > 0, `The code of ${requirements.customObjects.length} custom ${requirements.customObjects.length === 1 ? 'class or function' : 'classes and functions'}: who loads the model supplies it.`],
    [indexed && !tensors('optimizer') && !has('onnx', 'tflite'), 'No optimizer state: training cannot be resumed where it stopped.'],
    [!has('training') && !captured.has('training') && !has('onnx', 'tflite'), 'No training configuration.'],
    [!signatures.length && graph, 'No signatures: the graph names no function to call.'],
    [!has('golden'), 'No golden vectors: nothing to hold an engine against.'],
  ];
  return gaps.filter(([missing]) => missing).map(([, sentence]) => sentence);
}

/** @param {Manifest} manifest */
function hazardsOf(manifest) {
  return manifest.components.flatMap(({ id, properties }) => {
    const hazards = properties?.hazards;
    if (!Array.isArray(hazards)) return [];
    return /** @type {{ layer: string, kind: string, detail: string }[]} */ (/** @type {unknown} */ (hazards))
      .map(({ layer, kind, detail }) => ({ component: id, layer: String(layer), kind: String(kind), detail: String(detail) }));
  });
}

/** @param {Bundle} bundle */
export function summarise(bundle) {
  const { manifest } = bundle;
  const roles = totals(bundle, 'role');
  const sum = (/** @type {'stored' | 'composed'} */ storage) =>
    manifest.files.reduce((total, file) => total + (file.storage === storage ? file.size : 0), 0);
  return {
    version: manifest.modelbundle,
    name: manifest.name ?? null,
    layout: bundle.layout ? 'archive' : 'directory',
    files: manifest.files,
    stored: sum('stored'),
    composed: sum('composed'),
    tensors: manifest.tensors,
    parts: partsOf(manifest),
    components: manifest.components.length,
    roles,
    dtypes: totals(bundle, 'dtype'),
    missing: missingOf(manifest, roles, bundle.index !== null),
    needed: manifest.requirements,
    hazards: hazardsOf(manifest),
    signatures: manifest.signatures,
    metadata: manifest.metadata ?? null,
    extensions: manifest.extensions ?? null,
    topologies: manifest.files.map(({ path }) => path).filter((path) => path === 'topology.json' || path.endsWith('/topology.json')).slice(0, MOST_TOPOLOGIES),
    golden: manifest.components.some(({ kind }) => kind === 'golden'),
  };
}
/** @typedef {ReturnType<typeof summarise>} Summary */
