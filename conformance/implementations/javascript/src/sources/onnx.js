/** ONNX models and their external data (section 13.9). */
import { bitsOf, bytesOf, elementsOf } from '../dtypes.js';
import { refuse } from '../findings.js';
import { checkPath } from '../paths.js';
import { Report } from '../findings.js';
import { encodeStrings } from '../dtypes.js';
import { compareText } from '../text.js';
import { Artifact, placeDecoded } from './artifact.js';
import { folderOf, openFile } from './files.js';
import { PagedBytes } from './paged.js';
import { BYTES, FIXED32, FIXED64, Protobuf, VARINT } from './protobuf.js';
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('./protobuf.js').Message} Message */
/** @typedef {import('./protobuf.js').Range} Range */
/** @typedef {import('./protobuf.js').Table} Table */
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {import('../json.js').JsonObject} JsonObject */

const LARGEST = 2 * 2 ** 30;
const DEEPEST_GRAPH = 16;

/** TensorProto.DataType. @type {Map<number, string>} */
const DTYPES = new Map([
  [1, 'float32'], [2, 'uint8'], [3, 'int8'], [4, 'uint16'], [5, 'int16'], [6, 'int32'], [7, 'int64'], [8, 'string'], [9, 'bool'],
  [10, 'float16'], [11, 'float64'], [12, 'uint32'], [13, 'uint64'], [14, 'complex64'], [15, 'complex128'], [16, 'bfloat16'],
  [17, 'float8_e4m3fn'], [18, 'float8_e4m3fnuz'], [19, 'float8_e5m2'], [20, 'float8_e5m2fnuz'], [21, 'uint4_packed'], [22, 'int4_packed'],
  [23, 'float4_e2m1fn_packed'], [24, 'float8_e8m0fnu'], [25, 'uint2_packed'], [26, 'int2_packed'],
  [27, 'float6_e2m3fn_packed'], [28, 'float6_e3m2fn_packed'],
]);
const EXTERNAL = 1;

/** @type {Table} */
const ENTRY = { 1: { name: 'key', type: 'text' }, 2: { name: 'value', type: 'text' } };
/** @type {Table} */
const TENSOR = {
  1: { name: 'dims', type: 'int', many: true }, 2: { name: 'type', type: 'uint' }, 8: { name: 'name', type: 'text' },
  13: { name: 'external', type: 'message', table: ENTRY, many: true }, 14: { name: 'location', type: 'uint' },
};
/** Fields of values: number of the field to its name. */
const VALUES = new Map([[4, 'float_data'], [5, 'int32_data'], [6, 'string_data'], [7, 'int64_data'], [9, 'raw_data'], [10, 'double_data'], [11, 'uint64_data']]);
/** Which field holds the values of a data type, if they are not raw. @type {Map<number, number>} */
const FIELD_OF = new Map([[1, 4], [14, 4], [11, 10], [15, 10], [7, 7], [12, 11], [13, 11], [8, 6]]);
/** @type {Table} */
const DIMENSION = { 1: { name: 'value', type: 'int' }, 2: { name: 'param', type: 'text' } };
/** @type {Table} */
const TENSOR_TYPE = { 1: { name: 'type', type: 'uint' }, 2: { name: 'shape', type: 'message', table: { 1: { name: 'dims', type: 'message', table: DIMENSION, many: true } } } };
/** @type {Table} */
const VALUE_INFO = { 1: { name: 'name', type: 'text' }, 2: { name: 'type', type: 'message', table: { 1: { name: 'tensor', type: 'message', table: TENSOR_TYPE } } } };
/** @type {Table} */
const ATTRIBUTE = { 1: { name: 'name', type: 'text' }, 6: { name: 'graph', type: 'range' }, 11: { name: 'graphs', type: 'range', many: true } };
/** @type {Table} */
const NODE = { 3: { name: 'name', type: 'text' }, 4: { name: 'op', type: 'text' }, 5: { name: 'attributes', type: 'range', many: true }, 7: { name: 'domain', type: 'text' } };
/** @type {Table} */
const FUNCTION = { 1: { name: 'name', type: 'text' }, 7: { name: 'nodes', type: 'range', many: true }, 10: { name: 'domain', type: 'text' } };
/** @type {Table} */
const MODEL = {
  1: { name: 'ir_version', type: 'int' }, 2: { name: 'producer', type: 'text' }, 3: { name: 'producer_version', type: 'text' },
  7: { name: 'graph', type: 'range' },
  8: { name: 'opsets', type: 'message', many: true, table: { 1: { name: 'domain', type: 'text' }, 2: { name: 'version', type: 'int' } } },
  25: { name: 'functions', type: 'range', many: true },
};
/** Wire types of the fields of a ModelProto. @type {Map<number, number>} */
const MODEL_WIRES = new Map([[1, VARINT], [2, BYTES], [3, BYTES], [4, BYTES], [5, VARINT], [6, BYTES], [7, BYTES], [8, BYTES], [14, BYTES], [20, BYTES], [25, BYTES], [26, BYTES]]);

/** Whether the fields are those of a model, as far as they can be read. @param {PagedBytes} source */
export async function looksLikeOnnx(source) {
  if (source.size < 2) return false;
  // The number of a field and its wire type stand in one byte up to number 15, else in two.
  let version = false;
  try {
    for await (const { number, wire } of new Protobuf(source, '', 'ONX-01').fields({ offset: 0, length: source.size })) {
      if (MODEL_WIRES.get(number) !== wire) return false;
      version ||= number === 1;
      if (number === 7 && version) return true;
    }
  } catch {
    return version;
  }
  return version;
}

/** A dimension of a port. @param {Message} dimension */
function dimensionOf({ value, param }) {
  if (param) return param;
  return value === undefined || value < 0 ? null : value;
}

class Model {
  /** @param {Surroundings} surroundings @param {string} root @param {Bytes} bytes */
  constructor(surroundings, root, bytes) {
    this.surroundings = surroundings;
    this.root = root;
    this.proto = new Protobuf(new PagedBytes(bytes), root, 'ONX-01');
    this.artifact = new Artifact(root);
    /** @type {Set<string>} */
    this.functions = new Set();
    /** @type {Map<string, Bytes>} */
    this.external = new Map();
    /** @type {Set<string>} */
    this.names = new Set();
  }

  /** @param {number} at @param {string} expected @param {unknown} found @returns {never} */
  fail(at, expected, found) {
    return this.proto.fail(at, expected, found);
  }

  async read() {
    const model = await this.proto.message(this.proto.whole, MODEL);
    if (!model.graph) this.fail(0, 'a graph', 'none');
    const functions = [];
    for (const range of model.functions) {
      const own = await this.proto.message(range, FUNCTION);
      functions.push(own);
      this.functions.add(`${own.domain ?? ''}::${own.name ?? ''}`);
    }
    for (const { name = '', nodes } of functions) {
      for (const [i, range] of nodes.entries()) await this.node(range, `${name}/${i}`, 1);
    }
    await this.graph(model.graph, '', 1);
    const properties = await this.properties(model);
    const files = [this.root, ...[...this.external.keys()].sort(compareText)];
    this.artifact.addComponent(this.root, 'onnx', files, properties);
    placeDecoded(this.artifact, `${this.root}.derived/tensors.safetensors`, this.root);
    return this.artifact;
  }

  /** @param {Message} model @returns {Promise<JsonObject>} */
  async properties(model) {
    const producer = [model.producer, model.producer_version].filter(Boolean).join(' ');
    const opsets = Object.fromEntries(model.opsets.map((/** @type {Message} */ { domain, version = 0 }) => [domain || 'ai.onnx', version]));
    const omitted = await this.signature(model.graph);
    return {
      ...(model.ir_version === undefined ? {} : { ir_version: model.ir_version }),
      ...(model.opsets.length ? { opsets } : {}),
      ...(producer ? { producer } : {}),
      ...(omitted ? { omitted_signatures: [omitted] } : {}),
    };
  }

  /** A node's operation, and the graphs in it. @param {Range} range @param {string} unnamed what it is called where it has no name @param {number} depth */
  async node(range, unnamed, depth) {
    const { name, op = '', domain = '', attributes } = await this.proto.message(range, NODE);
    const standard = !domain || domain === 'ai.onnx';
    if (!this.functions.has(`${domain}::${op}`)) this.artifact.ops.add(standard ? op : `${domain}::${op}`);
    for (const attribute of attributes) {
      const { name: key = '', graph, graphs } = await this.proto.message(attribute, ATTRIBUTE);
      const all = graph ? [graph, ...graphs] : graphs;
      for (const [i, inner] of all.entries()) await this.graph(inner, `${name || unnamed}/${key}/${i}/`, depth + 1);
    }
  }

  /** @param {Range} range @param {string} prefix of names @param {number} depth */
  async graph(range, prefix, depth) {
    if (depth > DEEPEST_GRAPH) this.fail(range.offset, `graphs at most ${DEEPEST_GRAPH} deep`, 'more');
    const late = [];
    let position = 0;
    for await (const field of this.proto.fields(range)) {
      if ([1, 5, 15].includes(field.number) && field.wire !== BYTES) this.fail(field.at, 'a message', field.wire);
      if (field.number === 1) {
        await this.node(field.range, `${prefix}${position}`, depth);
        position++;
      } else if (field.number === 5) late.push(() => this.tensor(field.range, prefix));
      else if (field.number === 15) late.push(() => this.sparse(field.range, prefix));
    }
    for (const read of late) await read();
  }

  /** @param {Range} range @param {string} prefix */
  async sparse(range, prefix) {
    const { values, indices } = await this.proto.message(range, { 1: { name: 'values', type: 'range' }, 2: { name: 'indices', type: 'range' } });
    if (!values || !indices) return this.fail(range.offset, 'values and indices', 'less');
    const { name = '' } = await this.proto.message(values, TENSOR);
    await this.tensor(values, prefix, `${name}/values`);
    return this.tensor(indices, prefix, `${name}/indices`);
  }

  /** One initialiser (ONX-01 to ONX-03). @param {Range} range @param {string} prefix @param {string} [given] name */
  async tensor(range, prefix, given) {
    const tensor = await this.proto.message(range, TENSOR);
    const dtype = DTYPES.get(tensor.type ?? 0);
    if (!dtype) return this.fail(range.offset, 'a data type that is known', tensor.type ?? 0);
    const name = prefix + (given ?? tensor.name ?? '');
    if (this.names.has(name)) this.fail(range.offset, 'initialisers of different names', name);
    this.names.add(name);
    const shape = /** @type {number[]} */ (tensor.dims);
    const place = `${this.root}#${name}`;
    if (shape.some((size) => size < 0)) refuse('ONX-03', place, 'sizes', shape);
    const there = tensor.location === EXTERNAL ? await this.outside(tensor, place) : await this.inside(range, tensor.type, dtype, shape, place);
    this.check(there, dtype, shape, place);
    this.artifact.addTensor({ name, dtype, shape, names: { onnx: name }, ...there });
    return undefined;
  }

  /** @param {{ length: number }} there @param {string} dtype @param {number[]} shape @param {string} place */
  check({ length }, dtype, shape, place) {
    const bits = bitsOf(dtype);
    const elements = elementsOf(shape);
    const expected = bits ? bytesOf(elements, bits) : NaN;
    if (bits && length !== expected) refuse('ONX-03', place, `${expected} bytes, by type and shape`, length);
  }

  /** @param {Message} tensor @param {string} place */
  async outside(tensor, place) {
    const entries = new Map(tensor.external.map((/** @type {Message} */ { key, value }) => [key, value]));
    const location = String(entries.get('location') ?? '');
    const report = new Report();
    checkPath(location, place, report);
    if (report.errors) refuse('ONX-02', place, 'a path below the directory of the model', location);
    const path = folderOf(this.root) + location;
    if (!this.external.has(path)) {
      const bytes = await openFile(this.surroundings, path, 'ONX-02');
      this.external.set(path, bytes);
    }
    const { size } = /** @type {Bytes} */ (this.external.get(path));
    const number = (/** @type {string} */ key, /** @type {number} */ otherwise) => {
      const text = entries.get(key);
      if (text === undefined) return otherwise;
      return /^[0-9]{1,16}$/.test(text) ? Number(text) : refuse('ONX-03', place, `${key} as a number`, text);
    };
    const offset = number('offset', 0);
    const length = number('length', size - offset);
    if (offset > size || length > size - offset) refuse('ONX-03', place, `a range inside ${path}, which has ${size} bytes`, `offset ${offset}, length ${length}`);
    return { file: path, offset, length };
  }

  /** @param {Range} range @param {number} type @param {string} dtype @param {number[]} shape @param {string} place */
  async inside(range, type, dtype, shape, place) {
    /** @type {Map<number, import('./protobuf.js').Field[]>} */
    const parts = new Map();
    for await (const field of this.proto.fields(range)) {
      if (VALUES.has(field.number)) parts.set(field.number, [...(parts.get(field.number) ?? []), field]);
    }
    const own = FIELD_OF.get(type) ?? 5;
    const raw = parts.get(9)?.at(-1);
    if (raw) {
      if (raw.wire !== BYTES) this.fail(raw.at, 'bytes', raw.wire);
      return { file: this.root, ...raw.range };
    }
    const fields = parts.get(own) ?? [];
    if (!fields.length) return this.empty(range, dtype, shape, place);
    const fixed = own === 4 ? FIXED32 : own === 10 ? FIXED64 : null;
    if (fixed !== null && fields.length === 1 && fields[0].wire === BYTES) return { file: this.root, ...fields[0].range };
    const data = own === 6 ? await this.strings(fields) : await this.numbers(fields, dtype, fixed);
    return { data, length: data.length };
  }

  /** @param {Range} range @param {string} dtype @param {number[]} shape @param {string} place */
  empty(range, dtype, shape, place) {
    if (elementsOf(shape) !== 0) refuse('ONX-03', place, 'data', 'none');
    if (dtype === 'string') {
      const data = encodeStrings([]);
      return { data, length: data.length };
    }
    return { file: this.root, offset: range.offset, length: 0 };
  }

  /** @param {import('./protobuf.js').Field[]} fields */
  async strings(fields) {
    const elements = [];
    for (const { range } of fields) elements.push(await this.proto.bytes(range));
    return encodeStrings(elements);
  }

  /** Numbers that are varints, or fixed ones that are apart. @param {import('./protobuf.js').Field[]} fields @param {string} dtype @param {number | null} fixed */
  async numbers(fields, dtype, fixed) {
    const bits = /** @type {number} */ (bitsOf(dtype));
    // Values of less than a byte are packed already, two or more in a number.
    const width = fixed === FIXED32 ? 4 : fixed === FIXED64 ? 8 : Math.max(1, Math.ceil(bits / 8));
    /** @type {number[]} */
    const out = [];
    const put = (/** @type {bigint} */ value) => {
      for (let i = 0; i < width; i++) out.push(Number((value >> BigInt(8 * i)) & 255n));
    };
    for (const field of fields) {
      if (field.wire !== BYTES) put(field.value);
      else if (fixed === null) for await (const value of this.proto.packed(field.range)) put(value);
      else for (const byte of await this.proto.bytes(field.range)) out.push(byte);
    }
    return Uint8Array.from(out);
  }

  /** The signature of the graph; its name where it has a port without a dtype. @param {Range} range */
  async signature(range) {
    const graph = await this.proto.message(range, {
      2: { name: 'name', type: 'text' },
      11: { name: 'inputs', type: 'message', table: VALUE_INFO, many: true }, 12: { name: 'outputs', type: 'message', table: VALUE_INFO, many: true },
    });
    const name = graph.name || 'main';
    const inputs = graph.inputs.filter((/** @type {Message} */ port) => !this.names.has(port.name ?? ''));
    const ports = [inputs, graph.outputs].map((list) => list.map((/** @type {Message} */ { name: port = '', type }) => {
      const dtype = DTYPES.get(type?.tensor?.type ?? 0);
      return { name: port, dtype, shape: type?.tensor?.shape ? type.tensor.shape.dims.map(dimensionOf) : null };
    }));
    if (ports.flat().some(({ dtype, name: port }) => !dtype || !port)) return name;
    this.artifact.signatures.push({ name, component: this.root, inputs: ports[0], outputs: ports[1] });
    return null;
  }
}

/** @param {Surroundings} surroundings @param {string} root @returns {Promise<Artifact>} */
export async function readOnnx(surroundings, root) {
  const bytes = await openFile(surroundings, root);
  if (bytes.size > LARGEST) refuse('ONX-01', root, `at most ${LARGEST} bytes`, bytes.size);
  const model = new Model(surroundings, root, bytes);
  model.artifact.addSource(root, bytes);
  const artifact = await model.read();
  for (const [path, own] of [...model.external].sort(([a], [b]) => compareText(a, b))) artifact.addSource(path, own);
  return artifact;
}
