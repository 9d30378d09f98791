/**
 * The page's side of the worker.
 *
 *     const client = startClient((progress) => { … });
 *     const opened = await client.call('open', input);
 *     client.end();
 */
import source from 'virtual:worker';

/** @typedef {{ read: number, requests: number, share: number | null }} Progress */

/** @param {(progress: Progress) => void} onProgress */
export function startClient(onProgress) {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const worker = new Worker(url);
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  let last = 0;
  const fail = (/** @type {string} */ message) => {
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  };
  worker.onmessage = ({ data }) => {
    if (data.progress) return onProgress(data.progress);
    const call = waiting.get(data.id);
    waiting.delete(data.id);
    if ('error' in data) call?.reject(new Error(data.error));
    else call?.resolve(data.value);
  };
  worker.onerror = (event) => fail(event.message || 'The worker could not be started.');
  return {
    /** @param {string} call @param {...unknown} args @returns {Promise<any>} */
    call(call, ...args) {
      return new Promise((resolve, reject) => {
        waiting.set(++last, { resolve, reject });
        worker.postMessage({ id: last, call, args });
      });
    },
    end() {
      worker.terminate();
      URL.revokeObjectURL(url);
      fail('Closed.');
    },
  };
}
/** @typedef {ReturnType<typeof startClient>} Client */
