/** CRC-32 of ZIP (ARC-10) and CRC-32C of string tensors (section 4.7). */

/** @param {number} polynomial reflected */
function table(polynomial) {
  const entries = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    entries[i] = crc >>> 0;
  }
  return entries;
}

const CRC32 = table(0xedb88320);
const CRC32C = table(0x82f63b78);

/** @param {Uint32Array} entries @param {Uint8Array} bytes @param {number} before */
function update(entries, bytes, before) {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ entries[(crc ^ bytes[i]) & 0xff];
  return ~crc >>> 0;
}

/** @param {Uint8Array} bytes @param {number} [before] CRC of the bytes before these */
export const crc32 = (bytes, before = 0) => update(CRC32, bytes, before);

/** @param {Uint8Array} bytes @param {number} [before] CRC of the bytes before these */
export const crc32c = (bytes, before = 0) => update(CRC32C, bytes, before);

/** Masked as in LevelDB. @param {number} crc */
export const maskCrc = (crc) => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
