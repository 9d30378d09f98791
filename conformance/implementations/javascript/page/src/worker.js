/**
 * The worker: takes `{ id, call, args }`, answers `{ id, value }` or `{ id, error }`, and tells `{ progress }`.
 * The first call is `open` with the input; the worker holds one bundle, and ends with it.
 */
import { NoAnswer } from '../../src/findings.js';
import { Session } from './session.js';

/** @type {Session | null} */
let session = null;

/** @param {string} call @param {any[]} args @returns {Promise<unknown> | unknown} */
function answer(call, args) {
  if (call === 'open') {
    session = new Session(args[0], (progress) => self.postMessage({ progress }));
    return session.open();
  }
  if (!session) throw new NoAnswer('Nothing is open.');
  switch (call) {
    case 'validate': return session.validate();
    case 'stop': return session.stop();
    case 'tensor': return session.tensor(args[0]);
    case 'golden': return session.golden(args[0]);
    case 'graph': return session.graph(args[0], args[1]);
    default: throw new NoAnswer(`Nothing is called ${call}.`);
  }
}

self.onmessage = async ({ data: { id, call, args } }) => {
  try {
    self.postMessage({ id, value: await answer(call, args) });
  } catch (error) {
    const known = error instanceof NoAnswer;
    self.postMessage({ id, error: known ? error.message : `A defect of this page, or more than it can hold: ${error}` });
  }
};
