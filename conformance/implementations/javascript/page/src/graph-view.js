/**
 * The section of layers: the drawing with its zoom, and what is said of the layer that is selected.
 *
 *     const view = graphView(paths, (path, choice) => client.call('graph', path, choice), showTensors);
 *     byId('layers').replaceChildren(view.element);
 *
 * Pointer: drag moves, a pinch or Ctrl and the wheel zooms. Keys, with a box in focus: up and down follow the
 * lines, left and right go to the neighbours, Enter opens or closes a model, + − 0 zoom.
 */
import { announce, h, svg } from './dom.js';
import { count, plural, shown } from './format.js';
import { drawGraph } from './graph-draw.js';
import { layerDetail } from './layer-detail.js';
import { minimap } from './minimap.js';
import { Zoom } from './zoom.js';
/** @typedef {import('./session.js').LayerGraph} LayerGraph */
/** @typedef {import('./layers.js').Drawn} Drawn */
/** @typedef {import('./graph-draw.js').Placed} Placed */

/** @param {Drawn} graph @returns {{ boxes: number, left: number }} with those inside of others */
const totals = (graph) => graph.boxes.reduce((sum, { inside }) => {
  const inner = inside ? totals(inside) : { boxes: 0, left: 0 };
  return { boxes: sum.boxes + 1 + inner.boxes, left: sum.left + inner.left };
}, { boxes: 0, left: graph.left });

const arrow = () => svg('defs', {}, svg('marker', {
  id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, orient: 'auto', markerUnits: 'userSpaceOnUse',
}, svg('path', { d: 'M0 0.5 L8 4 L0 7.5 Z' })));

/** What the looks of a box say. */
const legend = () => h('ul', { class: 'plain legend', 'aria-label': 'Legend' }, [['weights', 'with parameters'], ['plain', 'without'], ['model', 'a model'], ['custom', 'custom'], ['same', 'the same layer, called again']].map(([kind, text]) =>
  h('li', {}, svg('svg', { viewBox: '0 0 26 16', 'aria-hidden': 'true' }, svg('g', { class: `box ${kind}` }, svg('rect', { class: 'frame', x: 1.5, y: 1.5, width: 23, height: 13, rx: 4 }))), text)));

/** The box next to another in the same row, or null. @param {Map<string, Placed>} boxes @param {Placed} from @param {number} side */
function neighbour(boxes, from, side) {
  /** @type {string | null} */
  let best = null;
  let distance = Infinity;
  for (const [key, { box, x, y }] of boxes) {
    const far = (x - from.x) * side;
    const level = Math.abs(y + box.height / 2 - from.y - from.box.height / 2) < 60;
    if (level && far > 1 && far < distance) [best, distance] = [key, far];
  }
  return best;
}

/**
 * @param {string[]} paths of topologies
 * @param {(path: string, choice: { expanded: string[], collapsed: string[] }) => Promise<LayerGraph>} load
 * @param {(layer: string) => void} showTensors
 */
export function graphView(paths, load, showTensors) {
  const canvas = svg('svg', { class: 'canvas', role: 'group', 'aria-label': 'Layer graph', tabindex: 0 });
  const zoom = new Zoom(canvas);
  const stage = h('div', { class: 'stage' }, canvas);
  const detail = h('div', { class: 'detail', 'aria-live': 'polite' });
  const facts = h('p', { class: 'note', role: 'status' });
  const find = h('input', { type: 'search', id: 'layer-find', placeholder: 'name or class', autocomplete: 'off', spellcheck: 'false' });
  const picker = paths.length < 2 ? null : h('label', { class: 'field' }, 'Config',
    h('select', { id: 'topology', change: (/** @type {any} */ event) => open(event.target.value) }, paths.map((path) => h('option', { value: path }, shown(path, 100)))));
  const button = (/** @type {string} */ label, /** @type {string} */ text, /** @type {() => void} */ act) => h('button', { type: 'button', 'aria-label': label, title: label, click: act }, text);
  const tools = h('div', { class: 'zoom', role: 'group', 'aria-label': 'Zoom' },
    button('Zoom in', '+', () => zoom.by(1.25)), button('Zoom out', '−', () => zoom.by(0.8)), button('Fit the whole graph', 'Fit', () => zoom.fit()));
  const strip = minimap(zoom);
  const hint = h('p', { class: 'hint', 'aria-hidden': 'true' }, 'Drag to move, Ctrl and wheel to zoom, arrow keys to walk');
  stage.append(tools, strip.element, hint);
  /** @type {Map<string, Placed>} */
  let boxes = new Map();
  let path = '';
  let selected = '';
  const choice = { expanded: new Set(), collapsed: new Set() };

  /** @param {string} key @param {boolean} [focus] */
  function select(key, focus = true) {
    const placed = boxes.get(key);
    if (!placed) return;
    selected = key;
    for (const [other, { element, box }] of boxes) {
      element.classList.toggle('selected', other === key);
      element.classList.toggle('same', box.layer.path === placed.box.layer.path ||
        (box.layer.shared !== null && box.layer.shared === placed.box.layer.shared));
      element.setAttribute('tabindex', other === key ? '0' : '-1');
    }
    for (const line of canvas.querySelectorAll('.line')) {
      const own = line instanceof SVGElement && (line.dataset.from === key || line.dataset.to === key);
      line.classList.toggle('near', own);
    }
    canvas.setAttribute('tabindex', '-1');
    detail.replaceChildren(...layerDetail(placed.box, showTensors));
    if (!focus) return;
    placed.element.focus({ preventScroll: true });
    zoom.reveal(placed);
  }

  /** @param {string} key */
  async function toggle(key) {
    const open = boxes.get(key)?.box.inside !== null;
    choice.expanded[open ? 'delete' : 'add'](key);
    choice.collapsed[open ? 'add' : 'delete'](key);
    await draw(false);
    select(key);
    announce(open ? 'Closed.' : 'Opened.');
  }

  /** @param {LayerGraph} answer */
  function explain({ whole, form }) {
    stage.hidden = true;
    facts.textContent = `No layer graph: the config of form ${shown(form, 40)} does not tell it.`;
    detail.replaceChildren(...layerDetail({ layer: whole, call: 0, calls: 1, hidden: 0 }, showTensors));
  }

  /** @param {boolean} anew whether the whole graph is to be shown */
  async function draw(anew) {
    /** @type {LayerGraph} */
    let answer;
    try {
      answer = await load(path, { expanded: [...choice.expanded], collapsed: [...choice.collapsed] });
    } catch (error) {
      stage.hidden = true;
      facts.textContent = shown(/** @type {Error} */ (error).message);
      return;
    }
    if (!answer.graph) return explain(answer);
    stage.hidden = false;
    const drawing = drawGraph(answer.graph, { onSelect: select, onToggle: toggle });
    boxes = drawing.boxes;
    canvas.replaceChildren(arrow(), drawing.element);
    const first = answer.graph.boxes[0];
    zoom.attach(drawing.element, answer.graph, anew, first ? first.x + first.width / 2 : 0);
    strip.draw(boxes.values());
    const { boxes: total, left } = totals(answer.graph);
    facts.textContent = `${plural(total, 'call')} of layers${left ? `; ${count(left)} more are not drawn` : ''}`;
    if (anew) detail.replaceChildren(h('p', { class: 'empty' }, 'Select a layer to see what is said of it.'));
  }

  /** @param {string} to */
  async function open(to) {
    path = to;
    choice.expanded.clear();
    choice.collapsed.clear();
    canvas.setAttribute('tabindex', '0');
    await draw(true);
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const placed = boxes.get(selected);
    if (['+', '=', '-', '0'].includes(event.key)) {
      if (event.key === '0') zoom.fit();
      else zoom.by(event.key === '-' ? 0.8 : 1.25);
    } else if (!placed) {
      if (!['Enter', ' ', 'ArrowDown', 'ArrowRight'].includes(event.key)) return;
      const [first] = boxes.keys();
      if (first !== undefined) select(first);
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const inner = event.key === 'ArrowDown' && !placed.after.length ? placed.box.inside?.boxes[0]?.key : undefined;
      const [next = inner] = event.key === 'ArrowDown' ? placed.after : placed.before;
      if (next !== undefined) select(next);
    } else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      const next = neighbour(boxes, placed, event.key === 'ArrowRight' ? 1 : -1);
      if (next !== null) select(next);
    } else if (event.key === 'Enter' || event.key === ' ') {
      if (placed.box.layer.model) toggle(selected);
    } else return;
    event.preventDefault();
  }

  function findNext() {
    const text = find.value.trim().toLowerCase();
    const keys = [...boxes.keys()];
    const hits = text ? keys.filter((key) => {
      const { name, class: of } = /** @type {Placed} */ (boxes.get(key)).box.layer;
      return name.toLowerCase().includes(text) || of.toLowerCase().includes(text);
    }) : [];
    if (!hits.length) return announce('No layer has this in its name or class.');
    const next = hits[(hits.indexOf(selected) + 1) % hits.length];
    select(next, false);
    zoom.reveal(/** @type {Placed} */ (boxes.get(next)));
    announce(`${hits.indexOf(next) + 1} of ${hits.length}: ${shown(/** @type {Placed} */ (boxes.get(next)).box.layer.name)}`);
  }

  canvas.addEventListener('keydown', onKey);
  find.addEventListener('keydown', (event) => { if (event.key === 'Enter') findNext(); });
  const ready = paths.length ? open(paths[0]) : Promise.resolve();
  return {
    ready,
    element: h('div', {},
      h('div', { class: 'toolbar' }, picker, h('label', { class: 'field grow' }, 'Find a layer', find), button('Find the next', 'Find', findNext), facts),
      h('div', { class: 'split' }, h('div', {}, stage, legend()), detail)),
  };
}
