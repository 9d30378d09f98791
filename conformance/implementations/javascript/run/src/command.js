/**
 * `run` and `check` on the command line: answers, and the exit status that belongs to them.
 *
 *     node cli.js check net.modelbundle                       # 0 as it must be, 1 something else, 2 nothing could run
 *     node cli.js run net.modelbundle --inputs x.json --outputs y.json
 */
import { readFile, writeFile } from 'node:fs/promises';
import { NoAnswer } from '../../src/findings.js';
import { locate, node } from '../../src/node.js';
import { openBundle } from '../../src/reader.js';
import { compileSchemas } from '../../src/schemas.js';
import { check } from './check.js';
import { run } from './run.js';

const SCHEMAS = process.env.MODELBUNDLE_SCHEMAS ?? new URL('../../../../../schemas', import.meta.url).pathname;

/** @template T @param {string} path @param {(bundle: import('../../src/reader.js').Bundle, schemas: import('../../src/schemas.js').Schemas) => Promise<T>} work */
async function withBundle(path, work) {
  const where = await locate(path);
  try {
    const bundle = await openBundle(node, where);
    return await work(bundle, compileSchemas({ golden: JSON.parse(await readFile(`${SCHEMAS}/golden.schema.json`, 'utf8')) }));
  } finally {
    if (where && 'archive' in where) await where.archive.close();
  }
}

/** Nested arrays of a shape. @param {any[]} flat @param {number[]} shape @returns {any} */
const nested = (flat, [size, ...rest]) => {
  if (size === undefined) return flat[0];
  const step = rest.reduce((product, one) => product * one, 1);
  return Array.from({ length: size }, (_, i) => nested(flat.slice(i * step, (i + 1) * step), rest));
};

/** @param {unknown} value @returns {any} what JSON can say */
const writable = (value) => (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)) ? String(value) : value);

/** @param {string} path */
export const checkCommand = (path) => withBundle(path, async (bundle, schemas) => {
  const answer = await check(bundle, schemas);
  return { answer, status: answer.ran ? (answer.ok ? 0 : 1) : 2 };
});

/** @param {string} path @param {{ component?: string, signature?: string, inputs?: string, outputs?: string }} options files of nested arrays, by port */
export const runCommand = (path, { component, signature, inputs, outputs: target }) => withBundle(path, async (bundle, schemas) => {
  const given = inputs === undefined ? undefined : JSON.parse(await readFile(inputs, 'utf8'));
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given))) throw new NoAnswer(`${inputs}: not an object of arrays`);
  const { answer, outputs } = await run(bundle, schemas, { component, signature, inputs: given });
  if (target === undefined) return { answer, status: 0 };
  const values = outputs.map(({ name, shape, values: flat }) => [name, nested(Array.from(flat, writable), shape)]);
  await writeFile(target, `${JSON.stringify(Object.fromEntries(values))}\n`);
  return { answer: { ...answer, written: target }, status: 0 };
});
