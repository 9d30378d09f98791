/**
 * One bundle, opened: everything that the page asks about it. Runs in the worker.
 *
 *     const session = new Session(input, notify);
 *     await session.open();                   // manifest and indexes: what a Reader checks
 *     await session.validate();               // every byte
 *
 * Answers are plain data. Findings are answers too; NoAnswer is thrown where there is none.
 */
import { digestOf } from '../../src/platform.js';
import { crc32 } from '../../src/checksums.js';
import { NoAnswer, Refusal, Report } from '../../src/findings.js';
import { checkArchiveSize, openIndexes, openManifest } from '../../src/reader.js';
import { validateBundle } from '../../src/validator.js';
import { runner } from 'virtual:runner';
import validators from 'virtual:schemas';
import { layerGraph } from './layers.js';
import { placeOf } from './places.js';
import { sha256 } from './sha256.js';
import { summarise } from './summary.js';
import { figuresOf } from './tensor-figures.js';
/** @typedef {import('../../src/reader.js').Bundle} Bundle */
/** @typedef {import('./places.js').Input} Input */
/** @typedef {import('./places.js').Place} Place */
/** @typedef {import('../../src/findings.js').Finding} Finding */

/** @type {import('../../src/platform.js').Platform} */
const platform = { crc32, sha256 };

/** Precompiled, since a page without eval cannot compile them. @type {import('../../src/schemas.js').Schemas} */
export const schemas = {
  has: (name) => Object.hasOwn(validators, name),
  errors(name, value) {
    const validate = validators[name];
    if (!validate || validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => ({ pointer: instancePath, message: message ?? 'refused' }));
  },
};

/** What validate() holds a bundle to: all of it, sources compared with their formats. */
const LEVEL = 'Full';
const NOTIFY_MS = 100;
/** More naming systems than a person reads. */
const MOST_NAMESPACES = 256;
const LARGEST_DOCUMENT = 64 * 2 ** 20;

/** @param {Report} report */
const judged = (report) => ({ verdict: report.verdict, findings: report.findings, errors: report.errors });

/** Findings of a Refusal join the report. @param {Report} report @param {() => Promise<void>} work */
async function collecting(report, work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    for (const { rule, place, expected, found, hint } of error.findings) report.add(rule, place, expected, found, hint);
  }
}

/** The columns of the index that the table shows. @param {Bundle} bundle */
function columnsOf({ index }) {
  if (!index) return null;
  const { count, names, dtypes, dtype, rank, shape, starts, files, file, offset, length, roles, role, namespaces, attributes } = index;
  return { count, names, dtypes, dtype, rank, shape, starts, files, file, offset, length, roles, role, attributes, namespaces: namespaces.slice(0, MOST_NAMESPACES) };
}
/** @typedef {NonNullable<ReturnType<typeof columnsOf>>} Columns */

export class Session {
  /**
   * @param {Input} input
   * @param {(event: { read: number, requests: number, share: number | null }) => void} notify
   */
  constructor(input, notify) {
    this.input = input;
    this.notify = notify;
    this.stopped = false;
    /** Bytes that the work under way will read, or 0. */
    this.expected = 0;
    this.before = 0;
    this.told = 0;
    this.meter = { bytes: 0, requests: 0, check: () => this.tick() };
    /** @type {Place | null} */
    this.place = null;
    /** @type {Bundle | null} */
    this.bundle = null;
  }

  /** Called before each read. */
  tick() {
    if (this.stopped) throw new NoAnswer('Stopped.');
    const now = Date.now();
    if (now - this.told < NOTIFY_MS) return;
    this.told = now;
    const { bytes, requests } = this.meter;
    this.notify({ read: bytes, requests, share: this.expected ? Math.min(1, (bytes - this.before) / this.expected) : null });
  }

  get traffic() {
    const size = this.place && 'archive' in this.place ? this.place.archive.size : null;
    return { read: this.meter.bytes, requests: this.meter.requests, size };
  }

  /** Steps 1 to 9 of section 11.1, with all that is wrong and not the first of it. */
  async open() {
    this.place = await placeOf(this.input, this.meter);
    const report = new Report();
    /** @type {string | null} */
    let digest = null;
    await collecting(report, async () => {
      this.bundle = await openManifest(platform, /** @type {Place} */ (this.place), report, { seen: (seen) => { digest = seen; } });
      if (!this.bundle) return;
      checkArchiveSize(this.bundle, report);
      if (!report.has('ARC-07')) await openIndexes(this.bundle, report);
    });
    const { bundle } = this;
    return {
      digest, ...judged(report), traffic: this.traffic, bytesToCheck: this.bytesToCheck(),
      summary: bundle && summarise(bundle),
      columns: bundle && columnsOf(bundle),
    };
  }

  /** What a whole validation reads: stored files, tensors, composed files. */
  bytesToCheck() {
    if (!this.bundle) return 0;
    const files = this.bundle.manifest.files.reduce((sum, { size }) => sum + size, 0);
    return files + (this.bundle.index?.length.reduce((sum, length) => sum + length, 0) ?? 0);
  }

  /** Checks every byte. */
  async validate() {
    this.stopped = false;
    this.before = this.meter.bytes;
    this.expected = this.bytesToCheck();
    try {
      const { report } = await validateBundle(platform, this.place, { schemas, sources: true });
      return { ...judged(report), level: LEVEL, traffic: this.traffic };
    } finally {
      this.expected = 0;
      this.stopped = false;
    }
  }

  stop() {
    this.stopped = true;
  }

  /** @returns {Bundle} */
  opened() {
    if (!this.bundle) throw new NoAnswer('The bundle could not be opened.');
    return this.bundle;
  }

  /** Figures of a tensor. @param {number} row */
  async tensor(row) {
    const figures = await figuresOf(this.opened(), row);
    return { ...figures, traffic: this.traffic };
  }

  /** The golden check, on the engines of this page. @param {string} engine the page's WebAssembly, as text */
  async golden(engine) {
    if (!runner) throw new NoAnswer('This page has no engines.');
    await runner.useEngine(engine);
    return runner.check(this.opened(), schemas);
  }

  /**
   * The layer graph of a topology, laid out.
   * @param {string} path of the topology
   * @param {{ expanded: string[], collapsed: string[] }} choice
   */
  async graph(path, choice) {
    const text = await this.text(path);
    return layerGraph(this.opened(), text, schemas, choice);
  }

  /** A small file as text, verified. @param {string} path */
  async text(path) {
    const bundle = this.opened();
    const file = bundle.files.get(path);
    if (!file || file.size > LARGEST_DOCUMENT) throw new NoAnswer(`${path} is not there, or larger than 64 MiB.`);
    const bytes = new Uint8Array(file.size);
    let at = 0;
    for (const { source, offset, length } of bundle.rangesOf(file)) {
      bytes.set(await bundle.readStored(source, offset, length), at);
      at += length;
    }
    const digest = await digestOf(platform, bytes);
    if (digest !== file.digest) throw new NoAnswer(`${path}: its bytes are not those that the manifest names (IDN-02).`);
    return new TextDecoder().decode(bytes);
  }
}
/** @typedef {Awaited<ReturnType<Session['open']>>} Opened */
/** @typedef {Awaited<ReturnType<Session['tensor']>>} TensorFigures */
/** @typedef {Awaited<ReturnType<Session['graph']>>} LayerGraph */
