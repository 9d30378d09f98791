/**
 * A session of the protocol: one JSON request a line, one answer each, bundles open between them.
 * The bytes that are read stand in files of the scratch directory.
 *
 *     await serve(process.stdin, process.stdout);
 */
import { promises as fs } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { NoAnswer, Refusal } from './findings.js';
import { locate, node } from './node.js';
import { HELLO, copyTo, encodeAnswer, listing, pack, unpackTo, validate } from './operations.js';
import { openBundle } from './reader.js';
import { writeFromSpec } from './spec-writer.js';
/** @typedef {import('./reader.js').Bundle} Bundle */
/** @typedef {{ seq: number, cmd: string, path: string, destination?: string, sources?: string[], digest?: string, scratch?: string, bundle?: number, tensor?: string, file?: string }} Request */

export class Session {
  constructor() {
    this.scratch = '';
    this.made = 0;
    /** @type {Map<number, { bundle: Bundle, close: () => Promise<void> }>} */
    this.open = new Map();
  }

  /** @param {Request} request @returns {Bundle} */
  bundle({ bundle }) {
    const found = this.open.get(Number(bundle));
    if (!found) throw new NoAnswer(`no bundle ${bundle} is open`);
    return found.bundle;
  }

  /** @param {Request} request @returns {Promise<object>} members of the answer */
  async answer(request) {
    const { cmd, path, destination, digest, sources = [] } = request;
    switch (cmd) {
      case 'hello':
        this.scratch = request.scratch ?? '';
        return HELLO;
      case 'open': return this.openAt(path, digest);
      case 'list': return listing(this.bundle(request));
      case 'read': return this.read(request);
      case 'close': return this.close(Number(request.bundle));
      case 'validate': return validate(path);
      case 'unpack': return unpackTo(path, destination);
      case 'copy': return copyTo(path, destination);
      case 'pack': return pack(path, destination, sources);
      case 'write': return { digest: await writeFromSpec(node, path, String(destination)) };
      case 'stop': return {};
      default: throw new NoAnswer(`unknown request: ${cmd}`);
    }
  }

  /** @param {string} path @param {string} [digest] */
  async openAt(path, digest) {
    const where = await locate(path);
    const close = async () => {
      if (where && 'archive' in where) await where.archive.close();
    };
    try {
      const bundle = await openBundle(node, where, { digest });
      this.open.set(++this.made, { bundle, close });
      return { bundle: this.made, digest: bundle.digest };
    } catch (error) {
      await close();
      throw error;
    }
  }

  /** @param {Request} request */
  async read(request) {
    const bundle = this.bundle(request);
    const name = `read-${++this.made}`;
    const handle = await fs.open(join(this.scratch, name), 'wx');
    try {
      if (request.tensor !== undefined) {
        const row = bundle.find(request.tensor);
        const bytes = await bundle.readTensor(row);
        await handle.writeFile(bytes);
        const index = /** @type {import('./tensor-index.js').TensorIndex} */ (bundle.index);
        return { file: name, offset: 0, length: bytes.length, dtype: index.row(row).dtype, shape: index.exactShape(row) };
      }
      const file = bundle.files.get(String(request.file));
      if (!file) throw new NoAnswer(`no file ${request.file}`);
      for await (const piece of bundle.verified(file)) await handle.writeFile(piece);
      return { file: name, offset: 0, length: file.size };
    } finally {
      await handle.close();
    }
  }

  /** @param {number} number */
  async close(number) {
    const found = this.open.get(number);
    this.open.delete(number);
    await found?.bundle.close();
    await found?.close();
    return {};
  }

  /** @param {Request} request @returns {Promise<object>} the answer, a verdict always in it */
  async handle(request) {
    const { seq } = request;
    try {
      return { seq, verdict: 'accept', ...(await this.answer(request)) };
    } catch (error) {
      if (error instanceof Refusal) return { seq, verdict: error.verdict, findings: error.findings };
      throw error;
    }
  }
}

/** @param {NodeJS.ReadableStream} input @param {NodeJS.WritableStream} output */
export async function serve(input, output) {
  const session = new Session();
  for await (const text of createInterface({ input })) {
    /** @type {Request} */
    const request = JSON.parse(text);
    output.write(encodeAnswer(await session.handle(request)));
    if (request.cmd === 'stop') break;
  }
}
