/**
 * What a source becomes (chapter 13): files with roles, tensors as ranges of them, components,
 * signatures and requirements. The input of section 12.2, and what a Validator of level Full
 * compares a bundle with.
 */
import { bitsOf } from '../dtypes.js';
import { compareText, encodeUtf8 } from '../text.js';
import { inMemory } from './paged.js';
/** @typedef {import('../platform.js').Bytes} Bytes */
/** @typedef {import('../platform.js').Directory} Directory */
/** @typedef {import('../platform.js').Platform} Platform */
/** @typedef {import('../manifest.js').Component} Component */
/** @typedef {import('../manifest.js').CustomObject} CustomObject */
/** @typedef {import('../json.js').JsonObject} JsonObject */

/**
 * @typedef {{ platform: Platform, directory: Directory, schemas?: import('../schemas.js').Schemas | null }} Surroundings
 *   Where the files of a source are, and the schemas of the documents that this standard defines in sources.
 *
 * @typedef {object} ArtifactFile
 * @property {string} path
 * @property {'source' | 'part' | 'derived'} role
 * @property {string} mediaType
 * @property {Bytes} bytes
 * @property {{ path: string, offset: number }[]} [madeOf]
 *
 * @typedef {object} Tensor  A range of a file of the artifact, or decoded bytes that have none yet.
 * @property {string} name
 * @property {string} dtype
 * @property {number[]} shape
 * @property {string} file
 * @property {number} offset
 * @property {number} length
 * @property {string} role
 * @property {Record<string, string>} names  by naming system
 * @property {Record<string, string>} attributes
 * @property {Uint8Array} [data]  decoded bytes
 */

export const MEDIA = {
  hdf5: 'application/x-hdf5',
  zip: 'application/zip',
  safetensors: 'application/vnd.safetensors',
  json: 'application/json',
  other: 'application/octet-stream',
};

export class Artifact {
  /** @param {string} root */
  constructor(root) {
    this.root = root;
    /** @type {ArtifactFile[]} */
    this.files = [];
    /** @type {string[]} */
    this.directories = [];
    /** @type {Tensor[]} */
    this.tensors = [];
    /** @type {Component[]} */
    this.components = [];
    /** @type {JsonObject[]} */
    this.signatures = [];
    /** @type {Set<string>} */
    this.layers = new Set();
    /** @type {Set<string>} */
    this.ops = new Set();
    /** @type {CustomObject[]} */
    this.customObjects = [];
    /** Tensors of other sources that a graph takes (SHL-03). @type {{ name: string, dtype: string, shape: number[] }[]} */
    this.bindings = [];
    /** Golden vectors, which signatures of other sources have. @type {import('./golden.js').Vector[]} */
    this.vectors = [];
  }

  /** @param {string} path @param {Bytes} bytes @param {string} [mediaType] */
  addSource(path, bytes, mediaType = MEDIA.other) {
    this.files.push({ path, role: 'source', mediaType, bytes });
  }

  /** @param {string} path @param {Uint8Array} data @param {string} [mediaType] */
  addDerived(path, data, mediaType = MEDIA.json) {
    this.files.push({ path, role: 'derived', mediaType, bytes: inMemory(data) });
  }

  /** @param {string} id @param {string} kind @param {string[]} files @param {JsonObject} [properties] @param {string} [derivedFrom] */
  addComponent(id, kind, files, properties, derivedFrom) {
    this.components.push(/** @type {Component} */ ({
      id, kind, files: [...files].sort(compareText),
      ...(derivedFrom === undefined ? {} : { derivedFrom }),
      ...(properties && Object.keys(properties).length ? { properties } : {}),
    }));
  }

  /** @param {Partial<Tensor> & { name: string, dtype: string, shape: number[] }} tensor */
  addTensor(tensor) {
    this.tensors.push({ file: '', offset: 0, length: 0, role: 'other', names: {}, attributes: {}, ...tensor });
  }
}

/** Dtypes that safetensors has (section 13.7), by its own names. @type {Map<string, string>} */
export const SAFETENSORS_DTYPES = new Map(Object.entries({
  BOOL: 'bool', U8: 'uint8', U16: 'uint16', U32: 'uint32', U64: 'uint64', I8: 'int8', I16: 'int16', I32: 'int32', I64: 'int64',
  F16: 'float16', F32: 'float32', F64: 'float64', BF16: 'bfloat16', C64: 'complex64',
  F8_E5M2: 'float8_e5m2', F8_E4M3: 'float8_e4m3fn', F8_E8M0: 'float8_e8m0fnu', F8_E5M2FNUZ: 'float8_e5m2fnuz',
  F8_E4M3FNUZ: 'float8_e4m3fnuz', F4: 'float4_e2m1fn_packed', F6_E2M3: 'float6_e2m3fn_packed', F6_E3M2: 'float6_e3m2fn_packed',
}));
const BY_DTYPE = new Map([...SAFETENSORS_DTYPES].map(([name, dtype]) => [dtype, name]));
const ALIGNMENT = 64;

/** Width of an element as the order of decoded tensors takes it (section 13.1). @param {string} dtype */
function widthOf(dtype) {
  const bits = bitsOf(dtype);
  return bits && bits >= 8 && !dtype.startsWith('bytes') ? bits / 8 : 1;
}

/**
 * How a tensor of any dtype is declared in safetensors (section 13.1).
 * @param {{ dtype: string, shape: number[], length: number }} tensor
 * @returns {{ dtype: string, shape: number[] }}
 */
export function declared({ dtype, shape, length }) {
  const name = BY_DTYPE.get(dtype);
  if (name) return { dtype: name, shape };
  const bits = bitsOf(dtype);
  return { dtype: 'U8', shape: !bits || dtype.endsWith('_packed') ? [length] : [...shape, bits / 8] };
}

/**
 * A header of safetensors as section 13.1 has it, with its length before it.
 * @param {{ name: string, dtype: string, shape: number[], length: number }[]} tensors in their order, dtypes as safetensors calls them
 * @returns {Uint8Array}
 */
export function encodeHeader(tensors) {
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, length }) => {
    at += length;
    return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${at - length},${at}]}`;
  });
  const text = encodeUtf8(`{${entries.join(',')}}`);
  const size = Math.ceil((8 + text.length) / ALIGNMENT) * ALIGNMENT;
  const header = new Uint8Array(size).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(size - 8), true);
  header.set(text, 8);
  return header;
}

/**
 * Writes the decoded tensors to a safetensors file of their own, with its component, and places them.
 * @param {Artifact} artifact
 * @param {string} path of the file
 * @param {string} derivedFrom
 */
export function placeDecoded(artifact, path, derivedFrom) {
  const decoded = artifact.tensors.filter(({ data }) => data);
  if (!decoded.length) return;
  decoded.sort((a, b) => widthOf(b.dtype) - widthOf(a.dtype) || compareText(a.name, b.name));
  const header = encodeHeader(decoded.map((tensor) => ({ ...tensor, ...declared(tensor) })));
  const file = new Uint8Array(decoded.reduce((sum, { length }) => sum + length, header.length));
  file.set(header);
  let offset = header.length;
  for (const tensor of decoded) {
    file.set(/** @type {Uint8Array} */ (tensor.data), offset);
    Object.assign(tensor, { file: path, offset, data: undefined });
    offset += tensor.length;
  }
  artifact.addDerived(path, file, MEDIA.safetensors);
  artifact.addComponent(path, 'safetensors', [path], undefined, derivedFrom);
}
