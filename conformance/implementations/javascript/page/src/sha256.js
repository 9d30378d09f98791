/**
 * SHA-256 in pieces (FIPS 180-4): WebCrypto hashes only what is in memory at once.
 *
 *     const hash = sha256();
 *     hash.update(bytes);
 *     await hash.hex();
 */
import { toHex } from '../../src/text.js';
/** @typedef {import('../../src/platform.js').Hash} Hash */

const BLOCK = 64;

/** The first 64 primes; their roots give the constants. */
const PRIMES = (() => {
  /** @type {number[]} */
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  return primes;
})();

/** First 32 bits of the fractional part. @param {number} x */
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const ROUND = Int32Array.from(PRIMES, (p) => fraction(Math.cbrt(p)));
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (p) => fraction(Math.sqrt(p)));

/**
 * Takes whole blocks into the state.
 * @param {Int32Array} state of 8 words
 * @param {Int32Array} w room for 64 words
 * @param {Uint8Array} bytes
 * @param {number} from
 * @param {number} to a multiple of 64 beyond from
 */
function compress(state, w, bytes, from, to) {
  for (let at = from; at < to; at += BLOCK) {
    for (let i = 0, p = at; i < 16; i++, p += 4) {
      w[i] = (bytes[p] << 24) | (bytes[p + 1] << 16) | (bytes[p + 2] << 8) | bytes[p + 3];
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3];
    let e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + t1) | 0;
      d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d;
    state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }
}

/** @returns {Hash} */
export function sha256() {
  const state = Int32Array.from(INITIAL);
  const w = new Int32Array(64);
  const rest = new Uint8Array(BLOCK);
  let held = 0;
  let total = 0;
  /** @param {Uint8Array} bytes */
  function update(bytes) {
    total += bytes.length;
    let at = 0;
    if (held) {
      at = Math.min(BLOCK - held, bytes.length);
      rest.set(bytes.subarray(0, at), held);
      held += at;
      if (held < BLOCK) return;
      compress(state, w, rest, 0, BLOCK);
      held = 0;
    }
    const whole = at + Math.floor((bytes.length - at) / BLOCK) * BLOCK;
    compress(state, w, bytes, at, whole);
    rest.set(bytes.subarray(whole), 0);
    held = bytes.length - whole;
  }
  /** @returns {Promise<string>} */
  async function hex() {
    const bits = total * 8;
    const tail = new Uint8Array(held + 9 <= BLOCK ? BLOCK : 2 * BLOCK);
    tail.set(rest.subarray(0, held));
    tail[held] = 0x80;
    const view = new DataView(tail.buffer);
    view.setUint32(tail.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(tail.length - 4, bits >>> 0);
    compress(state, w, tail, 0, tail.length);
    const out = new Uint8Array(32);
    const words = new DataView(out.buffer);
    state.forEach((word, i) => words.setInt32(4 * i, word));
    return toHex(out);
  }
  return { update, hex };
}
