/**
 * A file of an HTTP server as bytes that are read by range, with what was read kept in blocks.
 *
 *     const bytes = await openUrl('https://example.org/net.modelbundle', meter);
 *     await bytes.read(0, 64);        // one request; a read nearby costs none
 *
 * Invariants: no cookie and no referrer is sent; only GET, with one `Range`; an answer is never longer in memory
 * than what was asked for; a file that changes its size while it is read is an error.
 */
import { NoAnswer } from '../../src/findings.js';
/** @typedef {import('../../src/platform.js').Bytes} Bytes */
/** @typedef {{ requests: number, bytes: number, check?: () => void }} Meter */

const BLOCK = 1 << 16;
/** Ranges from this length on are read as they are and not kept. */
const LARGE = 4 * BLOCK;
const MOST_BLOCKS = 256;

/** @param {string} text @returns {URL} an http or https address, or NoAnswer */
export function checkUrl(text) {
  /** @type {URL} */
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new NoAnswer('This is no address: it has to begin with https:// or http://.');
  }
  if (!['http:', 'https:'].includes(url.protocol)) throw new NoAnswer(`Addresses of ${url.protocol} are not read, only https: and http:.`);
  url.hash = '';
  return url;
}

/** Reads at most `length` bytes of an answer. @param {Response} response @param {number} length */
async function readBody(response, length) {
  const out = new Uint8Array(length);
  let at = 0;
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return out.subarray(0, at);
    if (at + value.length > length) {
      await reader.cancel();
      throw new NoAnswer('The server sent more than was asked for.');
    }
    out.set(value, at);
    at += value.length;
  }
}

/** Size of the whole file, from Content-Range. @param {Response} response @returns {number | null} null where the server does not let it be read */
function totalOf(response) {
  const match = /^bytes \d+-\d+\/(\d{1,16})$/.exec(response.headers.get('Content-Range') ?? '');
  return match ? Number(match[1]) : null;
}

/** @param {URL} url @param {RequestInit} init @returns {Promise<Response>} */
async function request(url, init) {
  try {
    return await fetch(url, { ...init, credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store' });
  } catch {
    throw new NoAnswer(`No answer from ${url.host}: it is out of reach, or does not allow other sites to read (CORS).`);
  }
}

/** One range, by one request. @param {URL} url @param {number} offset @param {number} length @param {Meter} meter */
async function readRange(url, offset, length, meter) {
  const response = await request(url, { headers: { Range: `bytes=${offset}-${offset + length - 1}` } });
  meter.requests++;
  if (response.status !== 206) {
    await response.body?.cancel();
    if (response.status === 416) return { bytes: new Uint8Array(0), total: 0 };
    if (response.status === 200) throw new NoAnswer(`${url.host} does not give out ranges; download the file and open it here.`);
    throw new NoAnswer(`${url.host} answers ${response.status}.`);
  }
  const bytes = await readBody(response, length);
  meter.bytes += bytes.length;
  meter.check?.();
  return { bytes, total: totalOf(response) };
}

/** @param {URL} url @returns {Promise<number>} Content-Length of the file */
async function sizeByHead(url) {
  const response = await request(url, { method: 'HEAD' });
  const size = Number(response.headers.get('Content-Length') ?? NaN);
  if (!response.ok || !Number.isSafeInteger(size)) throw new NoAnswer(`${url.host} does not say how long the file is.`);
  return size;
}

/** Blocks that were read, the oldest dropped first. */
class Blocks {
  constructor() {
    /** @type {Map<number, Uint8Array>} */
    this.kept = new Map();
  }

  /** @param {number} at @param {Uint8Array} bytes of one block or of several */
  keep(at, bytes) {
    for (let i = 0; i < bytes.length; i += BLOCK) this.kept.set(at + i / BLOCK, bytes.slice(i, i + BLOCK));
    for (const key of this.kept.keys()) {
      if (this.kept.size <= MOST_BLOCKS) break;
      this.kept.delete(key);
    }
  }

  /** @param {number} offset @param {number} length @returns {Uint8Array | null} null where a block is not there */
  read(offset, length) {
    const out = new Uint8Array(length);
    for (let at = offset; at < offset + length;) {
      const block = this.kept.get(Math.floor(at / BLOCK));
      const from = at % BLOCK;
      if (!block || block.length <= from) return null;
      const part = block.subarray(from, Math.min(BLOCK, from + offset + length - at));
      out.set(part, at - offset);
      at += part.length;
    }
    return out;
  }
}

/**
 * @param {URL} url
 * @param {Meter} meter counts what comes over the network
 * @returns {Promise<Bytes>}
 */
export async function openUrl(url, meter) {
  const blocks = new Blocks();
  const first = await readRange(url, 0, BLOCK, meter);
  const size = first.total ?? await sizeByHead(url);
  blocks.keep(0, first.bytes);
  /** @param {number} offset @param {number} length */
  const fetchRange = async (offset, length) => {
    const { bytes, total } = await readRange(url, offset, length, meter);
    if ((total ?? size) !== size || bytes.length !== length) throw new NoAnswer('The file changed while it was read.');
    return bytes;
  };
  return {
    size,
    async read(offset, length) {
      if (offset + length > size) throw new NoAnswer('Read beyond the end of the file.');
      if (!length) return new Uint8Array(0);
      const known = length < LARGE ? blocks.read(offset, length) : null;
      if (known) return known;
      if (length >= LARGE) return fetchRange(offset, length);
      const begin = Math.floor(offset / BLOCK) * BLOCK;
      const end = Math.min(size, Math.ceil((offset + length) / BLOCK) * BLOCK);
      const bytes = await fetchRange(begin, end - begin);
      blocks.keep(begin, bytes);
      return bytes.slice(offset - begin, offset - begin + length);
    },
    close: async () => {},
  };
}
