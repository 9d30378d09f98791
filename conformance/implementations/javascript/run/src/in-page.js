/**
 * The golden check in a page: its module of WebAssembly is gzip in base64, in the page itself, and is unpacked when
 * it is first needed.
 *
 *     await useEngine(text);
 *     const answer = await check(bundle, schemas);
 */
import { useBinary } from './onnx-web.js';
export { check } from './check.js';

let ready = false;

/** @param {string} text */
export async function useEngine(text) {
  if (ready) return;
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  useBinary(await new Response(stream).arrayBuffer());
  ready = true;
}
