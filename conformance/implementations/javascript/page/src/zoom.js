/**
 * Moving and zooming a drawing in its window.
 *
 *     const zoom = new Zoom(canvas);
 *     zoom.attach(drawing, { width, height }, true);
 *     zoom.by(1.25);
 */
/** @typedef {import('./graph-draw.js').Placed} Placed */

const LEAST = 0.01;
const MOST = 3;
const MARGIN = 36;
/** A graph that is larger than its window begins at a size at which it can be read. */
const READABLE = 0.75;

export class Zoom {
  /** @param {SVGSVGElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {SVGGElement | null} */
    this.drawing = null;
    this.size = { width: 1, height: 1 };
    this.x = 0;
    this.y = 0;
    this.scale = 1;
    /** Called after each move. */
    this.onMove = () => {};
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener('wheel', (event) => {
      const zooms = event.ctrlKey || event.metaKey;
      // The wheel belongs to the page, until the drawing was clicked.
      if (!zooms && !canvas.contains(document.activeElement)) return;
      event.preventDefault();
      if (!zooms) return this.to(this.x - event.deltaX, this.y - event.deltaY, this.scale);
      const { left, top } = canvas.getBoundingClientRect();
      this.by(Math.exp(-event.deltaY / 200), event.clientX - left, event.clientY - top);
    }, { passive: false });
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      const from = { x: event.clientX - this.x, y: event.clientY - this.y };
      const move = (/** @type {PointerEvent} */ { clientX, clientY }) => this.to(clientX - from.x, clientY - from.y, this.scale);
      const up = () => {
        window.removeEventListener('pointermove', move);
        canvas.classList.remove('moving');
      };
      canvas.classList.add('moving');
      window.addEventListener('pointermove', move);
      window.addEventListener('pointerup', up, { once: true });
      window.addEventListener('pointercancel', up, { once: true });
    });
  }

  /** @param {SVGGElement} drawing @param {{ width: number, height: number }} size @param {boolean} anew @param {number} first middle of the first box */
  attach(drawing, { width, height }, anew, first) {
    this.drawing = drawing;
    this.size = { width, height };
    if (anew) this.begin(first);
    else this.to(this.x, this.y, this.scale);
  }

  get window() {
    return { width: this.canvas.clientWidth || 800, height: this.canvas.clientHeight || 560 };
  }

  /** @param {number} x @param {number} y @param {number} scale */
  to(x, y, scale) {
    this.x = x;
    this.y = y;
    this.scale = Math.min(MOST, Math.max(LEAST, scale));
    this.drawing?.setAttribute('transform', `translate(${this.x} ${this.y}) scale(${this.scale})`);
    this.onMove();
  }

  /** The scale at which the whole is seen. */
  get whole() {
    const { width, height } = this.window;
    return Math.min(1, (width - 2 * MARGIN) / this.size.width, (height - 2 * MARGIN) / this.size.height);
  }

  fit() {
    const { width, height } = this.window;
    const scale = Math.max(LEAST, this.whole);
    this.to((width - this.size.width * scale) / 2, (height - this.size.height * scale) / 2, scale);
  }

  /** The whole where it can be read so, else its beginning. @param {number} first middle of the first box */
  begin(first) {
    if (this.whole >= READABLE) return this.fit();
    const { width } = this.window;
    const scale = Math.max(READABLE, Math.min(1, (width - 2 * MARGIN) / this.size.width));
    const middle = this.size.width * scale < width - 2 * MARGIN ? (first + this.size.width / 2) / 2 : first;
    this.to(width / 2 - middle * scale, MARGIN, scale);
  }

  /** @param {number} factor @param {number} [x] the point that stays @param {number} [y] */
  by(factor, x = this.window.width / 2, y = this.window.height / 2) {
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    const ratio = scale / this.scale;
    this.to(x - (x - this.x) * ratio, y - (y - this.y) * ratio, scale);
  }

  /** Moves no further than needed for a box to be seen. @param {Placed} placed */
  reveal({ x, y, box }) {
    const { width, height } = this.window;
    const scale = Math.max(this.scale, READABLE);
    if (scale !== this.scale) this.by(scale / this.scale);
    const shift = (/** @type {number} */ from, /** @type {number} */ size, /** @type {number} */ room) =>
      from < MARGIN ? MARGIN - from : Math.min(0, Math.max(room - MARGIN - from - size, MARGIN - from));
    const left = this.x + x * this.scale;
    const top = this.y + y * this.scale;
    this.to(this.x + shift(left, box.width * this.scale, width), this.y + shift(top, box.height * this.scale, height), this.scale);
  }
}
