/**
 * A strip beside a graph that is far taller than its window: all boxes, and the part that is seen.
 *
 *     const strip = minimap(zoom);
 *     stage.append(strip.element);
 *     strip.draw(boxes);
 *
 * It is for the pointer; with the keyboard one goes from box to box, or searches.
 */
import { svg } from './dom.js';
/** @typedef {import('./zoom.js').Zoom} Zoom */
/** @typedef {import('./graph-draw.js').Placed} Placed */

const WIDTH = 56;
const MARGIN = 6;
const LEAST = 8;

/** @param {Zoom} zoom */
export function minimap(zoom) {
  const marks = svg('g', {});
  const seen = svg('rect', { class: 'seen', rx: 3 });
  const element = svg('svg', { class: 'minimap', 'aria-hidden': 'true', width: WIDTH }, marks, seen);
  /** Pixels of the strip for one of the graph. */
  const ratios = () => ({ x: (WIDTH - 2 * MARGIN) / zoom.size.width, y: (element.clientHeight - 2 * MARGIN) / zoom.size.height });

  function follow() {
    const { x, y } = ratios();
    const { width, height } = zoom.window;
    const cut = (/** @type {number} */ from, /** @type {number} */ size, /** @type {number} */ all, /** @type {number} */ ratio) => {
      const begin = Math.max(0, Math.min(all, from)) * ratio;
      return { at: MARGIN + begin, size: Math.max(LEAST, Math.min(all, from + size) * ratio - begin) };
    };
    const across = cut(-zoom.x / zoom.scale, width / zoom.scale, zoom.size.width, x);
    const down = cut(-zoom.y / zoom.scale, height / zoom.scale, zoom.size.height, y);
    for (const [name, value] of Object.entries({ x: across.at, width: across.size, y: down.at, height: down.size })) seen.setAttribute(name, String(value));
  }

  /** @param {PointerEvent} event */
  function go(event) {
    const { left, top } = element.getBoundingClientRect();
    const { x, y } = ratios();
    const { width, height } = zoom.window;
    zoom.to(width / 2 - ((event.clientX - left - MARGIN) / x) * zoom.scale, height / 2 - ((event.clientY - top - MARGIN) / y) * zoom.scale, zoom.scale);
  }

  element.addEventListener('pointerdown', (event) => {
    element.setPointerCapture(event.pointerId);
    go(event);
  });
  element.addEventListener('pointermove', (event) => { if (event.buttons) go(event); });
  zoom.onMove = follow;
  return {
    element,
    /** @param {Iterable<Placed>} boxes */
    draw(boxes) {
      element.toggleAttribute('hidden', zoom.whole >= 0.5);
      const { x, y } = ratios();
      marks.replaceChildren(...[...boxes].filter(({ box }) => !box.inside).map(({ box, x: left, y: top }) => svg('rect', {
        class: box.layer.tensors ? 'weights' : null,
        x: MARGIN + left * x, y: MARGIN + top * y, width: Math.max(1.5, box.width * x), height: Math.max(0.8, box.height * y),
      })));
      follow();
    },
  };
}
