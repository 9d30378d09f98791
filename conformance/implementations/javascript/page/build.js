/**
 * Makes the page: one HTML file with all scripts, styles, schemas and rules in it.
 *
 *     node build.js [FILE]          # build/page/modelbundle.html of the repository, if no FILE is given
 *     node build.js --full [FILE]   # build/page/modelbundle-full.html: with engines for the golden check
 *
 * The schemas are compiled here (Ajv's standalone code), because the page's policy allows no eval. The policy names
 * script and style by their sha256.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import Ajv from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import { withoutPairs } from '../src/schemas.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, '../../../..');
const SOURCE = join(HERE, 'src');
const RUNNER = resolve(HERE, '../run');
const WASM = join(RUNNER, 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm');
const SCHEMAS = ['manifest', 'tensor_index', 'compositions', 'topology', 'object_graph', 'golden', 'keras_model', 'keras_training', 'stablehlo_arguments'];

/** @param {string} path below the repository's root */
const readJson = async (path) => JSON.parse(await readFile(join(ROOT, path), 'utf8'));

/** A module of compiled schemas, by name. */
async function schemasModule() {
  const ajv = new Ajv.default({ strict: false, validateFormats: false, code: { source: true, esm: true } });
  /** @type {Record<string, string>} */
  const names = {};
  for (const name of SCHEMAS) {
    ajv.addSchema(withoutPairs(await readJson(`schemas/${name}.schema.json`)), name);
    names[name] = name;
  }
  return `${standalone.default(ajv, names)}\nexport default { ${SCHEMAS.join(', ')} };`;
}

/** A module of the rules, by ID. */
async function rulesModule() {
  const { rules } = await readJson('spec/rules.json');
  const table = Object.fromEntries(rules.map((/** @type {Record<string, string>} */ { id, text, level, chapter }) => [id, { text, level, chapter }]));
  return `export default ${JSON.stringify(table)};`;
}

/** Modules that are made here: name -> text. @param {Record<string, string>} modules @returns {import('esbuild').Plugin} */
const virtual = (modules) => ({
  name: 'virtual',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^virtual:/ }, ({ path }) => ({ path, namespace: 'virtual' }));
    onLoad({ filter: /.*/, namespace: 'virtual' }, ({ path }) => ({ contents: modules[path], resolveDir: HERE }));
  },
});

/** What a script that is part of a page says of its own address: ONNX Runtime looks for its files there, if it is not given them. */
const NOWHERE = 'https://nowhere.invalid/';

/** @param {string} entry @param {Record<string, string>} modules @param {'none' | 'eof'} [licences] of what others wrote @returns {Promise<string>} one classic script */
async function bundle(entry, modules, licences = 'none') {
  const { outputFiles } = await build({
    entryPoints: [join(SOURCE, entry)], bundle: true, write: false, format: 'iife', platform: 'browser', target: 'es2022',
    minify: true, legalComments: licences, charset: 'ascii', nodePaths: [join(HERE, 'node_modules')],
    define: { 'import.meta.url': JSON.stringify(NOWHERE) }, plugins: [virtual(modules)], logLevel: 'warning',
  });
  // No text of the script may end its element.
  return outputFiles[0].text.trim().replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
}

/** @param {string} text */
const hashOf = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** The engines as a module of the worker, and WebAssembly as text of the page; nothing in a page without engines. @param {boolean} full */
async function engineParts(full) {
  if (!full) return { module: 'export const runner = null;', wasm: '' };
  const module = `export * as runner from ${JSON.stringify(join(RUNNER, 'src/in-page.js'))};`;
  const text = gzipSync(await readFile(WASM), { level: 9 }).toString('base64');
  return { module, wasm: `<script type="text/plain" id="engine">${text}</script>\n` };
}

/** @param {string} script @param {string} style @param {boolean} full */
const policy = (script, style, full) => [
  "default-src 'none'", `script-src ${hashOf(script)}${full ? " 'wasm-unsafe-eval'" : ''}`, `style-src ${hashOf(style)}`, 'worker-src blob:',
  'connect-src https: http:', "base-uri 'none'", "form-action 'none'",
].join('; ');

/** @param {{ full?: boolean }} [options] full: with engines @returns {Promise<string>} the page */
export async function makePage({ full = false } = {}) {
  const engines = await engineParts(full);
  const worker = await bundle('worker.js', { 'virtual:schemas': await schemasModule(), 'virtual:runner': engines.module }, full ? 'eof' : 'none');
  const script = await bundle('main.js', {
    'virtual:worker': `export default ${JSON.stringify(worker)};`, 'virtual:rules': await rulesModule(),
  });
  const style = (await readFile(join(SOURCE, 'style.css'), 'utf8')).trim();
  const template = await readFile(join(SOURCE, 'index.html'), 'utf8');
  /** @type {Record<string, string>} */
  const parts = { policy: policy(script, style, full), style, script, engine: engines.wasm };
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const full = process.argv.includes('--full');
  const [given] = process.argv.slice(2).filter((argument) => argument !== '--full');
  const target = resolve(given ?? join(ROOT, `build/page/modelbundle${full ? '-full' : ''}.html`));
  const page = await makePage({ full });
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, page);
  console.log(`${target}: ${Math.round(Buffer.byteLength(page) / 1000)} kB`);
}
