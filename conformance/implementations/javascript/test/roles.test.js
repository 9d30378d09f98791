/** The bundle of the introduction, through all roles. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { promises as fs } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { copyBundle } from '../src/copier.js';
import { Refusal } from '../src/findings.js';
import { writeBundle } from '../src/layout-writer.js';
import { locate, node } from '../src/node.js';
import { openBundle } from '../src/reader.js';
import { unpack } from '../src/unpacker.js';
import { validateBundle } from '../src/validator.js';
import { web } from '../src/web.js';
import { memory, planBundle } from '../src/writer.js';
import { DIGEST, END_RECORD, INDEX, LOCAL_HEADER, SAFETENSORS, SPEC } from './tiny.js';

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url));
/** @type {string} */
let folder;
/** @type {Uint8Array} */
let archive;
const spec = /** @type {any} */ ({ ...SPEC, files: [{ ...SPEC.files[0], bytes: memory(SAFETENSORS) }] });

before(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), 'mb-'));
  await writeBundle(node, await planBundle(node, spec), join(folder, 'tiny.modelbundle'));
  await writeBundle(node, await planBundle(node, spec), join(folder, 'tiny'));
  archive = new Uint8Array(await fs.readFile(join(folder, 'tiny.modelbundle')));
});
after(() => fs.rm(folder, { recursive: true }));

/** @param {Uint8Array} bytes */
const verdictOf = async (bytes) => (await validateBundle(node, { archive: memory(bytes) })).report;

describe('the bundle of the introduction', () => {
  test('is written byte for byte', async () => {
    assert.equal(archive.length, 1747);
    assert.deepEqual(archive.slice(0, 64), LOCAL_HEADER);
    assert.deepEqual(archive.slice(1725), END_RECORD);
    assert.deepEqual(archive.slice(832, 832 + 408), INDEX);
    assert.deepEqual(archive.slice(1344, 1544), SAFETENSORS);
    const { manifestBytes } = await planBundle(node, spec);
    assert.equal(manifestBytes.length, 714);
    assert.deepEqual(archive.slice(64, 64 + 714), manifestBytes);
  });

  test('is read', async () => {
    const bundle = await openBundle(node, { archive: memory(archive) }, { digest: DIGEST });
    assert.equal(bundle.digest, DIGEST);
    const data = await bundle.readTensor(bundle.find('dense/kernel'));
    assert.deepEqual([...new Float32Array(data.slice().buffer)], [1, 2, 3, 4]);
    assert.equal(bundle.find('dense/bias', 'safetensors'), 0);
    assert.throws(() => bundle.find('dense/none'));
    const browser = await openBundle(web, { archive: memory(archive) }, { digest: DIGEST });
    assert.equal(browser.digest, DIGEST);
  });

  test('another digest is refused (RDR-06)', async () => {
    const other = `sha256:${'0'.repeat(64)}`;
    await assert.rejects(openBundle(node, { archive: memory(archive) }, { digest: other }), /RDR-06/);
  });

  test('is copied between layouts', async () => {
    await copyBundle(node, await locate(join(folder, 'tiny')), join(folder, 'copy.modelbundle'));
    assert.deepEqual(new Uint8Array(await fs.readFile(join(folder, 'copy.modelbundle'))), archive);
    await copyBundle(node, await locate(join(folder, 'tiny.modelbundle')), join(folder, 'copy'));
    assert.deepEqual((await fs.readdir(join(folder, 'copy'))).sort(), ['manifest.json', 'net.safetensors', 'tensors.msgpack']);
    assert.equal((await validateBundle(node, await locate(join(folder, 'copy')))).report.verdict, 'accept');
  });

  test('is unpacked, once', async () => {
    const bundle = await openBundle(node, await locate(join(folder, 'tiny')));
    await unpack(bundle, join(folder, 'out/deep'));
    assert.deepEqual(new Uint8Array(await fs.readFile(join(folder, 'out/deep/net.safetensors'))), SAFETENSORS);
    await assert.rejects(unpack(bundle, join(folder, 'out/deep')), /UNP-01/);
  });

  test('no byte of the archive can change, nor be taken away', async () => {
    for (let at = 0; at < archive.length; at++) {
      for (const bit of [1, 0x80]) {
        const bytes = archive.slice();
        bytes[at] ^= bit;
        const report = await verdictOf(bytes);
        assert.notEqual(report.verdict, 'accept', `byte ${at} ^ ${bit}`);
      }
    }
    for (const length of [0, 1, 29, 43, 64, 500, 832, 1543, 1544, 1725, 1746]) {
      assert.equal((await verdictOf(archive.slice(0, length))).verdict, 'reject', `${length} bytes`);
    }
  });

  test('a failed unpacking leaves nothing (UNP-02)', async () => {
    const bytes = archive.slice();
    bytes[1400] ^= 1;
    const bundle = await openBundle(node, { archive: memory(bytes) });
    await assert.rejects(unpack(bundle, join(folder, 'none/at/all')), Refusal);
    await assert.rejects(fs.lstat(join(folder, 'none')));
    await assert.rejects(copyBundle(node, { archive: memory(bytes) }, join(folder, 'broken')), /IDN-02/);
    await assert.rejects(fs.lstat(join(folder, 'broken')));
    assert.deepEqual((await fs.readdir(folder)).filter((name) => name.startsWith('.')), []);
  });

  test('by the command line', async () => {
    const file = join(folder, 'net.safetensors');
    await fs.writeFile(file, SAFETENSORS);
    await fs.writeFile(join(folder, 'SPEC.json'), JSON.stringify(SPEC));
    const run = (/** @type {string[]} */ ...args) => JSON.parse(execFileSync('node', [CLI, ...args, '--json'], { encoding: 'utf8' }));
    assert.equal(run('write', join(folder, 'SPEC.json'), join(folder, 'cli.modelbundle')).digest, DIGEST);
    assert.deepEqual(new Uint8Array(await fs.readFile(join(folder, 'cli.modelbundle'))), archive);
    assert.equal(run('validate', join(folder, 'cli.modelbundle')).ok, true);
    assert.equal(run('read', join(folder, 'tiny')).tensors.length, 2);
    assert.equal(spawnSync('node', [CLI, 'validate', file, '--json']).status, 1);
    assert.equal(spawnSync('node', [CLI, 'validate', join(folder, 'missing'), '--json']).status, 2);
    assert.equal(spawnSync('node', [CLI, 'unknown', '--json']).status, 2);
  });
});

describe('composing (section 12.2)', () => {
  const weights = new Uint8Array(4000).map((_, i) => (i * i) % 251);
  const bytesOf = (/** @type {(number[] | Uint8Array)[]} */ ...parts) => memory(Uint8Array.from(parts.flatMap((part) => [...part])));
  test('the file with the most weights is stored, others are ranges of it', async () => {
    const rest = weights.map((b) => b ^ 1).slice(0, 300);
    const { manifest, stored } = await planBundle(node, {
      files: [
        { path: 'a.bin', bytes: bytesOf([1, 2, 3], weights, [4]) },
        { path: 'b.bin', bytes: bytesOf(weights, rest) },
        { path: 'c.bin', bytes: bytesOf(weights, rest) },
        { path: 'd.bin', bytes: bytesOf([7], weights, rest, rest), madeOf: [{ path: 'b.bin', offset: 1 }] },
      ],
      rows: [
        { name: 'w', dtype: 'uint8', shape: [4000], file: 'a.bin', offset: 3 },
        { name: 'v', dtype: 'uint8', shape: [4000], file: 'b.bin', offset: 0 },
        { name: 'r', dtype: 'uint8', shape: [300], file: 'b.bin', offset: 4000 },
      ],
      compositions: 'auto',
    });
    const composed = manifest.files.filter(({ storage }) => storage === 'composed').map(({ path }) => path);
    assert.deepEqual(composed, ['a.bin', 'c.bin', 'd.bin']);
    // c.bin has no tensors and the same content; d.bin is made of b.bin; a.bin shares w.
    assert.equal(stored('residue.bin').size, 3 + 1 + 1 + 300);
    assert.deepEqual({ ...manifest.tensors }, { count: 3, bytes: 4300 });
  });
});

describe('larger than usual', () => {
  test('65535 members and more have zip64 end records', async () => {
    const { archiveLayout, endRecords } = await import('../src/archive.js');
    const files = Array.from({ length: 65534 }, (_, i) => ({ path: `f${String(i).padStart(6, '0')}`, size: 0, storage: 'stored' }));
    const layout = archiveLayout(/** @type {any} */ ({ files }), 100);
    assert.ok(layout.zip64);
    assert.equal(endRecords(layout).length, 98);
    const big = archiveLayout(/** @type {any} */ ({ files: [{ path: 'a', size: 0xffffffff, storage: 'stored' }, { path: 'b', size: 1, storage: 'stored' }] }), 100);
    const { localHeader, centralHeader } = await import('../src/archive.js');
    assert.equal(localHeader(big.members[1], 0).length % 64, (64 - big.members[1].header % 64) % 64);
    assert.equal(centralHeader(big.members[1], 0).length, 46 + 1 + 20);
    assert.equal(centralHeader(big.members[2], 0).length, 46 + 1 + 12);
  });
});
