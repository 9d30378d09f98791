/** B-trees of HDF5 files, versions 1 and 2. */
/** @typedef {import('./bytes.js').Hdf5Bytes} Hdf5Bytes */
/** @typedef {import('./bytes.js').Cursor} Cursor */

const MOST_LEVELS = 64;

/**
 * The children of the leaves of a B-tree of version 1, each with its key.
 * @param {Hdf5Bytes} file @param {number} address @param {number} type 0: groups, 1: chunks @param {number} keySize
 * @param {number} [level] of the node that is expected
 * @returns {AsyncGenerator<{ key: Cursor, child: number }>}
 */
export async function* leaves1(file, address, type, keySize, level = MOST_LEVELS) {
  const head = 8 + 2 * file.offsetSize;
  const prefix = await file.cursor(address, head);
  prefix.signature('TREE');
  if (prefix.u8() !== type) prefix.fail(`a node of type ${type}`, 'another');
  const own = prefix.u8();
  if (level === MOST_LEVELS ? own >= level : own !== level) prefix.fail(`level ${level}`, own);
  const count = prefix.u16();
  const body = await file.cursor(address + head, count * (keySize + file.offsetSize) + keySize);
  for (let i = 0; i < count; i++) {
    const start = body.at;
    body.skip(keySize);
    const key = await file.cursor(address + head + start, keySize);
    const child = body.address();
    if (child === null) return body.fail('a child', 'none');
    if (own === 0) yield { key, child };
    else yield* leaves1(file, child, type, keySize, own - 1);
  }
  return undefined;
}

/** Bytes that hold numbers up to a limit. @param {number} limit */
const widthFor = (limit) => Math.floor(Math.log2(Math.max(limit, 1)) / 8) + 1;

/** Number of records and width of pointers, by depth. @param {Hdf5Bytes} file @param {number} nodeSize @param {number} recordSize @param {number} depth */
function plan2(file, nodeSize, recordSize, depth) {
  const overhead = 10;
  const most = [Math.floor((nodeSize - overhead) / recordSize)];
  const countWidth = widthFor(most[0]);
  const all = [most[0]];
  const allWidth = [0];
  for (let d = 1; d <= depth; d++) {
    const pointer = file.offsetSize + countWidth + allWidth[d - 1];
    most.push(Math.floor((nodeSize - overhead - pointer) / (recordSize + pointer)));
    all.push((most[d] + 1) * all[d - 1] + most[d]);
    allWidth.push(widthFor(all[d]));
  }
  return { most, countWidth, allWidth };
}

/**
 * The records of a B-tree of version 2.
 * @param {Hdf5Bytes} file @param {number} address @param {number[]} types
 * @returns {AsyncGenerator<Cursor>}
 */
export async function* records2(file, address, types) {
  const head = await file.cursor(address, 22 + file.offsetSize + file.lengthSize);
  head.signature('BTHD');
  head.version(0);
  const type = head.u8();
  if (!types.includes(type)) head.fail(`records of type ${types.join(' or ')}`, type);
  const nodeSize = head.u32();
  const recordSize = head.u16();
  const depth = head.u16();
  head.skip(2);
  const root = head.address();
  const count = head.u16();
  head.skip(file.lengthSize);
  head.checksum();
  if (!recordSize || nodeSize < 10 + recordSize || depth > MOST_LEVELS) head.fail('nodes that hold a record', nodeSize);
  if (root === null) return;
  const { most, countWidth, allWidth } = plan2(file, nodeSize, recordSize, depth);
  /** @param {number} at @param {number} number @param {number} level @returns {AsyncGenerator<Cursor>} */
  async function* node(at, number, level) {
    if (number > most[level]) file.fail(at, `at most ${most[level]} records`, number);
    const pointer = level ? file.offsetSize + countWidth + allWidth[level - 1] : 0;
    const cursor = await file.cursor(at, 10 + number * recordSize + (level ? (number + 1) * pointer : 0));
    cursor.signature(level ? 'BTIN' : 'BTLF');
    cursor.version(0);
    if (cursor.u8() !== type) cursor.fail(`records of type ${type}`, 'others');
    const records = cursor.at;
    cursor.skip(number * recordSize);
    const children = [];
    for (let i = 0; level && i <= number; i++) {
      const child = cursor.address();
      const own = cursor.uint(countWidth);
      cursor.skip(allWidth[level - 1]);
      if (child === null) return cursor.fail('a child', 'none');
      children.push({ child, own });
    }
    cursor.checksum();
    for (let i = 0; i <= number; i++) {
      if (level) yield* node(children[i].child, children[i].own, level - 1);
      if (i < number) yield file.cursor(at + records + i * recordSize, recordSize);
    }
    return undefined;
  }
  yield* node(root, count, depth);
}
