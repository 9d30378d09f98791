/**
 * Figures and a histogram of the values of a tensor, in two passes over its bytes.
 *
 *     const { min, max, mean, nan, bins } = measure(pieces, numbersOf('float32'), false);
 *
 * Only finite values count for min, max, mean, deviation and bins. Formula of the deviation: Welford 1962.
 */

/** @typedef {import('./elements.js').Numbers} Numbers */
/**
 * @typedef {object} Figures
 * @property {number} values counted, NaN and infinities included
 * @property {number} min NaN where no value is finite, as are the next four
 * @property {number} max
 * @property {number} mean
 * @property {number} deviation of the population
 * @property {number} zeros
 * @property {number} nan
 * @property {number} infinite
 * @property {number[]} bins counts of equal ranges from min to max; empty where no value is finite
 */

const BINS = 64;

/** First pass. @param {Uint8Array[]} pieces @param {Numbers} numbers */
function moments(pieces, numbers) {
  let values = 0, finite = 0, nan = 0, zeros = 0, mean = 0, squares = 0, min = Infinity, max = -Infinity;
  for (const piece of pieces) {
    numbers(piece, (value) => {
      values++;
      if (!Number.isFinite(value)) {
        if (value !== value) nan++;
        return;
      }
      finite++;
      const delta = value - mean;
      mean += delta / finite;
      squares += delta * (value - mean);
      if (value === 0) zeros++;
      if (value < min) min = value;
      if (value > max) max = value;
    });
  }
  return { values, finite, nan, zeros, mean, squares, min, max };
}

/** Number of bins: one for each integer where they are few. @param {number} min @param {number} max @param {boolean} integers */
function countBins(min, max, integers) {
  if (min === max) return 1;
  return integers && max - min < BINS ? max - min + 1 : BINS;
}

/**
 * @param {Uint8Array[]} pieces of whole elements
 * @param {Numbers} numbers
 * @param {boolean} integers whether all values are integers
 * @returns {Figures}
 */
export function measure(pieces, numbers, integers) {
  const { values, finite, nan, zeros, mean, squares, min, max } = moments(pieces, numbers);
  const infinite = values - finite - nan;
  if (!finite) return { values, min: NaN, max: NaN, mean: NaN, deviation: NaN, zeros, nan, infinite, bins: [] };
  const count = countBins(min, max, integers);
  const bins = new Array(count).fill(0);
  // Halves, because the range of float64 is beyond float64.
  const half = max / 2 - min / 2;
  const scale = integers && count < BINS ? count / (half + 0.5) : count / half;
  for (const piece of pieces) {
    numbers(piece, (value) => {
      if (Number.isFinite(value)) bins[count === 1 ? 0 : Math.min(count - 1, Math.floor((value / 2 - min / 2) * scale))]++;
    });
  }
  return { values, min, max, mean, deviation: Math.sqrt(squares / finite), zeros, nan, infinite, bins };
}
