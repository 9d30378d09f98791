/**
 * What of level Full is offered, as far as it is cheap: safetensors (STF, COM-06), documents of this
 * standard (JSN, COM-07), and the text of Keras configs (KCF-01, KCF-02). It is no claim of level Full.
 */
import { bytesOf, bitsOf, elementsOf } from './dtypes.js';
import { Report } from './findings.js';
import { isObject, parseJson } from './json.js';
/** @typedef {import('./reader.js').Bundle} Bundle */
/** @typedef {import('./manifest.js').Component} Component */
/** @typedef {import('./manifest.js').FileEntry} FileEntry */
/** @typedef {import('./json.js').Json} Json */
/** @typedef {import('./schemas.js').Schemas} Schemas */
/** @typedef {{ path: string, dtype: string, shape: number[], offset: number, length: number }} Tensor */

const LARGEST_HEADER = 100_000_000;
const LARGEST_CONFIG = 64 * 2 ** 20;
const DEEPEST_CONFIG = 500;
const MOST_VALUES = 2 ** 20;

/** Section 13.7. @type {Map<string, string>} */
const DTYPES = new Map(Object.entries({
  BOOL: 'bool', U8: 'uint8', U16: 'uint16', U32: 'uint32', U64: 'uint64', I8: 'int8', I16: 'int16', I32: 'int32', I64: 'int64',
  F16: 'float16', F32: 'float32', F64: 'float64', BF16: 'bfloat16', C64: 'complex64',
  F8_E5M2: 'float8_e5m2', F8_E4M3: 'float8_e4m3fn', F8_E8M0: 'float8_e8m0fnu', F8_E5M2FNUZ: 'float8_e5m2fnuz',
  F8_E4M3FNUZ: 'float8_e4m3fnuz', F4: 'float4_e2m1fn_packed', F6_E2M3: 'float6_e2m3fn_packed', F6_E3M2: 'float6_e3m2fn_packed',
}));

/** @param {Bundle} bundle @param {FileEntry} file @param {number} offset @param {number} length */
async function readRange(bundle, file, offset, length) {
  const out = new Uint8Array(length);
  let at = 0;
  for (const segment of bundle.rangesOf(file)) {
    const begin = Math.max(offset, at);
    const end = Math.min(offset + length, at + segment.length);
    if (begin < end) out.set(await bundle.readStored(segment.source, segment.offset + begin - at, end - begin), begin - offset);
    at += segment.length;
  }
  return out;
}

/** JSON of another standard: breaches of some JSN rules count, under another rule. @param {Uint8Array} bytes @param {string} place @param {string} rule @param {string[]} ignored @param {Report} report @param {object} [options] */
function parseForeign(bytes, place, rule, ignored, report, options) {
  const local = new Report();
  const value = parseJson(bytes, place, local, options);
  for (const finding of local.findings) {
    if (!ignored.includes(finding.rule)) report.add(finding.rule === 'JSN-04' ? 'KCF-02' : rule, finding.place, finding.expected, finding.found);
  }
  return value;
}

/** @param {Json | undefined} value @returns {value is number[]} */
const areCounts = (value) => Array.isArray(value) && value.every((item) => typeof item === 'number' && Number.isSafeInteger(item) && item >= 0);

/**
 * STF-01 to STF-03 for one file.
 * @param {Bundle} bundle
 * @param {FileEntry} file
 * @param {Report} report
 * @returns {Promise<Map<string, Tensor> | null>}
 */
async function readHeader(bundle, file, report) {
  const { path, size } = file;
  const before = report.errors;
  const add = (/** @type {string} */ rule, /** @type {string} */ expected, /** @type {unknown} */ found) =>
    report.add(rule, `${path}@0`, expected, found);
  if (size < 8) return add('STF-01', 'a header', `${size} bytes`), null;
  const head = await readRange(bundle, file, 0, 8);
  const stated = new DataView(head.buffer).getBigUint64(0, true);
  if (stated > BigInt(LARGEST_HEADER) || stated > BigInt(size - 8)) return add('STF-01', 'a header inside the file', `${stated} bytes`), null;
  const length = Number(stated);
  const bytes = await readRange(bundle, file, 8, length);
  const header = parseForeign(bytes, path, 'STF-01', ['JSN-07'], report);
  if (!isObject(header) || bytes[0] !== 0x7b) {
    if (report.errors === before) add('STF-01', 'an object', header);
    return null;
  }
  /** @type {Map<string, Tensor>} */
  const tensors = new Map();
  const room = size - 8 - length;
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      if (!isObject(entry) || !Object.values(entry).every((value) => typeof value === 'string')) add('STF-01', 'metadata of strings', entry);
      continue;
    }
    if (!isObject(entry) || Object.keys(entry).sort().join() !== 'data_offsets,dtype,shape' ||
      typeof entry.dtype !== 'string' || !areCounts(entry.shape) || !areCounts(entry.data_offsets) || entry.data_offsets.length !== 2) {
      add('STF-01', `dtype, shape and data_offsets for ${name}`, entry);
      continue;
    }
    const dtype = DTYPES.get(entry.dtype);
    const [begin, end] = entry.data_offsets;
    if (dtype === undefined) {
      add('STF-03', 'a dtype of the table', entry.dtype);
      continue;
    }
    const expected = bytesOf(elementsOf(entry.shape), /** @type {number} */ (bitsOf(dtype)));
    if (begin > end || end > room || end - begin !== expected) add('STF-02', `a range of ${expected} bytes inside the data`, entry.data_offsets);
    tensors.set(name, { path, dtype, shape: entry.shape, offset: 8 + length + begin, length: end - begin });
  }
  if (report.errors === before) {
    let at = 8 + length;
    for (const { offset, length: bytesLong } of [...tensors.values()].sort((a, b) => a.offset - b.offset || a.length - b.length)) {
      if (offset !== at) add('STF-02', 'ranges without overlaps and holes', `offset ${offset}, not ${at}`);
      at = offset + bytesLong;
    }
    if (at !== size) add('STF-02', `data of ${size - 8 - length} bytes`, `ranges that end at ${at}`);
  }
  return report.errors === before ? tensors : null;
}

/** STF-04: a set of shards. @param {Bundle} bundle @param {Component} component @param {FileEntry} main @param {Report} report */
async function readSet(bundle, component, main, report) {
  const index = parseForeign(await readRange(bundle, main, 0, main.size), main.path, 'STF-01', ['JSN-07'], report);
  const map = isObject(index) ? index.weight_map : undefined;
  if (!isObject(map) || !Object.values(map).every((name) => typeof name === 'string')) {
    report.add('STF-04', main.path, 'a weight_map', map);
    return null;
  }
  const folder = main.path.slice(0, main.path.lastIndexOf('/') + 1);
  /** @type {Map<string, Tensor>} */
  const tensors = new Map();
  for (const shard of new Set(/** @type {string[]} */ (Object.values(map)))) {
    const file = bundle.files.get(folder + shard);
    if (shard.includes('/') || !file || !component.files.includes(file.path)) {
      report.add('STF-04', main.path, 'the name of a file beside the index', shard);
      return null;
    }
    const own = await readHeader(bundle, file, report);
    if (!own) return null;
    for (const [name, tensor] of own) {
      if (map[name] !== shard || tensors.has(name)) report.add('STF-04', main.path, `${name} in ${shard}`, map[name] ?? 'nothing');
      tensors.set(name, tensor);
    }
  }
  for (const name of Object.keys(map)) if (!tensors.has(name)) report.add('STF-04', main.path, `${name} in ${map[name]}`, 'nothing');
  return tensors;
}

/** @param {Bundle} bundle @param {Component} component @param {Report} report */
async function checkSafetensors(bundle, component, report) {
  const main = bundle.files.get(component.id);
  if (!main || !bundle.index) return;
  const tensors = main.path.endsWith('.json') ? await readSet(bundle, component, main, report) : await readHeader(bundle, main, report);
  // The rows of decoded tensors have their names in the namespaces of the source (section 13.1).
  if (!tensors || main.role === 'derived') return;
  const { index } = bundle;
  const place = component.id;
  /** @type {Map<string, number>} */
  const rows = new Map();
  for (const { component: id, system, names, tensors: own } of index.namespaces) {
    if (id === component.id && system === 'safetensors') names.forEach((name, i) => rows.set(name, own[i]));
  }
  for (const name of rows.keys()) if (!tensors.has(name)) report.add('COM-06', place, 'a tensor of the file', name);
  for (const [name, tensor] of tensors) {
    const i = rows.get(name);
    if (i === undefined) {
      report.add('COM-06', place, `a row for ${name}`, 'none');
      continue;
    }
    const row = index.row(i);
    if (row.dtype !== tensor.dtype || row.shape.join() !== tensor.shape.join()) {
      report.add('COM-06', place, `${name}: ${tensor.dtype} [${tensor.shape}]`, `${row.dtype} [${row.shape}]`);
    }
    const there = bundle.files.get(tensor.path);
    if (row.file === tensor.path && row.offset === tensor.offset && row.length === tensor.length) continue;
    const hash = bundle.platform.sha256();
    hash.update(await readRange(bundle, /** @type {FileEntry} */ (there), tensor.offset, tensor.length));
    if (`sha256:${await hash.hex()}` !== row.digest) report.add('COM-06', place, `the bytes of ${name}`, 'others');
  }
}

/** @param {Bundle} bundle @param {Component} component @param {Report} report */
async function checkConfig(bundle, component, report) {
  const main = bundle.files.get(component.id);
  if (!main) return;
  if (main.size > LARGEST_CONFIG) {
    report.add('KCF-02', main.path, `at most ${LARGEST_CONFIG} bytes`, main.size);
    return;
  }
  const bytes = await readRange(bundle, main, 0, main.size);
  const count = (/** @type {number} */ values) => {
    if (values > MOST_VALUES) report.add('KCF-02', main.path, `at most ${MOST_VALUES} values`, values);
  };
  const ignored = ['JSN-03', 'JSN-05', 'JSN-06', 'JSN-07'];
  const before = report.errors;
  const value = parseForeign(bytes, main.path, 'KCF-01', ignored, report, { deepest: DEEPEST_CONFIG, count });
  if (report.errors === before && !(isObject(value) && ('class_name' in value || 'config' in value))) {
    report.add('KCF-01', main.path, 'a config of a known form', 'another value');
  }
}

/** @param {Bundle} bundle @param {Schemas | null} schemas @param {Report} report */
async function checkDocuments(bundle, schemas, report) {
  for (const file of bundle.manifest.files) {
    const name = /** @type {string} */ (file.path.split('/').at(-1));
    if (file.role !== 'derived' || (name !== 'topology.json' && name !== 'object_graph.json')) continue;
    const bytes = await readRange(bundle, file, 0, file.size);
    const before = report.errors;
    if (parseJson(bytes, file.path, report) === undefined || report.errors > before) continue;
    for (const { pointer, message } of schemas?.errors(name.slice(0, -5), JSON.parse(new TextDecoder().decode(bytes))) ?? []) {
      report.add('COM-07', `${file.path}#${pointer}`, 'what its schema accepts', message);
    }
  }
}

/**
 * Checks the components of kinds that are offered against their files.
 * @param {Bundle} bundle whose index and compositions were read
 * @param {Schemas | null} schemas
 * @param {Report} report
 */
export async function checkSources(bundle, schemas, report) {
  await checkDocuments(bundle, schemas, report);
  for (const component of bundle.manifest.components) {
    if (component.kind === 'safetensors') await checkSafetensors(bundle, component, report);
    if (component.kind === 'keras.config') await checkConfig(bundle, component, report);
  }
}
