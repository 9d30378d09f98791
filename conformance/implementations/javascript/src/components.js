/** Component kinds, their files and properties (section 8.1, COM-05). */
import { isObject } from './json.js';
/** @typedef {import('./findings.js').Report} Report */
/** @typedef {import('./json.js').Json} Json */
/** @typedef {(value: Json) => boolean} Test */

/** @type {Test} */ const string = (value) => typeof value === 'string';
/** @type {Test} */ const integer = (value) => Number.isInteger(value);
/** @type {Test} */ const isTrue = (value) => value === true;
/** @type {Test} */ const boolean = (value) => typeof value === 'boolean';
/** @type {Test} */ const object = isObject;
/** @param {string[]} words @returns {Test} */
const oneOf = (...words) => (value) => typeof value === 'string' && words.includes(value);
/** @param {Test} item @returns {Test} */
const arrayOf = (item) => (value) => Array.isArray(value) && value.every(item);

/**
 * @typedef {object} Kind
 * @property {((id: string) => string)} [main] path of the main file
 * @property {string} [suffix] end of the path of a file that is required
 * @property {Record<string, Test>} [required]
 * @property {Record<string, Test>} [optional]
 */

/** @param {string} id */
const same = (id) => id;

/** @type {Record<string, Kind>} */
const TABLE = {
  assets: {},
  golden: { main: same, optional: { vectors: integer } },
  hdf5: {
    main: same,
    required: {
      layout: oneOf('keras-model', 'keras-weights', 'keras-weights-v3', 'keras-weights-sharded', 'plain'),
    },
    optional: { keras_version: string, backend: string },
  },
  'keras.archive': { main: same, optional: { keras_version: string } },
  'keras.config': {
    main: same,
    required: {
      dialect: oneOf('keras1', 'keras2', 'keras3'),
      form: oneOf('sequential', 'functional', 'subclassed', 'layer'),
    },
    optional: {
      name: string,
      keras_version: string,
      backend: string,
      parameters_need_build: boolean,
      non_finite: isTrue,
      hazards: arrayOf(
        (value) => isObject(value) && ['layer', 'kind', 'detail'].every((name) => string(value[name])),
      ),
    },
  },
  'keras.model': {
    main: /** @param {string} id */ (id) => `${id}/model.json`,
    required: { selection: arrayOf(string) },
    optional: { keras_version: string, backend: string, class_name: string, module: string, registered_name: string },
  },
  onnx: {
    main: same,
    optional: {
      ir_version: integer,
      opsets: (value) => isObject(value) && Object.values(value).every(integer),
      producer: string,
      omitted_signatures: arrayOf(string),
    },
  },
  safetensors: { main: same, optional: { metadata: object, shards: integer } },
  stablehlo: { main: same, required: { format_version: string }, optional: { platforms: arrayOf(string) } },
  'tensorflow.checkpoint': {
    suffix: '.index',
    optional: { keys: oneOf('object', 'name'), shards: integer, prefix: string, prefixes: arrayOf(string) },
  },
  'tensorflow.saved_model': {
    main: /** @param {string} id */ (id) => `${id}/saved_model.pb`,
    optional: {
      tags: arrayOf(arrayOf(string)),
      shards: integer,
      assets: arrayOf(string),
      tensorflow_version: string,
      keras_version: string,
      omitted_signatures: arrayOf(string),
    },
  },
  tflite: { main: same, optional: { version: integer } },
  training: { optional: { pointer: string } },
};
export const KINDS = new Map(Object.entries(TABLE));

/**
 * COM-05 for a component of a known kind.
 * @param {Kind} kind
 * @param {{ id: Json, files: Json, properties?: Json, kind: Json }} component
 * @param {string} place
 * @param {Report} report
 */
export function checkKind(kind, component, place, report) {
  const { id } = component;
  const files = Array.isArray(component.files) ? component.files : [];
  if (!files.length) report.add('COM-05', `${place}/files`, `a file for a component of kind ${component.kind}`, 'none');
  else if (kind.main && typeof id === 'string' && !files.includes(kind.main(id))) {
    report.add('COM-05', `${place}/files`, `the main file ${kind.main(id)}`, files);
  } else if (kind.suffix !== undefined) {
    const { suffix } = kind;
    if (!files.some((path) => typeof path === 'string' && path.endsWith(suffix))) {
      report.add('COM-05', `${place}/files`, `a file that ends in ${suffix}`, files);
    }
  }
  /** @type {Record<string, Json>} */
  const properties = isObject(component.properties) ? component.properties : {};
  for (const [name, test] of Object.entries(kind.required ?? {})) {
    if (!Object.hasOwn(properties, name)) {
      report.add('COM-05', `${place}/properties`, `the property ${name}`, 'none');
    } else if (!test(properties[name])) {
      report.add('COM-05', `${place}/properties/${name}`, 'a value of section 8.1', properties[name]);
    }
  }
  for (const [name, test] of Object.entries(kind.optional ?? {})) {
    if (Object.hasOwn(properties, name) && !test(properties[name])) {
      report.add('COM-05', `${place}/properties/${name}`, 'a value of the type of section 8.1', properties[name]);
    }
  }
}
