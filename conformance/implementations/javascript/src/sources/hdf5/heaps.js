/** Heaps of HDF5 files: local (names of links), global (variable length), fractal (dense links and attributes). */
/** @typedef {import('./bytes.js').Hdf5Bytes} Hdf5Bytes */
/** @typedef {import('./bytes.js').Cursor} Cursor */

/** The data of a local heap. @param {Hdf5Bytes} file @param {number} address @returns {Promise<Cursor>} */
export async function localHeap(file, address) {
  const head = await file.cursor(address, 8 + 2 * file.lengthSize + file.offsetSize);
  head.signature('HEAP');
  head.version(0);
  head.skip(3);
  const size = head.size();
  head.skip(file.lengthSize);
  const data = head.address();
  return data === null ? head.fail('data', 'none') : file.cursor(data, size);
}

/** An object of a global heap. @param {Hdf5Bytes} file @param {number} address @param {number} index @returns {Promise<Uint8Array>} */
export async function globalObject(file, address, index) {
  const head = await file.cursor(address, 8 + file.lengthSize);
  head.signature('GCOL');
  head.version(1);
  head.skip(3);
  const size = head.size();
  const all = await file.cursor(address, size);
  all.skip(8 + file.lengthSize);
  while (all.left >= 8 + file.lengthSize) {
    const start = all.at;
    const found = all.u16();
    all.skip(6);
    const length = all.size();
    if (found === index) return all.take(length);
    if (found === 0) break;
    all.skip(length);
    all.align8(start + 8 + file.lengthSize);
  }
  return head.fail(`object ${index}`, 'none');
}

/** @param {number} size a power of 2 */
const log2 = (size) => Math.round(Math.log2(size));

/** A fractal heap, for objects that lie in its blocks or in their ids. */
export class FractalHeap {
  /** @param {Hdf5Bytes} file @param {number} address */
  constructor(file, address) {
    this.file = file;
    this.at = address;
  }

  async open() {
    const { file } = this;
    const head = await file.cursor(this.at, 26 + 12 * file.lengthSize + 3 * file.offsetSize);
    head.signature('FRHP');
    head.version(0);
    this.idLength = head.u16();
    if (head.u16()) head.fail('a heap without filters', 'filters');
    this.checked = (head.u8() & 2) !== 0;
    const largestObject = head.u32();
    head.skip(2 * file.lengthSize + 2 * file.offsetSize + 8 * file.lengthSize);
    this.width = head.u16();
    this.first = head.size();
    this.largest = head.size();
    const bits = head.u16();
    head.skip(2);
    this.root = head.address();
    this.rows = head.u16();
    head.checksum();
    const powers = [this.first, this.largest].every((size) => size > 0 && Number.isInteger(Math.log2(size)));
    if (!powers || this.largest < this.first || !this.width || bits > 64 || this.rows > 64) head.fail('blocks of sizes that are powers of 2', this.first);
    this.offsetWidth = Math.ceil(bits / 8);
    this.lengthWidth = Math.min(Math.ceil(log2(this.largest) / 8), Math.floor(Math.log2(Math.max(1, largestObject)) / 8) + 1);
    this.directRows = log2(this.largest) - log2(this.first) + 2;
    return this;
  }

  /** Size of the blocks of a row. @param {number} row */
  blockSize(row) {
    return Number(this.first) * 2 ** Math.max(0, row - 1);
  }

  /** The object of an id. @param {Cursor} id @returns {Promise<Cursor>} */
  async object(id) {
    const kind = id.u8();
    if (kind >> 6) id.fail('an id of version 0', kind >> 6);
    const type = (kind >> 4) & 3;
    if (type === 2) return this.tiny(id, kind);
    if (type !== 0) return id.fail('an object in a block', 'a huge one');
    const offset = id.uint(Number(this.offsetWidth));
    const length = id.uint(Number(this.lengthWidth));
    if (this.root === null || this.root === undefined) return id.fail('a block', 'none');
    const place = this.rows ? await this.find(this.root, 0, Number(this.rows), offset) : { address: this.root, start: 0, size: Number(this.first) };
    await this.check(place);
    const inside = offset - place.start;
    if (inside < 0 || length > place.size - inside) return id.fail('an object inside its block', offset);
    return this.file.cursor(place.address + inside, length);
  }

  /** @param {Cursor} id @param {number} kind */
  tiny(id, kind) {
    const extended = Number(this.idLength) > 18;
    const length = 1 + (extended ? ((kind & 15) << 8) | id.u8() : kind & 15);
    if (length > id.left) id.fail('an object inside its id', length);
    return this.file.cursor(id.base + id.at, length);
  }

  /** @param {{ address: number }} block */
  async check({ address }) {
    const head = await this.file.cursor(address, 5);
    head.signature('FHDB');
    head.version(0);
  }

  /**
   * The direct block that holds an offset, below an indirect one.
   * @param {number} address @param {number} start of the block in the heap @param {number} rows @param {number} offset
   * @returns {Promise<{ address: number, start: number, size: number }>}
   */
  async find(address, start, rows, offset) {
    const { file } = this;
    const width = Number(this.width);
    const direct = Math.min(rows, Number(this.directRows));
    const head = 5 + file.offsetSize + Number(this.offsetWidth);
    const cursor = await file.cursor(address, head + rows * width * file.offsetSize + 4);
    cursor.signature('FHIB');
    cursor.version(0);
    cursor.skip(file.offsetSize + Number(this.offsetWidth));
    const children = Array.from({ length: rows * width }, () => cursor.address());
    cursor.checksum();
    let at = start;
    for (let row = 0; row < rows; row++) {
      const size = this.blockSize(row);
      if (offset < at + width * size) {
        const column = Math.floor((offset - at) / size);
        const child = children[row * width + column];
        if (child === null || child === undefined) return cursor.fail('a block', 'none');
        const begin = at + column * size;
        if (row < direct) return { address: child, start: begin, size };
        return this.find(child, begin, log2(size) - log2(Number(this.first) * width) + 1, offset);
      }
      at += width * size;
    }
    return cursor.fail('an offset inside the heap', offset);
  }
}
