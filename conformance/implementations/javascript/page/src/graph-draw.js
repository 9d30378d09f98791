/**
 * The layer graph as SVG.
 *
 *     const { element, boxes } = drawGraph(graph, listeners);
 *
 * Every box is a group with its key in `data-key`, a label for screen readers, and tabindex -1: graph-view.js
 * moves the focus between them.
 */
import { svg } from './dom.js';
import { brief, shown } from './format.js';
import { TITLE } from './layout.js';
/** @typedef {import('./layers.js').Drawn} Drawn */
/** @typedef {import('./layers.js').DrawnBox} DrawnBox */
/** @typedef {{ box: DrawnBox, element: SVGGElement, x: number, y: number, before: string[], after: string[] }} Placed  x and y in the whole graph */

/** Widths of letters differ, so a text is cut a little early. */
const LETTER = 6.9;
const BOLD_LETTER = 8.4;

/** @param {string} text @param {number} width @param {number} letter */
const fit = (text, width, letter) => shown(text, Math.max(4, Math.floor(width / letter)));

/** @param {DrawnBox} box */
function kindOf({ layer }) {
  if (layer.model) return 'model';
  if (layer.class === 'InputLayer') return 'input';
  return layer.custom ? 'custom' : layer.tensors ? 'weights' : 'plain';
}

/** What a screen reader says. @param {DrawnBox} box */
function labelOf({ layer, call, calls, hidden, inputs, outputs }) {
  const parts = [`${layer.class || 'Layer'} ${layer.name}`];
  if (calls > 1) parts.push(`call ${call + 1} of ${calls}`);
  if (layer.elements) parts.push(`${brief(layer.elements)} parameters`);
  if (layer.custom) parts.push('custom');
  if (hidden) parts.push(`${hidden} layers inside, closed`);
  if (inputs.length) parts.push('input of the model');
  if (outputs.length) parts.push('output of the model');
  return shown(parts.join(', '));
}

/** @param {[number, number][]} points */
function curve(points) {
  let path = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1];
    const [x, y] = points[i];
    const bend = (y - y0) / 2;
    path += Math.abs(x - x0) < 0.5 ? `L${x} ${y}` : `C${x0} ${y0 + bend} ${x} ${y - bend} ${x} ${y}`;
  }
  return path;
}

/** @param {string} word @param {number[]} at */
const port = (word, at) => (at.length > 1 || at[0] ? `${word} ${at.slice(0, 4).join(', ')}` : word);

/** @param {DrawnBox} box @param {(key: string) => void} onToggle */
function contents(box, onToggle) {
  const { layer, width, height, call, calls, hidden, inside } = box;
  const chip = calls > 1 ? `${call + 1}/${calls}` : '';
  const room = width - 20 - (chip ? 38 : 0) - (layer.model ? 28 : 0);
  const parameters = layer.elements && !inside ? ` · ${brief(layer.elements)}` : '';
  const note = hidden ? ` · ${hidden} inside` : '';
  return [
    svg('rect', { class: 'frame', width, height, rx: inside ? 14 : 9 }),
    svg('text', { class: 'class', x: 12, y: 21 }, fit(layer.class || layer.name, room, BOLD_LETTER)),
    svg('text', { class: 'name', x: 12, y: 38 }, fit(layer.name + parameters + note, width - 18, LETTER)),
    chip ? svg('g', { class: 'chip', transform: `translate(${width - (layer.model ? 68 : 42)} 8)` },
      svg('rect', { width: 32, height: 17, rx: 8 }), svg('text', { x: 16, y: 12.5 }, chip)) : null,
    layer.model ? svg('g', { class: 'toggle', transform: `translate(${width - 30} 7)`, click: (/** @type {Event} */ event) => { event.stopPropagation(); onToggle(box.key); } },
      svg('rect', { width: 20, height: 20, rx: 6 }), svg('text', { x: 10, y: 14.5 }, inside ? '−' : '+')) : null,
    box.outputs.length ? svg('text', { class: 'port', x: width / 2, y: height + 14 }, port('output', box.outputs)) : null,
    box.inputs.length ? svg('text', { class: 'port', x: width / 2, y: -6 }, port('input', box.inputs)) : null,
  ];
}

/**
 * @param {Drawn} graph
 * @param {{ onSelect: (key: string) => void, onToggle: (key: string) => void }} listeners
 * @returns {{ element: SVGGElement, boxes: Map<string, Placed> }}
 */
export function drawGraph(graph, { onSelect, onToggle }) {
  /** @type {Map<string, Placed>} */
  const placed = new Map();
  /** @param {Drawn} part @param {number} left @param {number} top @returns {SVGGElement} */
  const drawPart = (part, left, top) => {
    const lines = part.lines.map(({ points, from, to }) => svg('path', { class: 'line', d: curve(points), 'data-from': part.boxes[from].key, 'data-to': part.boxes[to].key, 'marker-end': 'url(#arrow)' }));
    const boxes = part.boxes.map((box) => {
      const { key, x, y, inside } = box;
      const element = svg('g', {
        class: `box ${kindOf(box)}${inside ? ' open' : ''}`, 'data-key': key, 'data-layer': box.layer.path, transform: `translate(${x} ${y})`,
        role: 'button', tabindex: -1, 'aria-label': labelOf(box),
        click: (/** @type {Event} */ event) => { event.stopPropagation(); onSelect(key); },
      }, contents(box, onToggle));
      placed.set(key, { box, element, x: left + x, y: top + y, before: [], after: [] });
      if (inside) {
        const shift = (box.width - inside.width) / 2;
        const content = drawPart(inside, left + x + shift, top + y + TITLE);
        content.setAttribute('transform', `translate(${shift} ${TITLE})`);
        element.append(content);
      }
      return element;
    });
    for (const { from, to } of part.lines) {
      placed.get(part.boxes[from].key)?.after.push(part.boxes[to].key);
      placed.get(part.boxes[to].key)?.before.push(part.boxes[from].key);
    }
    return svg('g', {}, lines, boxes);
  };
  const element = drawPart(graph, 0, 0);
  return { element, boxes: placed };
}
