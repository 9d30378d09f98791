/**
 * The page: takes a bundle from a person, asks the worker about it, and shows what it says.
 *
 * Invariants: once a local bundle is open, the page has shut off its own network until it is loaded anew; one
 * part that cannot be shown never keeps the others from being shown.
 */
import { announce, byId, h } from './dom.js';
import { startClient } from './client.js';
import { findingsView } from './findings-view.js';
import { plural, shown } from './format.js';
import { goldenView } from './golden-view.js';
import { graphView } from './graph-view.js';
import { identityView } from './identity-view.js';
import { inputOfDrop, inputOfFile, inputOfPicked, nameOf } from './intake.js';
import { overviewView } from './overview-view.js';
import { tensorView } from './tensor-view.js';
/** @typedef {import('./places.js').Input} Input */
/** @typedef {import('./session.js').Opened} Opened */
/** @typedef {import('./client.js').Client} Client */

/** Bytes of a tensor that are read without being asked for: of a local file, and over the network. */
const EAGER = { local: 64 * 2 ** 20, remote: 256 * 1024 };
const ADDRESS = '#url=';

/** @type {Client | null} */
let client = null;
let sealed = false;

/** From here on this document, and every worker that it starts, reaches nothing. */
function sealNetwork() {
  if (sealed) return;
  sealed = true;
  document.head.append(h('meta', { 'http-equiv': 'Content-Security-Policy', content: "connect-src 'none'" }));
  byId('privacy').textContent = 'Nothing is uploaded: this page has shut off its network.';
}

/** @param {string} text '' for none */
function trouble(text) {
  const box = byId('trouble');
  box.textContent = text;
  box.hidden = !text;
}

/** @param {string} id of a section @param {() => (Node | null)[]} view */
function show(id, view) {
  const content = /** @type {HTMLElement} */ (byId(id).querySelector('.content'));
  try {
    content.replaceChildren(...view().filter((node) => node !== null));
  } catch (error) {
    content.replaceChildren(h('p', { class: 'alarm' }, `This part cannot be shown: ${shown(String(error))}`));
  }
}

/** @param {Opened} opened */
function showFindings({ findings, verdict }, none = 'None so far.') {
  show('findings', () => [findingsView(findings, none)]);
  const badge = byId('finding-count');
  badge.textContent = findings.length ? String(findings.length) : '';
  badge.dataset.verdict = verdict;
}

/** @param {Opened} opened @param {Client} own @param {boolean} local */
function showParts({ summary, columns }, own, local) {
  const unread = () => [h('p', { class: 'empty' }, 'Not known: the bundle cannot be read so far.')];
  const tensors = columns && tensorView(columns, { read: (row) => own.call('tensor', row), eager: local ? EAGER.local : EAGER.remote });
  show('overview', () => (summary ? overviewView(summary) : unread()));
  show('tensors', () => (tensors ? [tensors.element] : unread()));
  const engine = document.getElementById('engine');
  const run = engine && (() => own.call('golden', engine.textContent));
  show('golden', () => (summary ? goldenView(summary, run) : unread()));
  show('layers', () => {
    if (!summary) return unread();
    if (!summary.topologies.length) return [h('p', { class: 'empty' }, 'The bundle has no topology: no Keras config tells its layers.')];
    return [graphView(summary.topologies, (path, choice) => own.call('graph', path, choice), (layer) => tensors?.showLayer(layer)).element];
  });
}

/** @param {Input} input */
async function open(input) {
  const local = input.kind !== 'url';
  if (local) sealNetwork();
  trouble('');
  client?.end();
  /** @type {ReturnType<typeof identityView> | null} */
  let identity = null;
  const own = client = startClient((progress) => identity?.progress(progress));
  byId('bundle').hidden = true;
  announce('Opening…');
  document.body.classList.add('busy');
  try {
    /** @type {Opened} */
    const opened = await own.call('open', input);
    const check = async () => {
      identity?.judge('checking', 0);
      try {
        const answer = await own.call('validate');
        showFindings(answer, `None: every byte was checked, at level ${answer.level} of the standard.`);
        identity?.judge(answer.verdict, answer.errors, answer.level);
        identity?.spend(answer.traffic);
      } catch (error) {
        if (client !== own) return;
        identity?.judge('stopped', 0);
        const { message } = /** @type {Error} */ (error);
        if (message !== 'Stopped.') trouble(shown(message));
      }
    };
    identity = identityView(nameOf(input), opened, { check, stop: () => own.call('stop'), local });
    byId('identity').replaceChildren(...identity.nodes);
    document.body.classList.add('has-bundle');
    byId('bundle').hidden = false;
    for (const link of document.querySelectorAll('.skips .of-bundle')) link.removeAttribute('hidden');
    document.title = `${byId('title').textContent} · Model bundle`;
    showParts(opened, own, local);
    showFindings(opened);
    identity.judge(opened.errors ? opened.verdict : 'opened', opened.errors);
    byId('title').focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
    if (local) await check();
    else announce(`Opened: ${plural(opened.traffic.read, 'byte')} read.`);
  } catch (error) {
    if (client === own) trouble(shown(/** @type {Error} */ (error).message));
  } finally {
    document.body.classList.remove('busy');
  }
}

/** A page that has shut off its network has to be loaded anew to read an address. @param {string} url */
function openAddress(url) {
  const hash = ADDRESS + encodeURIComponent(url);
  if (!sealed) {
    history.replaceState(null, '', hash);
    return open({ kind: 'url', url });
  }
  location.hash = hash;
  location.reload();
}

function listen() {
  const file = /** @type {HTMLInputElement} */ (byId('pick-file'));
  const directory = /** @type {HTMLInputElement} */ (byId('pick-directory'));
  const picked = (/** @type {HTMLInputElement} */ field, /** @type {(list: FileList) => Input} */ inputOf) => field.addEventListener('change', () => {
    if (field.files?.length) open(inputOf(field.files));
    field.value = '';
  });
  picked(file, inputOfFile);
  picked(directory, inputOfPicked);
  byId('by-url').addEventListener('submit', (event) => {
    event.preventDefault();
    openAddress(/** @type {HTMLInputElement} */ (byId('url')).value.trim());
  });
  const hover = (/** @type {boolean} */ on) => document.body.classList.toggle('dropping', on);
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    hover(true);
  });
  document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) hover(false); });
  document.addEventListener('drop', async (event) => {
    event.preventDefault();
    hover(false);
    try {
      const input = event.dataTransfer && await inputOfDrop(event.dataTransfer);
      if (input) await open(input);
    } catch (error) {
      trouble(shown(String(/** @type {Error} */ (error).message)));
    }
  });
}

listen();
if (location.hash.startsWith(ADDRESS)) {
  let url = '';
  try {
    url = decodeURIComponent(location.hash.slice(ADDRESS.length));
  } catch {
    trouble('The address in this link cannot be read.');
  }
  /** @type {HTMLInputElement} */ (byId('url')).value = url;
  if (url) open({ kind: 'url', url });
}
