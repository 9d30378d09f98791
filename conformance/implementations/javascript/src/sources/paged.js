/**
 * Bytes of a source, read by range: small reads come out of pages that are kept, so that a walk
 * through a structure costs few reads.
 *
 *     const source = new PagedBytes(bytes);
 *     (await source.view(0, 8)).getBigUint64(0, true);
 */
/** @typedef {import('../platform.js').Bytes} Bytes */

const PAGE = 1 << 16;
const MOST_PAGES = 64;

export class PagedBytes {
  /** @param {Bytes} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.size = bytes.size;
    /** @type {Map<number, Uint8Array>} */
    this.pages = new Map();
  }

  /** @param {number} number */
  async page(number) {
    let page = this.pages.get(number);
    if (!page) {
      const at = number * PAGE;
      page = await this.bytes.read(at, Math.min(PAGE, this.size - at));
      if (this.pages.size >= MOST_PAGES) this.pages.delete(/** @type {number} */ (this.pages.keys().next().value));
      this.pages.set(number, page);
    }
    return page;
  }

  /** The bytes of a range inside the source. @param {number} offset @param {number} length @returns {Promise<Uint8Array>} */
  async read(offset, length) {
    if (!length) return new Uint8Array(0);
    const first = Math.floor(offset / PAGE);
    const last = Math.floor((offset + length - 1) / PAGE);
    if (last - first > 1) return this.bytes.read(offset, length);
    const page = await this.page(first);
    const begin = offset - first * PAGE;
    if (first === last) return page.subarray(begin, begin + length);
    const out = new Uint8Array(length);
    out.set(page.subarray(begin));
    out.set((await this.page(last)).subarray(0, offset + length - last * PAGE), PAGE - begin);
    return out;
  }

  /** @param {number} offset @param {number} length */
  async view(offset, length) {
    const bytes = await this.read(offset, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

/** Bytes that are a range of others. @param {Bytes} bytes @param {number} offset @param {number} size @returns {Bytes} */
export const slice = (bytes, offset, size) => ({
  size,
  read: (at, length) => bytes.read(offset + at, length),
  close: async () => {},
});

/** Bytes in memory. @param {Uint8Array} data @returns {Bytes} */
export const inMemory = (data) => ({
  size: data.length,
  read: async (offset, length) => data.subarray(offset, offset + length),
  close: async () => {},
});
