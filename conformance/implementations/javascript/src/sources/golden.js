/** Golden vectors (chapter 18): the file by itself (GLD-01 to GLD-05), and against signatures and topology (GLD-06 to GLD-08). */
import { bitsOf, bytesOf, elementsOf, splitStrings } from '../dtypes.js';
import { Report, refuse } from '../findings.js';
import { decodeMsgpack } from '../msgpack.js';
import { compareTuples } from '../text.js';
import { Artifact } from './artifact.js';
import { checkSchema, openFile, readWhole } from './files.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('../json.js').JsonObject} JsonObject */
/** @typedef {{ name: string, dtype: string, shape: (number | bigint)[], data: Uint8Array, channels?: Record<string, Uint8Array>, decided?: Uint8Array }} Values */
/** @typedef {{ component: string, signature: string, name: string, inputs: Values[], outputs: Values[], grade: string, exact: number, agreement?: number, references: { engine: string, precision: string }[] }} Vector */
/** @typedef {{ name: string, dtype: string | null, shape: (number | string | null)[] | null }} Port */

const LARGEST = 2 ** 30;
const START = [0x82, 0xa6, ...[...'golden'].map((c) => c.charCodeAt(0))];
const FLOATS = new Set(['float16', 'bfloat16', 'float32', 'float64']);
const LEAST_AGREEMENT = 6;
const CALL = 'call';

/** @param {Uint8Array} head */
export const looksLikeGolden = (head) => START.every((byte, i) => head[i] === byte);

/** The decoded data model: each bin is its length. @param {any} value @returns {unknown} */
function decoded(value) {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return value.length;
  if (Array.isArray(value)) return value.map(decoded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, decoded(member)]));
}

/** GLD-02. @param {Values} values @param {string} place @returns {number} elements */
function checkData({ dtype, shape, data }, place) {
  const bits = bitsOf(dtype);
  if (bits === undefined || dtype.endsWith('_packed')) return refuse('GLD-02', place, 'a dtype that is not packed', dtype);
  const elements = elementsOf(shape.map(Number));
  if (bits === null) {
    const split = elements === Infinity ? { error: 'too many elements' } : splitStrings(data, elements);
    if ('error' in split) refuse('GLD-02', place, 'strings as section 4.7 has them', split.error);
  } else if (bytesOf(elements, bits) !== data.length) refuse('GLD-02', place, `${bytesOf(elements, bits)} bytes, by dtype and shape`, data.length);
  if (dtype === 'bool' && data.some((byte) => byte > 1)) refuse('GLD-02', place, 'elements 0 or 1', 'another');
  return elements;
}

/** GLD-03. @param {Values} output @param {number} elements @param {string} place */
function checkAnswer({ dtype, channels, decided }, elements, place) {
  if (dtype === 'float64' ? decided : channels) refuse('GLD-03', place, dtype === 'float64' ? 'channels' : 'decided', 'the other');
  for (const [name, bytes] of Object.entries(channels ?? {})) {
    if (bytes.length !== 4 * elements) refuse('GLD-03', place, `${elements} elements in ${name}`, `${bytes.length} bytes`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; at += 4) {
      const value = view.getFloat32(at, true);
      if (!(value >= 0 && Number.isFinite(value))) refuse('GLD-03', place, `numbers that are finite and not negative in ${name}`, String(value));
    }
  }
  if (decided && (decided.length !== elements || decided.some((byte) => byte > 1))) refuse('GLD-03', place, `${elements} bytes of 0 or 1`, `${decided.length} bytes`);
}

/** GLD-05. @param {Vector} vector @param {string} place */
function checkGrade({ grade, exact, references, agreement = 0, outputs }, place) {
  if (grade !== 'verified') return;
  const engines = new Set(references.map(({ engine }) => engine));
  if (references.some(({ precision }) => precision !== 'float64')) refuse('GLD-05', place, 'references in float64', 'another precision');
  if (references.length < 2 || engines.size !== references.length) refuse('GLD-05', place, 'two references at least, by different engines', [...engines].join());
  if (agreement < LEAST_AGREEMENT) refuse('GLD-05', place, `an agreement of ${LEAST_AGREEMENT} bits`, agreement);
  if (!exact && outputs.some(({ channels, decided }) => !channels && !decided)) refuse('GLD-05', place, 'channels or decided in each output', 'an output without');
}

/** @param {Vector} vector @param {string} place */
function checkVector(vector, place) {
  for (const list of [vector.inputs, vector.outputs]) {
    if (new Set(list.map(({ name }) => name)).size !== list.length) refuse('GLD-01', place, 'each port once', list.map(({ name }) => name));
  }
  for (const input of vector.inputs) checkData(input, `${place}#${input.name}`);
  for (const output of vector.outputs) checkAnswer(output, checkData(output, `${place}#${output.name}`), `${place}#${output.name}`);
  checkGrade(vector, place);
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readGolden(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  if (bytes.size > LARGEST) refuse('GLD-01', root, `at most ${LARGEST} bytes`, bytes.size);
  const report = new Report();
  const value = decodeMsgpack(await readWhole(bytes), root, report);
  const [finding] = report.findings;
  if (finding || value === undefined) return refuse('GLD-01', finding?.place ?? root, finding?.expected ?? 'a map', finding?.found ?? 'nothing');
  checkSchema(surroundings, 'golden', decoded(value), 'GLD-01', root);
  const vectors = /** @type {Vector[]} */ (/** @type {any} */ (value).vectors);
  vectors.forEach((vector, i) => {
    const before = vectors[i - 1];
    const key = (/** @type {Vector} */ { component, signature, name }) => [component, signature, name];
    if (before && compareTuples(key(before), key(vector)) >= 0) refuse('GLD-04', root, 'vectors ascending, each once', vector.name);
    checkVector(vector, root);
  });
  const artifact = new Artifact(root);
  artifact.addSource(root, bytes);
  artifact.addComponent(root, 'golden', [root], { vectors: vectors.length });
  artifact.vectors = vectors;
  return artifact;
}

/** Input layers of a topology as ports; null where any inputs will do. @param {JsonObject | null} topology @returns {Port[] | null} */
export function callInputs(topology) {
  if (!topology || !Array.isArray(topology.inputs)) return null;
  const layers = new Map(/** @type {any[]} */ (topology.layers).map((layer) => [layer.name, layer]));
  return /** @type {any[]} */ (topology.inputs).map(({ layer }) => {
    const { dtype = null, batch_shape: shape = null } = layers.get(layer) ?? {};
    return { name: layer, dtype, shape: Array.isArray(shape) ? shape : null };
  });
}

/** Whether a shape is one that a port has; a symbol has one size. @param {(number | bigint)[]} shape @param {Port['shape']} port @param {Map<string, number>} symbols */
function fits(shape, port, symbols) {
  if (!port) return true;
  return port.length === shape.length && port.every((size, d) => {
    if (typeof size !== 'string') return size === null || size === Number(shape[d]);
    if (!symbols.has(size)) symbols.set(size, Number(shape[d]));
    return symbols.get(size) === Number(shape[d]);
  });
}

/** @param {string} rule @param {Values[]} values @param {Port[]} ports @param {(dtype: string) => string} stored @param {Map<string, number>} symbols @param {string} place */
function checkPorts(rule, values, ports, stored, symbols, place) {
  const names = (/** @type {{ name: string }[]} */ list) => list.map(({ name }) => name).join();
  if (names(values) !== names(ports)) refuse(rule, place, names(ports), names(values));
  values.forEach(({ name, dtype, shape }, i) => {
    const port = ports[i];
    if (port.dtype !== null && stored(port.dtype) !== dtype) refuse(rule, `${place}#${name}`, stored(port.dtype), dtype);
    if (!fits(shape, port.shape, symbols)) refuse(rule, `${place}#${name}`, JSON.stringify(port.shape), shape.map(String));
  });
}

/**
 * GLD-06 to GLD-08.
 * @param {Vector[]} vectors @param {string} place
 * @param {{ signatures: JsonObject[], kindOf: (component: string) => string | undefined, topologyOf: (component: string) => Promise<JsonObject | null> }} about
 */
export async function checkSignatures(vectors, place, { signatures, kindOf, topologyOf }) {
  for (const { component, signature, inputs, outputs } of vectors) {
    const symbols = new Map();
    const stated = signatures.find((one) => one.component === component && one.name === signature);
    const isCall = !stated && signature === CALL && kindOf(component) === 'keras.config';
    if (!stated && !isCall) return refuse('GLD-06', place, 'a signature of the bundle', `${component}#${signature}`);
    const ports = stated ? /** @type {Port[]} */ (/** @type {any} */ (stated).inputs) : callInputs(await topologyOf(component));
    if (ports) checkPorts('GLD-07', inputs, ports, (dtype) => dtype, symbols, place);
    const results = stated ? /** @type {Port[]} */ (/** @type {any} */ (stated).outputs) : outputs.map((_, i) => ({ name: `output_${i}`, dtype: null, shape: null }));
    checkPorts('GLD-08', outputs, results, (dtype) => (FLOATS.has(dtype) ? 'float64' : dtype), symbols, place);
  }
  return undefined;
}
