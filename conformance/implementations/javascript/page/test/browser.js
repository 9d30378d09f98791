/**
 * Headless Chromium with the page in it, and a server of ranges.
 *
 *     const browser = await launch();
 *     const page = await openPage(browser);
 *     await choose(page, path);
 */
import { createServer } from 'node:http';
import { existsSync, mkdtempSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { makePage } from '../build.js';
/** @typedef {import('playwright-core').BrowserContext} Context */
/** @typedef {import('playwright-core').Page} Page */

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** The page, freshly built, and a browser with a profile of its own. @param {{ full?: boolean }} [options] full: the page with engines */
export async function launch(options) {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is not there: install Chromium (Debian: apt install chromium), or name it in CHROMIUM.`);
  const directory = mkdtempSync(join(tmpdir(), 'modelbundle-page-'));
  const file = join(directory, 'modelbundle.html');
  await writeFile(file, await makePage(options));
  const context = await chromium.launchPersistentContext(join(directory, 'profile'), {
    executablePath: CHROMIUM, args: FLAGS, headless: true, viewport: { width: 1280, height: 900 }, colorScheme: 'light', timeout: 60_000,
  });
  return {
    context, directory, address: pathToFileURL(file).href, html: file,
    async close() {
      await context.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
/** @typedef {Awaited<ReturnType<typeof launch>>} Browser */

/** A new tab with the page; what goes wrong in it, or over the network, is collected. @param {Browser} browser @param {string} [address] */
export async function openPage(browser, address = browser.address) {
  const page = await browser.context.newPage();
  /** @type {string[]} */
  const errors = [];
  /** @type {string[]} */
  const requests = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('dialog', (dialog) => {
    errors.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => { if (/^https?:/.test(request.url())) requests.push(request.url()); });
  await page.goto(address);
  return { page, errors, requests };
}

/** Chooses a file, and waits for the verdict on it. @param {Page} page @param {string} path */
export async function choose(page, path) {
  await page.setInputFiles('#pick-file', path);
  return verdict(page);
}

/** The verdict, once there is one. @param {Page} page @returns {Promise<string>} */
export async function verdict(page) {
  await page.waitForSelector('#verdict:is([data-verdict=accept], [data-verdict=reject], [data-verdict=unsupported])');
  return String(await page.getAttribute('#verdict', 'data-verdict'));
}

/**
 * Gives out files by range. `served` counts the bytes.
 * @param {Record<string, string>} files path by name
 * @param {{ ranges?: boolean }} [options]
 */
export async function serve(files, { ranges = true } = {}) {
  const served = { bytes: 0, requests: 0 };
  const server = createServer(async (request, response) => {
    const path = files[String(request.url).slice(1)];
    if (!path) return void response.writeHead(404).end();
    const data = await readFile(path);
    const headers = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Content-Range', 'Content-Type': path.endsWith('.html') ? 'text/html' : 'application/octet-stream' };
    const range = ranges ? /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') : null;
    if (!range) return void response.writeHead(200, { ...headers, 'Content-Length': data.length }).end(request.method === 'HEAD' ? undefined : data);
    const part = data.subarray(Number(range[1]), Math.min(data.length, Number(range[2]) + 1));
    served.bytes += part.length;
    served.requests++;
    response.writeHead(206, { ...headers, 'Content-Length': part.length, 'Content-Range': `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${data.length}` });
    response.end(part);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    served,
    url: (/** @type {string} */ name) => `http://127.0.0.1:${port}/${name}`,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
