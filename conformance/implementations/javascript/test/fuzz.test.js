/** Whatever the bytes are, the checks answer with findings and never throw (a crash is no verdict). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCompositions, encodeCompositions } from '../src/compositions.js';
import { Report } from '../src/findings.js';
import { canonicalJson, parseJson } from '../src/json.js';
import { checkManifest } from '../src/manifest.js';
import { node } from '../src/node.js';
import { validateBundle } from '../src/validator.js';
import { checkTensorIndex } from '../src/tensor-index.js';
import { encodeUtf8 } from '../src/text.js';
import { memory, planBundle } from '../src/writer.js';
import { INDEX, SAFETENSORS, SPEC } from './tiny.js';

let seed = 1;
/** @param {number} below */
const random = (below) => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >>> 8) % below;
};

/** @param {Uint8Array} bytes */
function mutated(bytes) {
  const copy = [...bytes];
  for (let k = random(3) + 1; k > 0; k--) {
    const at = random(copy.length);
    const what = random(3);
    if (what === 0) copy[at] = random(256);
    else if (what === 1) copy.splice(at, 1 + random(4));
    else copy.splice(at, 0, ...Array.from({ length: 1 + random(4) }, () => random(256)));
  }
  return Uint8Array.from(copy);
}

const ODD = [null, true, false, '', 'x', '\u0000', 0, -1, 1.5, 2 ** 53 - 1, [], [null], {}, { __proto__: null, a: 1 }, 'sha256:', 'string', '../x'];

/** @param {any} value @returns {any} */
function odd(value) {
  if (random(150) === 0) return ODD[random(ODD.length)];
  if (Array.isArray(value)) {
    const items = value.map(odd);
    if (random(20) === 0 && items.length) items.push(items[0]);
    return items;
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(() => random(40) !== 0).map(([name, member]) => [name, odd(member)]);
    if (random(30) === 0) entries.push(['toString', 1]);
    return Object.fromEntries(entries);
  }
  return value;
}

test('no input makes the checks throw', async () => {
  const { manifest } = await planBundle(node, /** @type {any} */ ({ ...SPEC, files: [{ ...SPEC.files[0], bytes: memory(SAFETENSORS) }] }));
  for (let i = 0; i < 5000; i++) checkTensorIndex(mutated(INDEX), manifest, i % 2 === 0, new Report());
  const compositions = encodeCompositions(new Map([['a', [{ source: 'net.safetensors', offset: 0, length: 9 }, { source: 'b', offset: 1, length: 2 }]]]));
  for (let i = 0; i < 3000; i++) checkCompositions(mutated(compositions), manifest, false, new Report());
  const rich = JSON.parse(JSON.stringify(manifest));
  rich.signatures = [{ name: 's', component: 'net.safetensors', inputs: [{ name: 'x', dtype: 'float32', shape: ['b', null, 1] }], outputs: [] }];
  rich.requirements.customObjects = [{ registeredName: 'a', className: 'b', module: 'c', component: 'net.safetensors' }];
  rich.directories = ['d'];
  rich.extensions = { 'a.b': { mustUnderstand: true } };
  rich.components.push({ id: 'z', kind: 'keras.config', files: [], derivedFrom: 'net.safetensors', properties: { hazards: [{}], dialect: 'keras2' } });
  for (let i = 0; i < 1500; i++) {
    const bytes = encodeUtf8(canonicalJson(odd(rich)));
    const report = new Report();
    const value = parseJson(bytes, 'manifest.json', report);
    if (value !== undefined) checkManifest(value, report);
    // As a directory with this manifest and nothing right besides it.
    const files = new Map([['manifest.json', bytes], ['tensors.msgpack', INDEX], ['net.safetensors', SAFETENSORS]]);
    const directory = {
      stat: async (/** @type {string} */ path) => files.has(path) ? { kind: /** @type {const} */ ('file'), size: files.get(path)?.length ?? 0, links: 1 } : null,
      open: async (/** @type {string} */ path) => memory(files.get(path) ?? new Uint8Array(0)),
      list: async () => [...files.keys()],
    };
    const { report: whole } = await validateBundle(node, { directory }, { sources: true });
    assert.ok(['accept', 'reject', 'unsupported'].includes(whole.verdict));
  }
});
