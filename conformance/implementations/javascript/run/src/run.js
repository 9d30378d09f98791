/**
 * Runs a signature of a bundle, as an answer of schemas/answers/run.schema.json, with the outputs beside it.
 *
 *     const { answer, outputs } = await run(bundle, schemas, { inputs: { x: [[1, 2, 3, 4]] } });
 */
import { NoAnswer, refuse } from '../../src/findings.js';
import { callInputs } from '../../src/sources/golden.js';
import { numbersOf, valueOf } from './arrays.js';
import { topologyOf } from './documents.js';
import { engineOf } from './engines.js';
import { goldenVectors } from './vectors.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('./arrays.js').Value} Value */
/** @typedef {{ name: string, dtype: string | null, shape: (number | string | null)[] | null }} Port */
/** @typedef {{ component?: string, signature?: string, inputs?: Record<string, any> }} Request */

const CALL = 'call';
const RUNNABLE = ['keras.config', 'onnx'];

/** What can be run: the call of each Keras config, and the signatures of ONNX models. @param {Bundle} bundle */
function callables({ manifest: { components, signatures } }) {
  const kinds = new Map(components.map(({ id, kind }) => [id, kind]));
  const stated = /** @type {any[]} */ (signatures).filter(({ component }) => RUNNABLE.includes(kinds.get(component) ?? ''));
  const calls = components.filter(({ kind }) => kind === 'keras.config').map(({ id }) => ({ component: id, name: CALL }));
  return [...calls, ...stated];
}

/** RUN-01. @param {Bundle} bundle @param {Request} request @returns {{ component: string, name: string, inputs?: Port[] }} */
function chosen(bundle, { component, signature }) {
  const all = callables(bundle);
  const fitting = all.filter((one) => (component === undefined || one.component === component) && (signature === undefined || one.name === signature));
  if (fitting.length === 1) return fitting[0];
  const known = all.map((one) => `${one.component}#${one.name}`).join(', ') || 'none';
  if (fitting.length) throw new NoAnswer(`several signatures fit, name one by --component and --signature: ${known}`);
  return refuse('RUN-01', 'manifest.json#/signatures', `a signature that an engine here runs: ${known}`, signature ?? component ?? 'none');
}

/** Nested arrays as an array of a dtype. @param {Port} port @param {any} nested @returns {Value} */
function valueOfNested({ name, dtype }, nested) {
  const shape = [];
  for (let level = nested; Array.isArray(level); level = level[0]) shape.push(level.length);
  const flat = [nested].flat(Infinity);
  if (flat.length !== shape.reduce((product, size) => product * size, 1)) throw new NoAnswer(`${name}: the arrays are not of one shape`);
  if (dtype === 'string') return { name, dtype, shape, values: flat.map(String) };
  const values = /** @type {any} */ (numbersOf(dtype ?? 'float32', new Uint8Array(0))).constructor.from(flat, dtype?.endsWith('int64') ? BigInt : Number);
  return { name, dtype: dtype ?? 'float32', shape, values };
}

/** Inputs that were given, or those of the first golden vector. @param {Bundle} bundle @param {import('../../src/schemas.js').Schemas} schemas @param {{ component: string, name: string, inputs?: Port[] }} target @param {Request['inputs']} given @returns {Promise<Value[]>} */
async function inputsOf(bundle, schemas, target, given) {
  if (given) {
    const ports = /** @type {Port[]} */ (target.inputs ?? callInputs(await topologyOf(bundle, target.component)) ?? []);
    const missing = ports.filter(({ name }) => !Object.hasOwn(given, name)).map(({ name }) => name);
    if (missing.length) throw new NoAnswer(`inputs are missing: ${missing.join(', ')}`);
    return ports.map((port) => valueOfNested(port, given[port.name]));
  }
  const vector = (await goldenVectors(bundle, schemas)).find(({ component, signature }) => component === target.component && signature === target.name);
  if (!vector) throw new NoAnswer('the bundle has no golden vector of this signature: give inputs');
  return vector.inputs.map(valueOf);
}

/** @template T @param {() => Promise<T>} work @returns {Promise<{ result: T, seconds: number }>} */
async function timed(work) {
  const start = performance.now();
  return { result: await work(), seconds: (performance.now() - start) / 1000 };
}

/** @param {Bundle} bundle @param {import('../../src/schemas.js').Schemas} schemas @param {Request} [request] */
export async function run(bundle, schemas, request = {}) {
  const target = chosen(bundle, request);
  const { engine, load } = await engineOf(bundle, target.component, target.name);
  const inputs = await inputsOf(bundle, schemas, target, request.inputs);
  const { result: model, seconds: prepare } = await timed(load);
  try {
    const { result: outputs, seconds } = await timed(() => model.run(inputs));
    const answer = {
      signature: target.name, component: target.component, engine: engine.name, version: engine.version, device: engine.device, precision: 'float32',
      seconds: { prepare, run: seconds }, outputs: outputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    };
    return { answer, outputs };
  } finally {
    model.end();
  }
}
