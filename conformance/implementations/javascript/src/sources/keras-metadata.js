/** Keras metadata of a SavedModel (section 13.6, SVM-04): the config of its first model. */
import { refuse } from '../findings.js';
import { encodeUtf8 } from '../text.js';
import { isMap, parseLoose } from './loose-json.js';
import { BYTES, Protobuf } from './protobuf.js';
/** @typedef {import('./paged.js').PagedBytes} PagedBytes */
/** @typedef {import('./protobuf.js').Range} Range */
/** @typedef {import('./keras-config.js').GivenConfig} GivenConfig */

const LARGEST = 64 * 2 ** 20;

/** The config in the metadata of one object, if it is a model that has one. @param {string} text @param {string} place @returns {GivenConfig | null} */
function configIn(text, place) {
  const bytes = encodeUtf8(text);
  const { value, spans } = parseLoose(bytes, {
    nonFinite: true, surrogates: true, deepest: 500,
    refuse: (_, at, expected, found) => refuse('SVM-04', `${place}@${at}`, expected, found),
  });
  if (!isMap(value)) return refuse('SVM-04', place, 'an object', 'another value');
  const config = value.get('model_config');
  if (config === undefined || config === null) return null;
  if (!isMap(config)) return refuse('SVM-04', place, 'a config that is an object', 'another value');
  const slice = (/** @type {string} */ name) => {
    const span = value.get(name) === null ? undefined : spans.get(name);
    return span && encodeUtf8(text.slice(span[0], span[1]));
  };
  const version = value.get('keras_version');
  return {
    config: /** @type {Uint8Array} */ (slice('model_config')), training: slice('training_config'), model: true,
    kerasVersion: typeof version === 'string' && version ? version : undefined,
  };
}

/** @param {Protobuf} proto @param {{ identifier: string, range: Range }[]} nodes in their order */
export async function firstModelOf(proto, nodes) {
  const keras = new Protobuf(proto.source, proto.path, 'SVM-04');
  for (const { range } of nodes) {
    const found = configIn(await keras.text(range), `${keras.path}@${range.offset}`);
    if (found) return found;
  }
  return null;
}

/** The first model of keras_metadata.pb. @param {PagedBytes} source @param {string} path */
export async function firstModel(source, path) {
  if (source.size > LARGEST) refuse('SVM-04', path, `at most ${LARGEST} bytes`, source.size);
  const proto = new Protobuf(source, path, 'SVM-04');
  const nodes = [];
  for await (const { number, wire, range, at } of proto.fields(proto.whole)) {
    if (number !== 1) continue;
    if (wire !== BYTES) proto.fail(at, 'an object', wire);
    const { id = 0, metadata, identifier = '' } = await proto.message(range, {
      2: { name: 'id', type: 'int' }, 4: { name: 'identifier', type: 'text' }, 5: { name: 'metadata', type: 'range' },
    });
    if (metadata?.length) nodes.push({ id, identifier, range: metadata });
  }
  return firstModelOf(proto, nodes.sort((a, b) => a.id - b.id));
}
