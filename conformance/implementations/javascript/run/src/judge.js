/**
 * Section 18.3: an output held against the golden one, under a precision profile.
 *
 * Invariants: only the two ratios decide; a NaN among them fails. The median of an even number of σ is the mean of
 * the two in the middle.
 *
 *     judge(output, y);            // { name, outcome: 'pass', max_ratio: 0.8, rms_ratio: 0.2, decisions: 4, top1: 1 }
 */
import { LEAST_NORMAL, valueOf } from './arrays.js';
/** @typedef {import('./arrays.js').Value} Value */
/** @typedef {import('../../src/sources/golden.js').Values} Golden */
/**
 * @typedef {object} Judgement
 * @property {string} name
 * @property {'pass' | 'fail' | 'unjudged'} outcome
 * @property {string} [reason]
 * @property {number | string} [max_ratio]
 * @property {number | string} [rms_ratio]
 * @property {number | string} [relative_l2]
 * @property {number} [top1]
 * @property {number} decisions
 * @property {string} [explained_by]
 */

/** a², b², m² and w² of section 18.3. */
const PROFILES = /** @type {const} */ ({
  float32: [2 ** -48, 2 ** -48, 0, 0],
  tf32: [2 ** -48, 2 ** -48, 2 ** -22, 0],
  float16: [2 ** -22, 2 ** -48, 0, 2 ** -22],
  bfloat16: [2 ** -16, 2 ** -48, 0, 2 ** -16],
  float64: [2 ** -106, 2 ** -106, 0, 0],
});
/** @typedef {keyof typeof PROFILES} Profile */
/** @type {Profile[]} */
const LOWER = ['tf32', 'float16', 'bfloat16'];
const FLOOR = 0.1;
const MAX_RATIO = 10;
const MAX_RMS = 3;
const LARGEST_L2 = 2 ** -7;
/** A decision is clear where its lead is more than so many σ. */
const LEAD = 20;

/** @param {Uint8Array} bytes */
const floats = (bytes) => new Float32Array(new Uint8Array(bytes).buffer);

/** @param {Float64Array} values */
function median(values) {
  if (!values.length) return 0;
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** σ of each element (step 2). @param {Record<string, Uint8Array>} channels @param {Profile} profile @returns {Float64Array} */
export function sigmasOf(channels, profile) {
  const [a2, b2, m2, w2] = PROFILES[profile];
  const [st, ab, acc, mm, wt] = ['st', 'ab', 'acc', 'mm', 'wt'].map((name) => floats(channels[name]));
  const sigmas = Float64Array.from(st, (_, i) => Math.sqrt(a2 * (st[i] ** 2 + ab[i] ** 2) + b2 * acc[i] ** 2 + m2 * mm[i] ** 2 + w2 * wt[i] ** 2));
  const floor = FLOOR * median(sigmas);
  return sigmas.map((sigma) => Math.max(sigma, floor));
}

/** Whether NaN and the infinities stand at the same places (step 1). @param {ArrayLike<number>} y @param {ArrayLike<number>} g */
function sameMasks(y, g) {
  for (let i = 0; i < g.length; i++) if (!(Number.isFinite(g[i]) ? Number.isFinite(y[i]) : Object.is(y[i], g[i]))) return false;
  return true;
}

/** Steps 3 and 4. @param {ArrayLike<number>} y @param {ArrayLike<number>} g @param {Float64Array} sigmas @param {number} least normal number */
function ratiosOf(y, g, sigmas, least) {
  let max = 0;
  let squares = 0;
  let count = 0;
  for (let i = 0; i < g.length; i++) {
    if (!Number.isFinite(g[i])) continue;
    count++;
    const ratio = y[i] === g[i] || (y[i] === 0 && Math.abs(g[i]) < least) ? 0 : Math.abs(y[i] - g[i]) / sigmas[i];
    // Math.max keeps NaN.
    max = Math.max(max, ratio);
    squares += ratio * ratio;
  }
  return { max, rms: count ? Math.sqrt(squares / count) : 0 };
}

/** @param {ArrayLike<number>} y @param {ArrayLike<number>} g */
function relativeL2(y, g) {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < g.length; i++) {
    if (!Number.isFinite(g[i])) continue;
    difference += (y[i] - g[i]) ** 2;
    norm += g[i] ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/** Share of the clear decisions that agree. @param {ArrayLike<number>} y @param {ArrayLike<number>} g @param {Float64Array} sigmas @param {number} width of the last axis */
function decisionsOf(y, g, sigmas, width) {
  let decisions = 0;
  let agree = 0;
  for (let row = 0; width > 1 && row + width <= g.length; row += width) {
    const order = Array.from({ length: width }, (_, i) => row + i).sort((i, k) => g[k] - g[i]);
    const [first, second] = order;
    if (!(g[first] - g[second] > LEAD * Math.max(sigmas[first], sigmas[second]))) continue;
    decisions++;
    if (order.every((i) => y[i] <= y[first])) agree++;
  }
  return decisions ? { decisions, top1: agree / decisions } : { decisions };
}

/** JSON has no word for infinities and NaN. @param {number} value */
const written = (value) => (Number.isFinite(value) ? value : String(value));

/** @param {string} name @param {string} reason @returns {Judgement} */
const failed = (name, reason) => ({ name, outcome: 'fail', reason, decisions: 0 });

/** An output that is no float, or of an exact vector: the elements that count are equal. @param {Value} y @param {Value} g @param {Uint8Array | undefined} decided @param {boolean} exact @returns {Judgement} */
function judgeEqual(y, g, decided, exact) {
  let wrong = 0;
  // Equal NaN are equal; minus zero equals zero.
  for (let i = 0; i < g.values.length; i++) if ((exact || !decided || decided[i]) && y.values[i] !== g.values[i] && !Object.is(y.values[i], g.values[i])) wrong++;
  if (wrong) return failed(g.name, `${wrong} of ${g.values.length} elements differ`);
  const answered = exact || decided;
  return { name: g.name, outcome: answered ? 'pass' : 'unjudged', decisions: 0, ...(answered ? {} : { reason: 'the vector does not say which elements are decided' }) };
}

/** A float output without channels: only a gross difference can be told. @param {Value} y @param {Value} g @returns {Judgement} */
function judgeLoosely(y, g) {
  const distance = sameMasks(y.values, g.values) ? relativeL2(y.values, g.values) : NaN;
  const judged = { relative_l2: written(distance), decisions: 0 };
  if (!(distance <= LARGEST_L2)) return { name: g.name, outcome: 'fail', reason: 'it is another function: its relative L2 distance is above 2^-7', ...judged };
  return { name: g.name, outcome: 'unjudged', reason: 'the vector has no channels', ...judged };
}

/** @param {Value} y @param {Value} g @param {Record<string, Uint8Array>} channels @param {Profile} profile @returns {Judgement} */
function judgeByRatios(y, g, channels, profile) {
  if (!sameMasks(y.values, g.values)) return failed(g.name, 'NaN or infinities stand at other places');
  const least = LEAST_NORMAL[y.dtype];
  const ratios = (/** @type {Profile} */ one) => ratiosOf(y.values, g.values, sigmasOf(channels, one), least);
  const passes = (/** @type {{ max: number, rms: number }} */ { max, rms }) => max <= MAX_RATIO && rms <= MAX_RMS;
  const { max, rms } = ratios(profile);
  const passed = passes({ max, rms });
  const explanation = passed || profile !== 'float32' ? undefined : LOWER.find((lower) => passes(ratios(lower)));
  return {
    name: g.name, outcome: passed ? 'pass' : 'fail', max_ratio: written(max), rms_ratio: written(rms), relative_l2: written(relativeL2(y.values, g.values)),
    ...decisionsOf(y.values, g.values, sigmasOf(channels, profile), g.shape.at(-1) ?? 1),
    ...(passed ? {} : { reason: `an error of ${max.toPrecision(3)} σ, ${rms.toPrecision(3)} σ in the mean; 10 and 3 are allowed` }),
    ...(explanation ? { explained_by: explanation } : {}),
  };
}

/**
 * Judges one output.
 * @param {Golden} golden output of a vector @param {Value} y what the engine gave, in its dtype
 * @param {{ exact?: boolean, profile?: Profile }} [options]
 * @returns {Judgement}
 */
export function judge(golden, y, { exact = false, profile = 'float32' } = {}) {
  const g = valueOf(golden);
  if (`${y.shape}` !== `${g.shape}`) return failed(g.name, `the shape is [${y.shape}], not [${g.shape}]`);
  if (exact || g.dtype !== 'float64') return judgeEqual(y, g, golden.decided, exact);
  if (!(y.dtype in LEAST_NORMAL)) return failed(g.name, `the dtype is ${y.dtype}, not a float`);
  return golden.channels ? judgeByRatios(y, g, golden.channels, profile) : judgeLoosely(y, g);
}
