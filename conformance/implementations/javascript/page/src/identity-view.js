/**
 * The head of an open bundle: its name, digest and verdict, and how far checking has come.
 *
 *     const identity = identityView(name, opened, { check, stop, local });
 *     identity.progress(0.4);
 *     identity.judge('accept', 0);
 */
import { announce, h } from './dom.js';
import { bytes, count, plural, shown } from './format.js';
/** @typedef {import('./session.js').Opened} Opened */
/** @typedef {import('./client.js').Progress} Progress */

/** @type {Record<string, [string, string]>} */
const VERDICTS = {
  accept: ['Valid', 'Every byte was read and checked.'],
  reject: ['Invalid', 'At least one rule of the standard is broken.'],
  unsupported: ['Not supported', 'It can be right, but asks for more than this page knows.'],
  opened: ['Opens', 'Manifest and indexes are right. The data was not read yet.'],
  checking: ['Checking', 'Manifest and indexes are right. Reading every byte…'],
  stopped: ['Opens', 'Manifest and indexes are right. Checking was stopped.'],
};

/** @param {string} digest */
function digestView(digest) {
  const copy = h('button', {
    type: 'button', class: 'quiet',
    click: async () => {
      await navigator.clipboard.writeText(digest).then(() => announce('Digest copied.'), () => announce('The browser does not allow copying.'));
      copy.textContent = 'Copied';
      setTimeout(() => { copy.textContent = 'Copy'; }, 1500);
    },
  }, 'Copy');
  return h('p', { class: 'digest' }, h('span', { class: 'label' }, 'Bundle digest'), h('code', { id: 'digest' }, digest), copy);
}

/**
 * @param {string} source what the person gave
 * @param {Opened} opened
 * @param {{ check: () => void, stop: () => void, local: boolean }} actions
 */
export function identityView(source, { digest, summary, bytesToCheck, traffic }, { check, stop, local }) {
  const pill = h('span', { class: 'pill', id: 'verdict' });
  const reason = h('p', { class: 'reason' });
  const bar = h('progress', { max: 1, value: 0, 'aria-label': 'Checked' });
  const share = h('span', { class: 'note figure' });
  const running = h('div', { class: 'running', hidden: true }, bar, share, h('button', { type: 'button', class: 'quiet', click: stop }, 'Stop'));
  const again = h('button', { type: 'button', click: check, hidden: true }, `Check every byte${local ? '' : ` (reads about ${bytes(bytesToCheck)})`}`);
  const network = h('p', { class: 'note', id: 'network' });
  const line = summary && [
    summary.layout === 'archive' ? 'Archive' : 'Directory', `${bytes(summary.stored)} stored`, plural(summary.files.length, 'file'),
    plural(summary.tensors.count, 'tensor'), plural(summary.components, 'component'), `standard ${shown(summary.version, 40)}`,
  ];
  /** @param {{ read: number, requests: number }} traffic */
  const spend = ({ read, requests }) => {
    if (local) return;
    network.textContent = `${bytes(read)}${traffic.size ? ` of ${bytes(traffic.size)}` : ''} read, in ${plural(requests, 'request')}.`;
    network.dataset.bytes = String(read);
  };
  /** @param {string} verdict @param {number} errors @param {string} [level] that was checked */
  const judge = (verdict, errors, level = '') => {
    const [word, text] = VERDICTS[verdict];
    pill.textContent = level && verdict === 'accept' ? `${word} at level ${level}` : word;
    pill.dataset.verdict = verdict;
    const refused = verdict === 'reject' || verdict === 'unsupported';
    reason.replaceChildren(verdict === 'reject' && errors ? `${plural(errors, 'breach', 'breaches')} of the rules of the standard. ` : `${text} `,
      refused ? h('a', { href: '#findings' }, 'See the findings') : '');
    running.hidden = verdict !== 'checking';
    again.hidden = !['opened', 'stopped'].includes(verdict);
    announce(`${word}. ${reason.textContent}`);
  };
  spend(traffic);
  return {
    nodes: [
      h('div', { class: 'headline' }, h('div', {}, h('p', { class: 'source note' }, shown(source)),
        h('h1', { id: 'title', tabindex: -1 }, summary?.name ? shown(summary.name, 200) : shown(source.split('/').at(-1) || source, 200))),
      h('div', { class: 'verdict' }, pill, reason, running, again)),
      digest ? digestView(digest) : h('p', { class: 'note' }, 'No digest: the manifest could not be read.'),
      line ? h('p', { class: 'facts' }, line.map((text) => h('span', {}, text))) : null,
      network,
    ].filter((node) => node !== null),
    judge,
    spend,
    /** @param {Progress} progress */
    progress({ read, requests, share: done }) {
      spend({ read, requests });
      if (done === null) return;
      bar.value = done;
      share.textContent = `${count(Math.round(done * 100))} %`;
    },
  };
}
