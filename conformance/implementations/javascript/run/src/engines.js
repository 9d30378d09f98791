/**
 * Which engine runs a component, by its kind. The engines are large, and loaded when they are needed.
 *
 *     const { engine, load } = await engineOf(bundle, 'net.onnx', 'main');
 */
import { NoAnswer } from '../../src/findings.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {{ inputs: string[], run: (inputs: import('./arrays.js').Value[]) => Promise<import('./arrays.js').Value[]>, end: () => void }} Model */
/** @typedef {{ name: string, version: string, device: string }} Engine */

const MISSING = 'the engines are not installed: npm ci, in conformance/implementations/javascript/run';

/** @template T @param {Promise<T>} module @returns {Promise<T>} */
const installed = (module) => module.catch((error) => {
  throw error?.code === 'ERR_MODULE_NOT_FOUND' ? new NoAnswer(MISSING) : error;
});

/**
 * @param {Bundle} bundle @param {string} component @param {string} signature
 * @returns {Promise<{ engine: Engine, load: () => Promise<Model> }>}
 */
export async function engineOf(bundle, component, signature) {
  const kind = bundle.manifest.components.find(({ id }) => id === component)?.kind;
  if (kind === 'keras.config') {
    const { NAME, VERSION, DEVICE, loadKeras } = await installed(import('./tensorflow-js.js'));
    return { engine: { name: NAME, version: VERSION, device: DEVICE }, load: () => loadKeras(bundle, component) };
  }
  if (kind === 'onnx') {
    const { NAME, VERSION, DEVICE, loadOnnx } = await installed(import('./onnx-web.js'));
    const stated = /** @type {any[]} */ (bundle.manifest.signatures).find((one) => one.component === component && one.name === signature);
    return { engine: { name: NAME, version: VERSION, device: DEVICE }, load: () => loadOnnx(bundle, component, { ports: stated?.outputs ?? [] }) };
  }
  throw new NoAnswer(`no engine here runs components of kind ${kind ?? 'unknown'}`);
}
