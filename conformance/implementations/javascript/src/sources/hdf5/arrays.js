/** Fixed and extensible arrays: indexes of chunks in files of newer format. */
/** @typedef {import('./bytes.js').Hdf5Bytes} Hdf5Bytes */
/** @typedef {import('./bytes.js').Cursor} Cursor */
/** @typedef {{ number: number, cursor: Cursor, width: number }} Element */

/** @param {Cursor} cursor @param {string} signature */
function begin(cursor, signature) {
  cursor.signature(signature);
  cursor.version(0);
  cursor.u8();
}

/** Elements that stand in a row, with the checksum behind them. @param {Hdf5Bytes} file @param {number} at @param {number} first @param {number} count @param {number} width */
async function* page(file, at, first, count, width) {
  const cursor = await file.cursor(at, count * width + 4);
  cursor.skip(count * width);
  cursor.checksum();
  for (let i = 0; i < count; i++) yield { number: first + i, cursor: await file.cursor(at + i * width, width), width };
}

/** @param {Uint8Array} bits highest bit first @param {number} i */
const isSet = (bits, i) => (bits[i >> 3] & (0x80 >> (i & 7))) !== 0;

/** @param {Hdf5Bytes} file @param {number} address @returns {AsyncGenerator<Element>} */
async function* fixedElements(file, address) {
  const head = await file.cursor(address, 12 + file.lengthSize + file.offsetSize);
  begin(head, 'FAHD');
  const width = head.u8();
  const bits = head.u8();
  const count = head.size();
  const block = head.address();
  head.checksum();
  if (block === null) return;
  const perPage = 2 ** bits;
  const prefix = 6 + file.offsetSize;
  const paged = count > perPage;
  const pages = paged ? Math.ceil(count / perPage) : 0;
  const bitmap = Math.ceil(pages / 8);
  if (count * width > file.size + perPage * width * pages) head.fail('elements inside the file', count);
  const cursor = await file.cursor(block, prefix + bitmap + (paged ? 0 : count * width) + 4);
  begin(cursor, 'FADB');
  cursor.skip(file.offsetSize);
  const written = cursor.take(bitmap);
  cursor.skip(paged ? 0 : count * width);
  cursor.checksum();
  if (!paged) {
    for (let i = 0; i < count; i++) yield { number: i, cursor: await file.cursor(block + prefix + i * width, width), width };
    return;
  }
  let at = block + prefix + bitmap + 4;
  for (let p = 0; p < pages; p++) {
    const own = Math.min(perPage, count - p * perPage);
    if (isSet(written, p)) yield* page(file, at, p * perPage, own, width);
    at += perPage * width + 4;
  }
}

/** Super blocks of an extensible array: data blocks in each, elements in a data block, first element. @param {number} bits @param {number} least */
function superBlocks(bits, least) {
  const count = 1 + bits - Math.round(Math.log2(least));
  let first = 0;
  return Array.from({ length: count }, (_, u) => {
    const block = { blocks: 2 ** Math.floor(u / 2), elements: 2 ** Math.floor((u + 1) / 2) * least, first };
    first += block.blocks * block.elements;
    return block;
  });
}

/** @param {Hdf5Bytes} file @param {number} address @returns {AsyncGenerator<Element>} */
async function* extensibleElements(file, address) {
  const head = await file.cursor(address, 16 + 6 * file.lengthSize + file.offsetSize);
  begin(head, 'EAHD');
  const [width, bits, own, least, pointers, pageBits] = [head.u8(), head.u8(), head.u8(), head.u8(), head.u8(), head.u8()];
  head.skip(5 * file.lengthSize);
  const count = head.size();
  const index = head.address();
  head.checksum();
  if (index === null) return;
  const powers = [least, pointers].every((size) => size > 0 && Number.isInteger(Math.log2(size)));
  if (!powers || bits > 64) return head.fail('numbers that are powers of 2', `${least}, ${pointers}`);
  const supers = superBlocks(bits, least);
  const inIndex = 2 * Math.log2(pointers);
  const direct = 2 * (pointers - 1);
  const addresses = direct + Math.max(0, supers.length - inIndex);
  const prefix = 6 + file.offsetSize;
  const cursor = await file.cursor(index, prefix + own * width + addresses * file.offsetSize + 4);
  begin(cursor, 'EAIB');
  cursor.skip(file.offsetSize + own * width);
  const found = Array.from({ length: addresses }, () => cursor.address());
  cursor.checksum();
  for (let i = 0; i < Math.min(own, count); i++) yield { number: i, cursor: await file.cursor(index + prefix + i * width, width), width };
  const about = { width, perPage: 2 ** pageBits, offsetWidth: Math.ceil(bits / 8) };
  let next = 0;
  for (const [u, block] of supers.entries()) {
    const inside = u < inIndex;
    const at = inside ? null : found[direct + u - inIndex];
    if (!inside && at === null) continue;
    const data = inside ? { addresses: found.slice(next, next + block.blocks), pages: null } : await superBlock(file, Number(at), block, about);
    next += inside ? block.blocks : 0;
    for (const [k, child] of data.addresses.entries()) {
      if (child !== null) yield* dataBlock(file, child, own + block.first + k * block.elements, block.elements, about, data.pages?.(k));
    }
  }
  return undefined;
}

/** @typedef {{ width: number, perPage: number, offsetWidth: number }} About */

/** @param {Hdf5Bytes} file @param {number} at @param {{ blocks: number, elements: number }} block @param {About} about */
async function superBlock(file, at, { blocks, elements }, { perPage, offsetWidth }) {
  const pages = elements > perPage ? elements / perPage : 0;
  const bitmap = Math.ceil(pages / 8);
  const cursor = await file.cursor(at, 6 + file.offsetSize + offsetWidth + blocks * (bitmap + file.offsetSize) + 4);
  begin(cursor, 'EASB');
  cursor.skip(file.offsetSize + offsetWidth);
  const bits = cursor.take(blocks * bitmap);
  const addresses = Array.from({ length: blocks }, () => cursor.address());
  cursor.checksum();
  return { addresses, pages: (/** @type {number} */ k) => bits.subarray(k * bitmap, (k + 1) * bitmap) };
}

/** @param {Hdf5Bytes} file @param {number} at @param {number} first @param {number} count @param {About} about @param {Uint8Array} [written] pages */
async function* dataBlock(file, at, first, count, { width, perPage, offsetWidth }, written) {
  const prefix = 6 + file.offsetSize + offsetWidth;
  const paged = count > perPage;
  const cursor = await file.cursor(at, prefix + (paged ? 0 : count * width) + 4);
  begin(cursor, 'EADB');
  cursor.skip(file.offsetSize + offsetWidth + (paged ? 0 : count * width));
  cursor.checksum();
  if (!paged) {
    for (let i = 0; i < count; i++) yield { number: first + i, cursor: await file.cursor(at + prefix + i * width, width), width };
    return;
  }
  for (let p = 0; p * perPage < count; p++) {
    const page_ = at + prefix + 4 + p * (perPage * width + 4);
    if (!written || isSet(written, p)) yield* page(file, page_, first + p * perPage, perPage, width);
  }
}

/** The elements of an array, by number. @param {Hdf5Bytes} file @param {number} address @param {'fixed' | 'extensible'} kind */
export const arrayElements = (file, address, kind) => (kind === 'fixed' ? fixedElements(file, address) : extensibleElements(file, address));
