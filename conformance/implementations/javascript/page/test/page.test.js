/** The page in headless Chromium: what it shows, of good, bad and hostile bundles, from files and over HTTP. */
import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { choose, launch, openPage, serve, verdict } from './browser.js';
import { SIAMESE, writeDeep, writeGolden, writeHostile, writeLarge, writeMany } from './bundles.js';
import { outlineOf } from './outline.js';
/** @typedef {import('playwright-core').Page} Page */

const HERE = dirname(fileURLToPath(import.meta.url));
const CASES = resolve(HERE, '../../../../cases');

/** @type {import('./browser.js').Browser} */
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** @param {Page} page @param {string} selector */
const textOf = async (page, selector) => (await page.locator(selector).first().textContent()) ?? '';
/** @param {Page} page */
const rules = (page) => page.locator('#findings .rule').allTextContents();
/** @param {Page} page @returns {Promise<string>} what the focus is on */
const focused = (page) => page.evaluate(() => {
  const element = /** @type {HTMLElement} */ (document.activeElement);
  if (element === document.body) return 'BODY';
  return element.id || element.getAttribute('aria-label') || element.textContent?.trim().slice(0, 40) || element.tagName;
});

/** @param {Page} page @param {string} name of the committed outline */
async function compareOutline(page, name) {
  const outline = `${JSON.stringify(await outlineOf(page), null, 1)}\n`;
  const path = join(HERE, 'outlines', `${name}.json`);
  if (process.env.UPDATE) return writeFile(path, outline);
  assert.equal(outline, await readFile(path, 'utf8'), `the structure of the page changed; if it should, run the tests with UPDATE=1`);
}

/** No part of the page is beside the window, or over the next. @param {Page} page */
async function assertInOrder(page) {
  const boxes = await page.evaluate(() => ({
    width: document.documentElement.scrollWidth, window: window.innerWidth,
    sections: [...document.querySelectorAll('main section:not(.card)')].map((section) => section.getBoundingClientRect()).filter(({ height }) => height).map(({ top, bottom }) => ({ top, bottom })),
  }));
  assert.ok(boxes.width <= boxes.window, `${boxes.width} px wide in a window of ${boxes.window}`);
  boxes.sections.slice(1).forEach(({ top }, i) => assert.ok(top >= boxes.sections[i].bottom - 1, `section ${i + 1} begins above the end of the one before`));
}

test('an empty page says what it is for', async () => {
  const { page, errors, requests } = await openPage(browser);
  await compareOutline(page, 'empty');
  assert.deepEqual([errors, requests], [[], []]);
  await page.close();
});

test('a bundle with nested and shared layers: everything about it, and the network shut off', async () => {
  const { page, errors, requests } = await openPage(browser);
  const path = SIAMESE;
  assert.equal(await choose(page, path), 'accept');
  assert.match(await textOf(page, '#digest'), /^sha256:[0-9a-f]{64}$/);
  assert.equal(await textOf(page, '#title'), 'Siamese text matcher');
  await page.waitForSelector('.canvas .box');
  await compareOutline(page, 'nested');
  await assertInOrder(page);
  // One layer that is called twice is two boxes; the model inside is open at its first call, and closed at its second.
  assert.equal(await page.locator('.canvas .box[data-layer="project"]').count(), 2);
  assert.equal(await page.locator('.canvas .box[data-layer="encoder"]').count(), 2);
  assert.equal(await page.locator('.canvas .box.open .box').count(), 4);
  await page.locator('.canvas .box[data-layer="encoder"]:not(.open) .toggle').click();
  await page.waitForFunction(() => document.querySelectorAll('.canvas .box.open .box').length === 8);
  await page.locator('.canvas .box[data-layer="project"]').first().click();
  assert.equal(await page.locator('.canvas .box.same').count(), 2);
  await page.getByRole('button', { name: 'Show its tensors' }).click();
  assert.deepEqual(await page.locator('.grid-body [role=gridcell]:first-child').allTextContents(), ['project/bias', 'project/kernel']);
  assert.match(await page.evaluate(() => fetch('https://example.org/').then(() => 'reached', (error) => String(error))), /TypeError/);
  assert.deepEqual(requests, []);
  assert.deepEqual(errors.filter((error) => !/Content Security Policy|Fetch API cannot load/.test(error)), []);
  await page.close();
});

test('values of a tensor are read when it is selected', async () => {
  const { page } = await openPage(browser);
  await choose(page, SIAMESE);
  await page.fill('#tensor-filter', 'gate');
  await page.locator('.grid').focus();
  await page.keyboard.press('ArrowDown');
  await page.waitForSelector('.histogram rect');
  const figures = Object.fromEntries(await page.locator('.figures > div').evaluateAll((list) => list.map((div) => [...div.children].map((child) => child.textContent))));
  assert.deepEqual(figures, { Minimum: '-2', Maximum: '1.5', Mean: '-0.05', Deviation: '1.1225', Zeros: '2', NaN: '2', Infinite: '1' });
  await page.close();
});

test('cases of the suite: one of each area and verdict, under the rule that the case names', async () => {
  const { page, errors } = await openPage(browser);
  /** @type {Map<string, any>} */
  const chosen = new Map();
  for (const area of (await readdir(CASES)).sort()) {
    for (const name of (await readdir(join(CASES, area))).sort()) {
      const spec = JSON.parse(await readFile(join(CASES, area, name, 'case.json'), 'utf8'));
      if (spec.operation !== 'validate' || spec.layout !== 'archive' || spec.recipe || spec.level !== 'core') continue;
      const key = `${area} ${spec.expected.verdict}`;
      if (!chosen.has(key)) chosen.set(key, spec);
    }
  }
  assert.ok(chosen.size > 25, `${chosen.size} kinds of cases`);
  for (const { id, input, expected } of chosen.values()) {
    assert.equal(await choose(page, join(CASES, id, input)), expected.verdict, id);
    const found = await rules(page);
    for (const finding of expected.findings ?? []) assert.ok(finding.rules.some((/** @type {string} */ rule) => found.includes(rule)), `${id}: ${found}`);
    assert.equal(found.length > 0, expected.verdict !== 'accept', id);
    assert.ok((await textOf(page, '#title')).length, id);
  }
  assert.deepEqual(errors, []);
  await page.close();
});

test('a finding has its rule, its text, place, expected and found', async () => {
  const { page } = await openPage(browser);
  await choose(page, join(CASES, 'integrity/archive-file/bundle.modelbundle'));
  await compareOutline(page, 'invalid');
  const finding = page.locator('#findings article').filter({ hasText: 'IDN-02' });
  assert.match(await textOf(page, '#findings .rule-text'), /MUST/);
  assert.match(String(await finding.textContent()), /Expectedsha256:.*Foundsha256:/);
  await page.close();
});

test('Unicode names are shown as they are', async () => {
  const { page } = await openPage(browser);
  assert.equal(await choose(page, join(CASES, 'names/unicode/bundle.modelbundle')), 'accept');
  const names = await page.locator('.grid-body [role=gridcell]:first-child').allTextContents();
  assert.ok(names.some((name) => /[^\u0000-\u024f]/.test(name)), names.join());
  await page.close();
});

test('what is no bundle is refused with its rule, and the page stays usable', async () => {
  const { page, errors } = await openPage(browser);
  for (const [name, bytes] of Object.entries({ 'empty.bin': '', 'text.modelbundle': 'no bundle at all' })) {
    const path = join(browser.directory, name);
    await writeFile(path, bytes);
    assert.equal(await choose(page, path), 'reject');
    assert.ok((await rules(page)).includes('ARC-01'));
  }
  assert.equal(await choose(page, SIAMESE), 'accept');
  assert.deepEqual(errors, []);
  await page.close();
});

test('a directory, chosen or dropped', async () => {
  const { page, errors } = await openPage(browser);
  /** @type {Record<string, string>} */
  const found = {};
  for (const name of await readdir(join(CASES, 'directory'))) {
    const spec = JSON.parse(await readFile(join(CASES, 'directory', name, 'case.json'), 'utf8'));
    if (spec.operation === 'validate' && spec.layout === 'directory' && !spec.recipe) found[spec.expected.verdict] ??= join(CASES, spec.id, spec.input);
  }
  assert.ok(found.accept, 'a case of a good directory');
  await page.setInputFiles('#pick-directory', join(CASES, 'integrity/directory-file/bundle'));
  assert.equal(await verdict(page), 'reject');
  assert.ok((await rules(page)).includes('IDN-02'));
  await page.reload();
  await page.setInputFiles('#pick-directory', found.accept);
  assert.equal(await verdict(page), 'accept');
  const client = await page.context().newCDPSession(page);
  for (const path of [found.accept, join(CASES, 'names/unicode/bundle.modelbundle')]) {
    await page.reload();
    for (const type of /** @type {const} */ (['dragEnter', 'dragOver', 'drop'])) {
      await client.send('Input.dispatchDragEvent', { type, x: 640, y: 340, data: { items: [], files: [path], dragOperationsMask: 1 } });
    }
    assert.equal(await verdict(page), 'accept', path);
    assert.equal(await textOf(page, '.source'), path.split('/').at(-1));
  }
  assert.deepEqual(errors, []);
  await page.close();
});

test('a hundred thousand tensors: few are elements, all can be reached, filtered and sorted', async () => {
  const { page } = await openPage(browser);
  const path = await writeMany(browser.directory, 100_000);
  await page.setInputFiles('#pick-file', path);
  await page.waitForSelector('.grid-row[id]');
  assert.ok(await page.locator('.grid-body .grid-row').count() < 60);
  const grid = page.locator('.grid');
  assert.equal(await grid.getAttribute('aria-rowcount'), '100001');
  await grid.focus();
  await page.keyboard.press('End');
  assert.equal(await textOf(page, '[aria-selected=true] [role=gridcell]'), 'layer_099999/kernel');
  await page.keyboard.press('Home');
  await page.keyboard.press('PageDown');
  assert.equal(await grid.getAttribute('aria-activedescendant'), await page.locator('[aria-selected=true]').getAttribute('id'));
  await page.fill('#tensor-filter', '00042');
  assert.match(await textOf(page, '#tensors .toolbar .note'), /^11 of 100,000/);
  await page.selectOption('#tensor-dtype', 'float32');
  await page.getByRole('button', { name: 'Name' }).click();
  assert.equal(await textOf(page, '.grid-body [role=gridcell]'), 'layer_000428/kernel');
  assert.equal(await page.locator('[role=columnheader]').first().getAttribute('aria-sort'), 'descending');
  await page.close();
});

test('four hundred layers: drawn, and found by name', async () => {
  const { page } = await openPage(browser);
  await choose(page, await writeDeep(browser.directory));
  await page.waitForSelector('.canvas .box');
  assert.equal(await page.locator('.canvas .box').count(), 400);
  await page.fill('#layer-find', 'block_391');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.canvas .box.selected');
  const [place, stage] = await page.evaluate(() => ['.canvas .box.selected', '.stage'].map((selector) => /** @type {Element} */ (document.querySelector(selector)).getBoundingClientRect().toJSON()));
  assert.ok(place.top > stage.top && place.bottom < stage.bottom, 'the layer that was found is in sight');
  await page.close();
});

test('hostile names are text, and nothing but text', async () => {
  const { page, errors } = await openPage(browser);
  await choose(page, await writeHostile(browser.directory));
  await page.waitForSelector('.canvas .box');
  await page.locator('.canvas .box').first().click();
  for (const row of await page.locator('.grid-body .grid-row').all()) await row.click();
  await page.waitForTimeout(300);
  assert.equal(await page.locator('main :is(img, script, iframe, object, embed, [onerror], [onload])').count(), 0);
  assert.doesNotMatch(await page.title(), /^owned/);
  assert.ok((await page.locator('body').innerText()).includes('<img src=x onerror='));
  assert.doesNotMatch(await page.locator('body').innerText(), /\u202e/);
  await assertInOrder(page);
  assert.deepEqual(errors, []);
  await page.close();
});

test('an address is read by ranges, and all of it only when asked for', async () => {
  const large = await writeLarge(browser.directory, 24);
  const server = await serve({ 'large.modelbundle': large, 'nested.modelbundle': SIAMESE, 'modelbundle.html': browser.html });
  const { page, errors } = await openPage(browser, server.url('modelbundle.html'));
  const before = server.served.bytes;
  const asked = server.served.requests;
  await page.fill('#url', server.url('large.modelbundle'));
  await page.keyboard.press('Enter');
  await page.waitForSelector('#verdict[data-verdict=opened]');
  const read = server.served.bytes - before;
  assert.ok(read < 200_000, `${read} bytes to open`);
  assert.ok(server.served.requests - asked <= 3, `${server.served.requests - asked} requests to open`);
  assert.equal(Number(await page.locator('#network').getAttribute('data-bytes')), read);
  assert.match(await textOf(page, '#network'), /read, in \d+ requests?\./);
  await page.locator('.grid-body .grid-row').first().click();
  await page.getByRole('button', { name: /^Read values/ }).click();
  await page.waitForSelector('.histogram rect');
  assert.match(await textOf(page, '.values'), /sha256 is the one in the index/);
  assert.ok(server.served.bytes - before < 10_000_000);
  await page.getByRole('button', { name: /^Check every byte/ }).click();
  assert.equal(await verdict(page), 'accept');
  // A local file shuts the network off; the next address loads the page anew.
  await choose(page, SIAMESE);
  await page.fill('#url', server.url('nested.modelbundle'));
  await page.keyboard.press('Enter');
  await page.waitForSelector('#verdict[data-verdict=opened]');
  assert.equal(await textOf(page, '#title'), 'Siamese text matcher');
  assert.deepEqual(errors, []);
  await page.close();
  await server.close();
});

test('an address that cannot be read says why', async () => {
  const file = SIAMESE;
  const server = await serve({ 'modelbundle.html': browser.html });
  const whole = await serve({ 'x.modelbundle': file }, { ranges: false });
  const { page } = await openPage(browser, server.url('modelbundle.html'));
  for (const [url, reason] of /** @type {[string, RegExp][]} */ ([
    [server.url('none.modelbundle'), /answers 404/], [whole.url('x.modelbundle'), /does not give out ranges/],
    ['http://127.0.0.1:9/x.modelbundle', /No answer/], ['ftp://example.org/x', /only https: and http:/],
  ])) {
    await page.fill('#url', url);
    await page.keyboard.press('Enter');
    await page.waitForFunction((text) => new RegExp(text).test(document.getElementById('trouble')?.textContent ?? ''), reason.source);
  }
  await page.close();
  await server.close();
  await whole.close();
});

test('golden vectors are named, and that this page has no engine for them', async () => {
  const { page } = await openPage(browser);
  await page.setInputFiles('#pick-file', await writeGolden(browser.directory));
  await verdict(page);
  assert.match(await textOf(page, '#golden .content'), /golden\.json.*does not include an engine/);
  assert.doesNotMatch(await textOf(page, '#overview'), /No golden vectors/);
  await page.close();
});

test('checking a large file shows how far it is, and can be stopped', async () => {
  const { page } = await openPage(browser);
  await page.setInputFiles('#pick-file', await writeLarge(browser.directory, 160));
  await page.waitForFunction(() => Number(document.querySelector('progress')?.value) > 0.05);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.waitForSelector('#verdict[data-verdict=stopped]');
  assert.equal(await page.locator('#trouble').isVisible(), false);
  await page.close();
});

test('by keyboard: skip links, every control in order, the graph and the table by arrows, focus in sight', async () => {
  const { page } = await openPage(browser);
  await choose(page, SIAMESE);
  await page.waitForSelector('.canvas .box');
  await page.keyboard.press('Tab');
  await page.locator('.skips a').first().focus();
  /** @type {string[]} */
  const walk = [];
  for (let i = 0; i < 40; i++) {
    if (i) await page.keyboard.press('Tab');
    const seen = await page.evaluate(() => {
      const element = /** @type {Element} */ (document.activeElement);
      const shown = element.matches('.hidden-input') ? /** @type {Element} */ (element.closest('.button')) : element;
      return getComputedStyle(shown).outlineStyle !== 'none' && getComputedStyle(shown).outlineWidth !== '0px';
    });
    const at = await focused(page);
    if (at === 'BODY') break;
    walk.push(at);
    assert.ok(seen, `the focus on ${at} cannot be seen`);
  }
  const order = ['Skip to content', 'pick-file', 'pick-directory', 'url', 'Copy', 'Overview', 'layer-find', 'Layer graph', 'tensor-filter', 'tensor-dtype', 'tensor-role', 'Tensors'];
  const places = order.map((name) => walk.indexOf(name));
  // "Tensors" is a link of the navigation as well.
  places[places.length - 1] = walk.lastIndexOf('Tensors');
  assert.ok(places.every((place, i) => place >= 0 && (!i || place > places[i - 1])), walk.join(' → '));

  await page.locator('.canvas').focus();
  const steps = [];
  for (const key of ['ArrowDown', 'ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'Enter']) {
    await page.keyboard.press(key);
    await page.waitForTimeout(key === 'Enter' ? 300 : 0);
    steps.push(await page.locator('.canvas .box.selected').getAttribute('data-key'));
  }
  assert.deepEqual(steps, ['/question#0', '/answer#0', '/question#0', '/encoder#0', '/project#0', '/encoder#0', '/encoder#0']);
  assert.equal(await page.locator('.canvas .box.selected.open').count(), 0);
  assert.match(await focused(page), /^Functional encoder, call 1 of 2/);

  await page.evaluate(() => /** @type {HTMLElement} */ (document.querySelector('.skips a[href="#findings"]')).focus());
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'findings');
  await page.close();
});

test('dark, narrow and enlarged', async () => {
  const { page } = await openPage(browser);
  await page.emulateMedia({ colorScheme: 'dark' });
  await choose(page, SIAMESE);
  const [paper, ink] = await page.evaluate(() => [getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.documentElement).color]);
  const light = (/** @type {string} */ color) => (color.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, n) => sum + Number(n), 0);
  assert.ok(light(paper) < 150 && light(ink) > 500, `${ink} on ${paper}`);
  for (const width of [360, 640, 900]) {
    await page.setViewportSize({ width, height: 800 });
    await assertInOrder(page);
  }
  await page.close();
});
