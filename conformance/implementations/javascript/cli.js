#!/usr/bin/env node
/** `node cli.js <operation> <path> [args] --json`: exit 0 accept, 1 reject, 2 unsupported or no answer. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { copyBundle } from './src/copier.js';
import { NoAnswer, Refusal, Report } from './src/findings.js';
import { locate, node } from './src/node.js';
import { openBundle } from './src/reader.js';
import { compileSchemas } from './src/schemas.js';
import { escapeText } from './src/text.js';
import { unpack } from './src/unpacker.js';
import { validateBundle } from './src/validator.js';
import { writeFromSpec } from './src/spec-writer.js';

const STATUS = { accept: 0, reject: 1, unsupported: 2 };
const USAGE = 'usage: cli.js validate PATH [--structure] [--sources] | read PATH [--digest D] | ' +
  'unpack PATH DIR [--digest D] | copy PATH DEST | write SPEC.json DEST (--json)';

/** @param {unknown} answer @param {number} status */
function finish(answer, status) {
  // JSON.stringify leaves DEL and C1 as they are (SEC-02).
  const text = JSON.stringify(answer, null, 1).replace(/[\u007f-\u009f]/g, (c) => escapeText(c));
  process.stdout.write(`${text}\n`);
  process.exitCode = status;
}

/** @param {string} folder of the schemas */
function loadSchemas(folder) {
  /** @type {Record<string, object>} */
  const documents = {};
  for (const name of ['manifest', 'tensor_index', 'compositions', 'topology', 'object_graph']) {
    documents[name] = JSON.parse(readFileSync(`${folder}/${name}.schema.json`, 'utf8'));
  }
  return compileSchemas(documents);
}

const SCHEMAS = process.env.MODELBUNDLE_SCHEMAS ?? new URL('../../../schemas', import.meta.url).pathname;

/** @type {Record<string, (operands: string[], options: { digest?: string, structure?: boolean, sources?: boolean }) => Promise<[unknown, number]>>} */
const OPERATIONS = {
  async validate([path], { structure = false, sources = false }) {
    const { digest, report } = await validateBundle(node, await locate(path), { schemas: loadSchemas(SCHEMAS), structure, sources });
    const { verdict, findings } = report;
    const answer = {
      ...(digest ? { digest } : {}),
      ok: verdict === 'accept',
      unsupported: verdict === 'unsupported',
      checked: structure ? 'structure' : 'all',
      findings,
    };
    return [answer, STATUS[verdict]];
  },
  async read([path], { digest }) {
    const bundle = await openBundle(node, await locate(path), { digest });
    const report = new Report();
    const index = /** @type {import('./src/tensor-index.js').TensorIndex} */ (bundle.index);
    for (let i = 0; i < index.count; i++) await bundle.verifyTensor(i, report);
    report.stop();
    for (const file of bundle.manifest.files) for await (const piece of bundle.verified(file)) void piece;
    const tensors = Array.from({ length: index.count }, (_, i) => {
      const { name, dtype, shape, digest: of } = index.row(i);
      return { name, dtype, shape, digest: of };
    });
    const files = bundle.manifest.files.map(({ path: name, size, digest: of }) => ({ path: name, size, digest: of }));
    await bundle.close();
    return [{ digest: bundle.digest, tensors, files }, 0];
  },
  async unpack([path, destination], { digest }) {
    if (!destination) throw new NoAnswer(USAGE);
    const bundle = await openBundle(node, await locate(path), { digest });
    const files = await unpack(bundle, destination);
    await bundle.close();
    const listed = files.map(({ path: name, size, digest: of }) => ({ path: name, size, digest: of }));
    return [{ digest: bundle.digest, destination, files: listed }, 0];
  },
  async copy([path, destination]) {
    if (!destination) throw new NoAnswer(USAGE);
    return [{ digest: await copyBundle(node, await locate(path), destination), destination }, 0];
  },
  async write([path, destination]) {
    if (!destination) throw new NoAnswer(USAGE);
    return [{ digest: await writeFromSpec(node, path, destination), destination }, 0];
  },
};

/** @returns {Promise<void>} */
async function main() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, digest: { type: 'string' }, structure: { type: 'boolean' }, sources: { type: 'boolean' } },
    });
    const [name, ...operands] = positionals;
    if (!Object.hasOwn(OPERATIONS, name ?? '') || !operands.length) throw new NoAnswer(USAGE);
    finish(...(await OPERATIONS[name](operands, values)));
  } catch (error) {
    if (error instanceof Refusal) {
      finish({ error: 'refused', findings: error.findings }, STATUS[error.verdict]);
      return;
    }
    const usage = error instanceof NoAnswer || String(/** @type {any} */ (error)?.code).startsWith('ERR_PARSE_ARGS');
    const device = typeof (/** @type {any} */ (error)?.errno) === 'number';
    // Anything else is a defect of this program: a crash.
    if (!usage && !device) throw error;
    finish({ error: escapeText(/** @type {Error} */ (error).message), findings: [] }, 2);
  }
}

// Node's own status for a crash is 1, which would be a verdict.
process.on('uncaughtException', (error) => {
  const lines = String(error.stack ?? error).split('\n').map(escapeText);
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(70);
});
await main();
