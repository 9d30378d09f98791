/** Running the models of a bundle, and the golden check. Nothing here needs Node. */
export { check } from './check.js';
export { judge } from './judge.js';
export { run } from './run.js';
export { goldenVectors } from './vectors.js';
