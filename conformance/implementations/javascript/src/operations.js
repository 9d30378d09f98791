/**
 * The operations of the protocol (conformance/PROTOCOL.md), for one process each (cli.js) and for a
 * session (session.js): requests in, answers out; a Refusal is thrown.
 */
import { readFileSync } from 'node:fs';
import { copyBundle } from './copier.js';
import { NoAnswer, Report } from './findings.js';
import { locate, node } from './node.js';
import { packSources } from './pack.js';
import { openBundle } from './reader.js';
import { compileSchemas } from './schemas.js';
import { escapeText } from './text.js';
import { unpack } from './unpacker.js';
import { validateBundle } from './validator.js';
/** @typedef {import('./reader.js').Bundle} Bundle */
/** @typedef {import('./tensor-index.js').TensorIndex} TensorIndex */
/** @typedef {import('./findings.js').Verdict} Verdict */

const SCHEMAS = process.env.MODELBUNDLE_SCHEMAS ?? new URL('../../../../schemas', import.meta.url).pathname;
const NAMES = ['manifest', 'tensor_index', 'compositions', 'topology', 'object_graph', 'keras_model', 'keras_training', 'stablehlo_arguments', 'golden'];
export const STATUS = { accept: 0, reject: 1, unsupported: 2 };

/** @type {import('./schemas.js').Schemas | undefined} */
let compiled;

/** The schemas of the standard, compiled once. */
function schemas() {
  compiled ??= compileSchemas(Object.fromEntries(NAMES.map((name) => [name, JSON.parse(readFileSync(`${SCHEMAS}/${name}.schema.json`, 'utf8'))])));
  return compiled;
}

/** @param {string} path @param {(where: import('./reader.js').Place) => Promise<any>} work */
async function at(path, work) {
  const where = await locate(path);
  try {
    return await work(where);
  } finally {
    if (where && 'archive' in where) await where.archive.close();
  }
}

/**
 * An answer as JSON: dimensions beyond 2^53 as they are, control characters escaped (SEC-02), which
 * JSON.stringify leaves to DEL and C1.
 * @param {object} answer @param {number} [indent]
 */
export function encodeAnswer(answer, indent) {
  const mark = (/** @type {string} */ _, /** @type {unknown} */ value) => (typeof value === 'bigint' ? `\u0000${value}` : value);
  const text = JSON.stringify(answer, mark, indent).replace(/"\\u0000([0-9]+)"/g, '$1');
  return `${text.replace(/[\u007f-\u009f]/g, (c) => escapeText(c))}\n`;
}

/** What this tool says of itself. */
export const HELLO = {
  name: 'javascript', version: '0.1.0', language: 'JavaScript',
  operations: ['validate', 'read', 'unpack', 'copy', 'pack', 'write'], unsupported: [],
};

/** @param {Bundle} bundle @returns {{ tensors: object[], files: object[] }} without digests */
export function listing(bundle) {
  const index = /** @type {TensorIndex} */ (bundle.index);
  const tensors = Array.from({ length: index.count }, (_, i) => {
    const { name, dtype, role } = index.row(i);
    return { name, dtype, shape: index.exactShape(i), role };
  });
  return { tensors, files: bundle.manifest.files.map(({ path, size, role }) => ({ path, size, role })) };
}

/**
 * Validates at level Full, unless less is asked for.
 * @param {string} path @param {{ structure?: boolean, core?: boolean }} [options]
 * @returns {Promise<{ verdict: Verdict, digest?: string, checked: string, findings: import('./findings.js').Finding[] }>}
 */
export const validate = (path, { structure = false, core = false } = {}) => at(path, async (where) => {
  const { digest, report } = await validateBundle(node, where, { schemas: schemas(), structure, sources: !core });
  return { verdict: report.verdict, ...(digest ? { digest } : {}), checked: structure ? 'structure' : 'all', findings: report.findings };
});

/** All tensors and files, verified. @param {string} path @param {{ digest?: string }} [options] */
export const read = (path, { digest } = {}) => at(path, async (where) => {
  const bundle = await openBundle(node, where, { digest });
  const index = /** @type {TensorIndex} */ (bundle.index);
  const report = new Report();
  for (let i = 0; i < index.count; i++) await bundle.verifyTensor(i, report);
  report.stop();
  for (const file of bundle.manifest.files) for await (const piece of bundle.verified(file)) void piece;
  const { tensors, files } = listing(bundle);
  await bundle.close();
  return {
    digest: bundle.digest,
    tensors: tensors.map((row, i) => ({ ...row, digest: index.row(i).digest })),
    files: files.map((file, i) => ({ ...file, digest: bundle.manifest.files[i].digest })),
  };
});

/** @param {string} path @param {string | undefined} destination @param {{ digest?: string }} [options] */
export const unpackTo = (path, destination, { digest } = {}) => at(path, async (where) => {
  if (!destination) throw new NoAnswer('unpack needs a destination');
  const bundle = await openBundle(node, where, { digest });
  const files = await unpack(bundle, destination);
  await bundle.close();
  return { digest: bundle.digest, destination, files: files.map(({ path: name, size, digest: of }) => ({ path: name, size, digest: of })) };
});

/** @param {string} path @param {string | undefined} destination */
export const copyTo = (path, destination) => at(path, async (where) => {
  if (!destination) throw new NoAnswer('copy needs a destination');
  return { digest: await copyBundle(node, where, destination), destination };
});

/** @param {string} folder that the sources are below @param {string | undefined} destination @param {string[]} sources */
export async function pack(folder, destination, sources) {
  if (!destination || !sources.length) throw new NoAnswer('pack needs a destination and sources');
  return { digest: await packSources(node, sources.map((source) => `${folder}/${source}`), destination, { schemas: schemas() }), destination };
}
