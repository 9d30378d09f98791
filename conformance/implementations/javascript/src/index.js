/** The core: nothing here needs Node. */
export { blobBytes, web } from './web.js';
export { NoAnswer, Refusal, Report } from './findings.js';
export { Bundle, openBundle } from './reader.js';
export { validateBundle } from './validator.js';
export { compileSchemas } from './schemas.js';
export { planBundle, memory } from './writer.js';
