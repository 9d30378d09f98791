/** The golden check in headless Chromium, on the page with engines: what ran, how far off, and the verdict; no network. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeDamaged } from '../../run/test/damaged.js';
import { choose, launch, openPage } from './browser.js';

const FIXTURES = resolve(fileURLToPath(import.meta.url), '../../../run/fixtures');
const scratch = mkdtempSync(join(tmpdir(), 'modelbundle-golden-'));

/** @type {import('./browser.js').Browser} */
let browser;
before(async () => { browser = await launch({ full: true }); });
after(async () => {
  await browser?.close();
  await rm(scratch, { recursive: true, force: true });
});

/** Opens a bundle and runs the check. @param {string} path */
async function checked(path) {
  const { page, errors, requests } = await openPage(browser);
  assert.equal(await choose(page, path), 'accept');
  await page.getByRole('button', { name: 'Run the golden check' }).click();
  await page.waitForSelector('#golden-verdict');
  const rows = await page.locator('#golden tbody tr').evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent ?? '')));
  const text = await page.locator('#golden .content').textContent();
  const ok = await page.getAttribute('#golden-verdict', 'data-ok');
  await page.close();
  return { rows, text: String(text), ok, errors, requests };
}

test('a Keras model runs on TensorFlow.js, with its ratios', async () => {
  const { rows, ok, errors, requests } = await checked(join(FIXTURES, 'convolutional.modelbundle'));
  assert.equal(ok, 'true');
  assert.match(rows[0][2], /^tensorflow\.js 4\./);
  assert.equal(rows[0][3], 'as it must be');
  assert.match(rows[0][4], /^[0-9.]+ σ$/);
  assert.deepEqual([errors, requests], [[], []]);
});

test('an ONNX model runs on WebAssembly that is in the page', async () => {
  const { rows, ok, errors, requests } = await checked(join(FIXTURES, 'onnx.modelbundle'));
  assert.equal(ok, 'true');
  assert.match(rows[0][2], /^onnxruntime-web 1\./);
  assert.equal(rows[0][3], 'consistent, not verified');
  assert.deepEqual([errors, requests], [[], []]);
});

test('a weight that is not the one of the golden vectors shows', async () => {
  const { rows, ok, text } = await checked(await writeDamaged(join(FIXTURES, 'convolutional.modelbundle'), scratch));
  assert.equal(ok, 'false');
  assert.equal(rows[0][3], 'something else');
  assert.match(text, /An engine computes something else/);
});

test('what TensorFlow.js does not have is said', async () => {
  const { rows, text } = await checked(join(FIXTURES, 'unlike.modelbundle'));
  assert.equal(rows[0][3], 'not run');
  assert.match(text, /unit: UnitNormalization/);
});
