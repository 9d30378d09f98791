/**
 * The findings, by rule, with what the standard says.
 *
 *     byId('findings').replaceChildren(findingsView(findings, state));
 */
import rules from 'virtual:rules';
import { h } from './dom.js';
import { count, plural, shown } from './format.js';
/** @typedef {import('../../src/findings.js').Finding} Finding */

const FIRST = 20;

/** The rule's text with its `code`. @param {string} text */
const ruleText = (text) => text.split('`').map((part, i) => (i % 2 ? h('code', {}, part) : part));

/** @param {Finding} finding */
const findingView = ({ place, expected, found, hint }) => h('li', {},
  h('p', { class: 'place' }, h('code', {}, shown(place))),
  h('dl', { class: 'pairs' },
    h('dt', {}, 'Expected'), h('dd', {}, shown(expected)),
    h('dt', {}, 'Found'), h('dd', {}, shown(found)),
    hint ? [h('dt', {}, 'Hint'), h('dd', {}, shown(hint))] : null));

/** @param {string} rule @param {Finding[]} findings */
function groupView(rule, findings) {
  const { text, level, chapter } = Object.hasOwn(rules, rule) ? rules[rule] : { text: '', level: '', chapter: '' };
  const list = h('ul', { class: 'plain' }, findings.slice(0, FIRST).map(findingView));
  const rest = findings.length - FIRST;
  /** @type {HTMLButtonElement | null} */
  const more = rest <= 0 ? null : h('button', {
    type: 'button',
    click: () => {
      list.append(...findings.slice(FIRST).map(findingView));
      more?.remove();
    },
  }, `Show ${count(rest)} more`);
  const { severity } = findings[0];
  return h('article', { class: `finding ${severity}`, 'aria-labelledby': `rule-${rule}` },
    h('h3', { id: `rule-${rule}` }, h('span', { class: 'rule' }, rule),
      h('span', { class: 'tag' }, severity), findings.length > 1 ? h('span', { class: 'tag' }, `${count(findings.length)}×`) : null),
    text ? h('p', { class: 'rule-text' }, ruleText(text)) : null,
    text ? h('p', { class: 'note' }, `Level ${level}, chapter ${Number(chapter.slice(0, 2))} of the standard`) : null,
    list, more);
}

/** @param {Finding[]} findings @param {string} none what to say where there is none */
export function findingsView(findings, none) {
  if (!findings.length) return h('p', { class: 'empty' }, none);
  /** @type {Map<string, Finding[]>} */
  const groups = new Map();
  for (const finding of findings) groups.set(finding.rule, [...groups.get(finding.rule) ?? [], finding]);
  return h('div', {},
    h('p', {}, `${plural(findings.length, 'finding')} under ${plural(groups.size, 'rule')}.`),
    [...groups].map(([rule, list]) => groupView(rule, list)));
}
