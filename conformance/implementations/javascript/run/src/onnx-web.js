/**
 * The engine ONNX Runtime Web: a component `onnx` on WebAssembly, one thread, in Node and browsers alike.
 *
 *     const model = await loadOnnx(bundle, 'net.onnx', { ports: signature.outputs });
 *     const outputs = await model.run([{ name: 'x', dtype: 'float32', shape: [1, 4], values }]);
 */
import * as ort from 'onnxruntime-web/wasm';
import { NoAnswer } from '../../src/findings.js';
import { widened } from './arrays.js';
import { wholeFile } from './documents.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('./arrays.js').Value} Value */

export const NAME = 'onnxruntime-web';
export const VERSION = ort.env.versions.web ?? ort.env.versions.common;
export const DEVICE = 'wasm';
const DTYPES = new Set(['bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64', 'float32', 'float64', 'string']);

/** Where the module of WebAssembly is; a page has it in itself. @param {ArrayBuffer} binary */
export function useBinary(binary) {
  ort.env.wasm.wasmBinary = binary;
}

/** @param {Value} value @returns {ort.Tensor} */
function tensorOf({ name, dtype, shape, values }) {
  if (!DTYPES.has(dtype)) throw new NoAnswer(`${name}: no inputs of ${dtype} are given to ONNX Runtime Web`);
  return new ort.Tensor(/** @type {any} */ (dtype), /** @type {any} */ (values), shape);
}

/** @param {ort.Tensor} tensor @param {string} name @returns {Value} */
function resultOf(tensor, name) {
  const { type, dims, data } = tensor;
  const half = type === 'float16';
  const words = half ? new Uint16Array(/** @type {any} */ (data).buffer, /** @type {any} */ (data).byteOffset, /** @type {any} */ (data).length) : null;
  return { name, dtype: type, shape: [...dims], values: words ? widened('float16', words) : /** @type {any} */ (data) };
}

/** Opens the model with its external data. @param {Bundle} bundle @param {string} component @param {{ ports: { name: string }[] }} signature */
export async function loadOnnx(bundle, component, { ports }) {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const { files } = /** @type {{ files: string[] }} */ (bundle.manifest.components.find(({ id }) => id === component));
  const folder = component.slice(0, component.lastIndexOf('/') + 1);
  const externalData = [];
  for (const path of files) if (path !== component) externalData.push({ path: path.slice(folder.length), data: await wholeFile(bundle, path) });
  const session = await ort.InferenceSession.create(await wholeFile(bundle, component), { executionProviders: ['wasm'], externalData });
  return {
    inputs: [...session.inputNames],
    /** @param {Value[]} inputs @returns {Promise<Value[]>} */
    async run(inputs) {
      const results = await session.run(Object.fromEntries(inputs.map((value) => [value.name, tensorOf(value)])));
      return ports.map(({ name }) => resultOf(results[name], name));
    },
    end: () => void session.release(),
  };
}
