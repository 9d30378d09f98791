/**
 * What is said of one layer.
 *
 *     detail.replaceChildren(...layerDetail(box, showTensors));
 */
import { h } from './dom.js';
import { count, plural, shown } from './format.js';
/** @typedef {import('./layers.js').DrawnBox} DrawnBox */

/**
 * @param {Pick<DrawnBox, 'layer' | 'call' | 'calls' | 'hidden'>} box
 * @param {(layer: string) => void} showTensors
 * @returns {Node[]}
 */
export function layerDetail({ layer, call, calls, hidden }, showTensors) {
  /** @type {[string, string][]} */
  const pairs = [
    ['Class', layer.class], ['Module', layer.module], ['Registered as', layer.registeredName], ['Path', layer.path],
    ['Call', calls > 1 ? `${call + 1} of ${calls}: one layer, the same weights` : ''], ['Shape', layer.shape], ['Type', layer.dtype],
    ['Trainable', layer.trainable === null ? '' : layer.trainable ? 'yes' : 'no'],
    ['Inside', hidden ? plural(hidden, 'call') : ''], ['Input', layer.implied ? 'implied by the config' : ''],
    ['Tensors', layer.tensors ? `${count(layer.tensors)}, of ${count(layer.elements)} elements` : ''],
  ];
  /** @type {Node[]} */
  const nodes = [
    h('h3', {}, h('code', {}, shown(layer.name || layer.class || 'Model')), layer.custom ? h('span', { class: 'tag' }, 'custom') : null),
    h('dl', { class: 'pairs' }, pairs.filter(([, value]) => value).map(([name, value]) => [h('dt', {}, name), h('dd', {}, shown(value))]).flat()),
  ];
  if (layer.tensors) nodes.push(h('p', {}, h('button', { type: 'button', click: () => showTensors(layer.path) }, 'Show its tensors')));
  if (layer.sublayers.length) {
    nodes.push(h('h4', {}, 'Layers within'), h('ul', { class: 'plain' }, layer.sublayers.map(({ name, class: of, slot }) =>
      h('li', {}, h('span', { class: 'tag' }, shown(slot, 40)), ` ${shown(of, 80)} `, h('code', {}, shown(name, 80))))));
  }
  nodes.push(h('details', { open: true }, h('summary', {}, 'Config'), h('pre', { tabindex: 0 }, layer.config.split('\n').map((line) => `${shown(line)}\n`))));
  return nodes;
}
