/** Writes src/sources/keras-names.js from the table of the standard, so that a page can hold it: `node tools/keras-names.js`. */
import { readFileSync, writeFileSync } from 'node:fs';

const { kinds } = JSON.parse(readFileSync(new URL('../../../../schemas/keras_names.json', import.meta.url), 'utf8'));
const WIDTH = 120;

/** @param {string} kind @param {string[]} names */
function member(kind, names) {
  const lines = [''];
  for (const name of names) {
    const last = lines.length - 1;
    if (lines[last].length + name.length > WIDTH) lines.push(name);
    else lines[last] += lines[last] ? ` ${name}` : name;
  }
  return `  ${kind}: words('${lines.join(" ' +\n    '")}'),\n`;
}

const members = Object.entries(kinds).map(([kind, names]) => member(kind, /** @type {string[]} */ (names)));
writeFileSync(new URL('../src/sources/keras-names.js', import.meta.url), `/** Names of what Keras has, by kind: schemas/keras_names.json, written by tools/keras-names.js and not edited by hand. */
/** @param {string} text */
const words = (text) => text.split(' ');

/** @type {Record<string, string[]>} */
export const KINDS = {
${members.join('')}};
`);
