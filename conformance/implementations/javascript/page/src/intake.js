/**
 * What a person gives the page: a file or a directory, chosen or dropped, or an address.
 *
 *     const input = await inputOfDrop(event.dataTransfer);
 */
/** @typedef {import('./places.js').Input} Input */

/** Files beyond which a directory is not a bundle but a disk. */
const MOST_ENTRIES = 1 << 20;

/** @param {FileList | File[]} list of one file @returns {Input} */
export const inputOfFile = (list) => ({ kind: 'file', file: list[0] });

/** Files of a directory picker: their paths begin with the directory's own name. @param {FileList} list @returns {Input} */
export function inputOfPicked(list) {
  const files = new Map();
  let name = '';
  for (const file of list) {
    const slash = file.webkitRelativePath.indexOf('/');
    name = file.webkitRelativePath.slice(0, slash);
    files.set(file.webkitRelativePath.slice(slash + 1), file);
  }
  return { kind: 'directory', name, files, empty: null };
}

/**
 * A directory that was dropped, in either of the two ways in which browsers give it.
 * @typedef {{ name: string, list: () => Promise<{ name: string, file: (() => Promise<File>) | null, directory: Dropped | null }[]> }} Dropped
 */

/** The older way, which Chromium does not offer to a page that is a file itself. @param {any} entry @returns {Dropped} */
const ofEntry = (entry) => ({
  name: entry.name,
  async list() {
    const reader = entry.createReader();
    const all = [];
    for (;;) {
      /** @type {any[]} */
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      all.push(...some);
    }
    return all.map((child) => ({
      name: child.name, directory: child.isDirectory ? ofEntry(child) : null,
      file: child.isDirectory ? null : () => new Promise((resolve, reject) => child.file(resolve, reject)),
    }));
  },
});

/** The newer way, which not all browsers offer. @param {any} handle @returns {Dropped} */
const ofHandle = (handle) => ({
  name: handle.name,
  async list() {
    const all = [];
    for await (const child of handle.values()) {
      const directory = child.kind === 'directory';
      all.push({ name: child.name, directory: directory ? ofHandle(child) : null, file: directory ? null : () => child.getFile() });
    }
    return all;
  },
});

/** @param {Dropped} root @returns {Promise<Input>} */
async function inputOfDirectory(root) {
  /** @type {Map<string, File>} */
  const files = new Map();
  /** @type {string[]} */
  const empty = [];
  /** @param {Dropped} dropped @param {string} path */
  const walk = async (dropped, path) => {
    const children = await dropped.list();
    if (!children.length && path) empty.push(path.slice(0, -1));
    for (const { name, file, directory } of children) {
      if (files.size + empty.length >= MOST_ENTRIES) throw new Error('This directory has too many files to be a bundle.');
      if (directory) await walk(directory, `${path}${name}/`);
      else if (file) files.set(path + name, await file());
    }
  };
  await walk(root, '');
  return { kind: 'directory', name: root.name, files, empty };
}

/** @param {DataTransfer} transfer @returns {Promise<Input | null>} null where nothing was dropped that can be read */
export async function inputOfDrop(transfer) {
  // All is asked before the first wait: what was dropped is gone afterwards.
  const item = /** @type {any} */ (transfer.items[0]);
  const { files } = transfer;
  const entry = item?.webkitGetAsEntry?.();
  const handle = entry?.isDirectory ? item.getAsFileSystemHandle?.() : null;
  if (handle) return inputOfDirectory(ofHandle(await handle));
  if (entry?.isDirectory) return inputOfDirectory(ofEntry(entry));
  return files.length ? inputOfFile(files) : null;
}

/** @param {Input} input */
export const nameOf = (input) => (input.kind === 'file' ? input.file.name : input.kind === 'directory' ? input.name : input.url);
