/** A component of a bundle, read again as the source that it is. */
import { readCheckpoint, readCheckpointDirectory } from './checkpoint.js';
import { readGolden } from './golden.js';
import { readHdf5, readShardedWeights } from './hdf5-source.js';
import { readKerasArchive } from './keras-archive.js';
import { readKerasConfig } from './keras-config.js';
import { readKerasModel } from './keras-model.js';
import { readOnnx } from './onnx.js';
import { readSafetensors } from './safetensors.js';
import { readSavedModel } from './saved-model.js';
import { readStablehlo } from './stablehlo.js';
import { readTflite } from './tflite.js';
/** @typedef {import('./artifact.js').Artifact} Artifact */
/** @typedef {import('./artifact.js').Surroundings} Surroundings */
/** @typedef {import('../manifest.js').Component} Component */

/** @param {Component} component */
const layoutOf = ({ properties }) => /** @type {any} */ (properties)?.layout;

/** @type {Record<string, (surroundings: Surroundings, component: Component) => Promise<Artifact>>} */
const READERS = {
  golden: (surroundings, { id }) => readGolden(surroundings, id),
  hdf5: (surroundings, component) => (layoutOf(component) === 'keras-weights-sharded' ? readShardedWeights : readHdf5)(surroundings, component.id),
  'keras.archive': (surroundings, { id }) => readKerasArchive(surroundings, id),
  'keras.config': (surroundings, { id }) => readKerasConfig(surroundings, id),
  'keras.model': (surroundings, { id }) => readKerasModel(surroundings, id),
  onnx: (surroundings, { id }) => readOnnx(surroundings, id),
  safetensors: (surroundings, { id }) => readSafetensors(surroundings, id),
  stablehlo: (surroundings, { id }) => readStablehlo(surroundings, id),
  'tensorflow.checkpoint': async (surroundings, { id }) => {
    const isPrefix = (await surroundings.directory.stat(`${id}.index`))?.kind === 'file';
    return isPrefix ? readCheckpoint(surroundings, id) : readCheckpointDirectory(surroundings, id);
  },
  'tensorflow.saved_model': (surroundings, { id }) => readSavedModel(surroundings, id),
  tflite: (surroundings, { id }) => readTflite(surroundings, id),
};

/**
 * @param {Surroundings} surroundings the files of the component, and of what is taken from it
 * @param {Component} component
 * @returns {Promise<Artifact | null>} null for a kind that is no source
 */
export async function readComponent(surroundings, component) {
  const read = Object.hasOwn(READERS, component.kind) ? READERS[component.kind] : null;
  return read ? read(surroundings, component) : null;
}
