#!/usr/bin/env node
/** `node cli.js <operation> <path> [args] --json`: exit 0 accept, 1 reject, 2 unsupported or no answer; `serve` for a session. */
import { parseArgs } from 'node:util';
import { NoAnswer, Refusal } from './src/findings.js';
import { node } from './src/node.js';
import { HELLO, STATUS, copyTo, encodeAnswer, pack, read, unpackTo, validate } from './src/operations.js';
import { serve } from './src/session.js';
import { writeFromSpec } from './src/spec-writer.js';
import { escapeText } from './src/text.js';

const USAGE = 'usage: cli.js validate PATH [--structure | --core] | read PATH [--digest D] | unpack PATH DIR [--digest D] | ' +
  'copy PATH DEST | pack DIR DEST SOURCE ... | write SPEC.json DEST | hello | serve (--json) | check PATH | ' +
  'run PATH [--component ID] [--signature NAME] [--inputs FILE.json] [--outputs FILE.json]';
/** Running is a package of its own, whose engines are large. */
const RUNNER = './run/src/command.js';

/** @param {object} answer @param {number} status */
function finish(answer, status) {
  process.stdout.write(encodeAnswer(answer, 1));
  process.exitCode = status;
}

/** @typedef {{ digest?: string, structure?: boolean, core?: boolean, component?: string, signature?: string, inputs?: string, outputs?: string }} Options */
/** @type {Record<string, (operands: string[], options: Options) => Promise<object>>} */
const OPERATIONS = {
  hello: async () => HELLO,
  read: ([path], options) => read(path, options),
  unpack: ([path, destination], options) => unpackTo(path, destination, options),
  copy: ([path, destination]) => copyTo(path, destination),
  pack: ([folder, destination, ...sources]) => pack(folder, destination, sources),
  write: async ([path, destination]) => {
    if (!destination) throw new NoAnswer(USAGE);
    return { digest: await writeFromSpec(node, path, destination), destination };
  },
};

/** @param {string[]} operands @param {Options} options */
async function runValidate([path], options) {
  const { verdict, ...answer } = await validate(path, options);
  finish({ ok: verdict === 'accept', unsupported: verdict === 'unsupported', ...answer }, STATUS[/** @type {keyof STATUS} */ (verdict)]);
}

/** @param {string} name @param {string} path @param {Options} options */
async function runModels(name, path, options) {
  const { checkCommand, runCommand } = await import(RUNNER);
  const { answer, status } = await (name === 'check' ? checkCommand(path) : runCommand(path, options));
  finish(answer, status);
}

/** @returns {Promise<void>} */
async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean' }, digest: { type: 'string' }, structure: { type: 'boolean' }, core: { type: 'boolean' },
      component: { type: 'string' }, signature: { type: 'string' }, inputs: { type: 'string' }, outputs: { type: 'string' } },
  });
  const [name = '', ...operands] = positionals;
  if (name === 'serve') return serve(process.stdin, process.stdout);
  const runs = name === 'run' || name === 'check';
  const known = runs || name === 'validate' || Object.hasOwn(OPERATIONS, name);
  if (!known || (!operands.length && name !== 'hello')) throw new NoAnswer(USAGE);
  if (name === 'validate') return runValidate(operands, values);
  if (runs) return runModels(name, operands[0], values);
  return finish(await OPERATIONS[name](operands, values), 0);
}

/** An error as an answer, if it is one: a refusal, a usage error, a file or device that cannot be read. @param {unknown} error */
function answerError(error) {
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

// Node's own status for a crash is 1, which would be a verdict.
process.on('uncaughtException', (error) => {
  const lines = String(error.stack ?? error).split('\n').map(escapeText);
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(70);
});
await main().catch(answerError);
