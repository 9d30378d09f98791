/**
 * The role Writer at level Full: sources on disk become a bundle (chapters 12 and 13).
 *
 *     await packSources(node, ['models/net.keras'], 'net.modelbundle');
 */
import { promises as fs } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { NoAnswer, refuse, Report } from './findings.js';
import { writeBundle } from './layout-writer.js';
import { nodeDirectory } from './node.js';
import { INDEX_FILES, MANIFEST, checkPath } from './paths.js';
import { pieces } from './platform.js';
import { checkBindings, formRows } from './rows.js';
import { checkSignatures } from './sources/golden.js';
import { readSource } from './sources/source.js';
import { bundleDigest, planBundle } from './writer.js';
/** @typedef {import('./platform.js').Platform} Platform */
/** @typedef {import('./platform.js').Bytes} Bytes */
/** @typedef {import('./platform.js').Directory} Directory */
/** @typedef {import('./sources/artifact.js').Artifact} Artifact */

const HEAD = 1024;

/** What tells that a file was changed. @param {import('node:fs').BigIntStats} stat */
const stamp = ({ size, mtimeNs, ctimeNs, ino }) => `${size} ${mtimeNs} ${ctimeNs} ${ino}`;

/** A folder whose files are opened once, and noticed when they change (SRC-02). */
class WatchedFolder {
  /** @param {string} root */
  constructor(root) {
    this.root = root;
    this.inner = nodeDirectory(root);
    /** @type {Map<string, { bytes: Bytes, stamp: string }>} */
    this.opened = new Map();
  }

  /** @param {string} path */
  async stampOf(path) {
    return stamp(await fs.lstat(`${this.root}/${path}`, { bigint: true }));
  }

  /** @returns {Directory} */
  get directory() {
    return {
      stat: (path) => this.inner.stat(path),
      list: (path) => this.inner.list(path),
      open: async (path) => {
        let entry = this.opened.get(path);
        if (!entry) {
          const before = await this.stampOf(path);
          entry = { bytes: await this.inner.open(path), stamp: before };
          this.opened.set(path, entry);
        }
        return entry.bytes;
      },
    };
  }

  async check() {
    for (const [path, { stamp: before }] of this.opened) {
      const now = await this.stampOf(path).catch(() => 'gone');
      if (now !== before) refuse('SRC-02', path, 'a file that stays as it is while it is read', 'a change');
    }
  }

  async close() {
    for (const { bytes } of this.opened.values()) await bytes.close();
  }
}

/** SRC-05 and the paths of section 4.2. @param {Artifact[]} artifacts */
function checkPaths(artifacts) {
  const report = new Report();
  const seen = new Set();
  for (const { files, directories } of artifacts) {
    for (const path of [...files.map((file) => file.path), ...directories]) {
      if (INDEX_FILES.has(path) || path === MANIFEST) refuse('SRC-05', path, 'another path than those of the bundle itself', path);
      if (seen.has(path)) refuse('SRC-05', path, 'a path in one source', 'two sources');
      seen.add(path);
      checkPath(path, path, report);
    }
  }
  report.stop();
}

/** @param {Platform} platform @param {Artifact} artifact */
async function withDigests(platform, artifact) {
  const bytes = new Map(artifact.files.map((file) => [file.path, file.bytes]));
  const tensors = [];
  for (const tensor of artifact.tensors) {
    const hash = platform.sha256();
    const file = /** @type {Bytes} */ (bytes.get(tensor.file));
    for await (const piece of pieces(file, tensor.offset, tensor.length)) hash.update(piece);
    const head = (await file.read(tensor.offset, Math.min(HEAD, tensor.length))).slice();
    tensors.push({ ...tensor, digest: `sha256:${await hash.hex()}`, head });
  }
  return { root: artifact.root, tensors };
}

/** Golden vectors against the signatures and topologies of all sources (GLD-06 to GLD-08). @param {Artifact[]} artifacts */
async function checkVectors(artifacts) {
  const components = new Map(artifacts.flatMap((artifact) => artifact.components.map((component) => [component.id, component])));
  const files = new Map(artifacts.flatMap((artifact) => artifact.files.map((file) => [file.path, file.bytes])));
  const topologyOf = async (/** @type {string} */ id) => {
    const path = components.get(id)?.files.find((one) => /(?:^|\/)topology\.json$/.test(one));
    const bytes = path === undefined ? undefined : files.get(path);
    return bytes ? JSON.parse(new TextDecoder().decode(await bytes.read(0, bytes.size))) : null;
  };
  const signatures = artifacts.flatMap((artifact) => artifact.signatures);
  for (const { vectors, root } of artifacts) await checkSignatures(vectors, root, { signatures, kindOf: (id) => components.get(id)?.kind, topologyOf });
}

/** @template T @param {T[]} items */
const distinct = (items) => [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];

/**
 * Artifacts as the input of a Writer (section 12.2).
 * @param {Platform} platform
 * @param {Artifact[]} artifacts
 * @returns {Promise<import('./writer.js').Spec>}
 */
export async function specOf(platform, artifacts) {
  checkPaths(artifacts);
  const sources = [];
  for (const artifact of artifacts) sources.push(await withDigests(platform, artifact));
  const formed = formRows(sources);
  for (const artifact of artifacts) checkBindings(formed, artifact);
  await checkVectors(artifacts);
  const { rows, namespaces, attributes } = formed;
  return {
    files: artifacts.flatMap(({ files }) => files),
    rows: rows.map(({ name, dtype, shape, file, offset, length, role, digest }) => ({ name, dtype, shape, file, offset, length, role, digest })),
    ranges: sources.flatMap(({ tensors }) => tensors.map(({ file, offset, length, digest }) => ({ file, offset, length, digest }))),
    namespaces,
    attributes,
    components: artifacts.flatMap(({ components }) => components),
    signatures: artifacts.flatMap(({ signatures }) => signatures),
    requirements: {
      layers: artifacts.flatMap(({ layers }) => [...layers]),
      ops: artifacts.flatMap(({ ops }) => [...ops]),
      customObjects: distinct(artifacts.flatMap(({ customObjects }) => customObjects)),
    },
    directories: artifacts.flatMap(({ directories }) => directories),
    compositions: 'auto',
  };
}

/** Findings about a source name it as the person gave it. @param {string} given @param {() => Promise<Artifact>} read */
async function reading(given, read) {
  const root = basename(given);
  try {
    return await read();
  } catch (error) {
    const findings = /** @type {{ findings?: import('./findings.js').Finding[] }} */ (error).findings ?? [];
    for (const finding of findings) {
      if (/^SRC-0[134]/.test(finding.rule) && finding.place === root) finding.place = given;
    }
    throw error;
  }
}

/**
 * Packs sources; throws a Refusal for a source that breaks a rule.
 * @param {Platform} platform
 * @param {string[]} paths of the sources, as the person gave them
 * @param {string} destination an archive if it ends in .modelbundle, else a directory
 * @param {{ schemas?: import('./schemas.js').Schemas }} [options] schemas: of the documents in captured models
 * @returns {Promise<string>} the bundle digest
 */
export async function packSources(platform, paths, destination, { schemas } = {}) {
  if (!paths.length) throw new NoAnswer('no source is given');
  const folders = [];
  try {
    const artifacts = [];
    for (const given of paths) {
      const whole = resolve(given);
      const folder = new WatchedFolder(dirname(whole));
      folders.push(folder);
      artifacts.push(await reading(given, () => readSource({ platform, directory: folder.directory, schemas }, basename(whole))));
    }
    const content = await planBundle(platform, await specOf(platform, artifacts));
    for (const folder of folders) await folder.check();
    await writeBundle(platform, content, destination);
    return await bundleDigest(platform, content);
  } finally {
    for (const folder of folders) await folder.close();
  }
}
