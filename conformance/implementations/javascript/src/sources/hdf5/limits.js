/** Limits of HDF5 files (chapter 16). */
export const MOST_OBJECTS = 2 ** 22;
export const LONGEST_PATH = 4096;
export const ATTRIBUTE_BYTES = 64 * 2 ** 20;
export const DECODED_TIMES = 4096;
export const MOST_CHUNKS = 2 ** 21;
export const LARGEST_PARTIAL_CHUNK = 16 * 2 ** 20;
export const FARTHEST_SUPERBLOCK = 64 * 2 ** 20;
export const LONGEST_ELEMENT = 9_999_999;
