/** Object graphs of checkpoints and SavedModels (section 8.3). */
import { canonicalJson } from '../json.js';
import { encodeUtf8 } from '../text.js';
import { CHILD, SLOT } from './tf-types.js';
/** @typedef {import('./protobuf.js').Message} Message */
/** @typedef {import('./protobuf.js').Protobuf} Protobuf */
/** @typedef {import('./protobuf.js').Range} Range */
/** @typedef {import('./protobuf.js').Table} Table */
/** @typedef {{ name: string, key: string, full_name?: string }} Value */
/** @typedef {{ variable: number, slot: string, value: number }} Slot */
/** @typedef {{ kind?: string, children: Map<string, number>, values: Value[], slots: Slot[], facts?: Record<string, any> }} Node */

const LARGEST = 32 * 2 ** 20;
const MOST_NODES = 2 ** 20;
const VERSION = '1.0-draft';

/** TrackableObject. @type {Table} */
const OBJECT = {
  1: { name: 'children', type: 'message', many: true, table: CHILD },
  2: { name: 'values', type: 'message', many: true, table: { 1: { name: 'name', type: 'text' }, 2: { name: 'full_name', type: 'text' }, 3: { name: 'key', type: 'text' } } },
  3: { name: 'slots', type: 'message', many: true, table: SLOT },
};

/** Children, values and slots of a node. @param {Message} message @param {Protobuf} proto @returns {Node} */
export function nodeOf({ at, children, values = [], slots }, proto) {
  /** @type {Map<string, number>} */
  const named = new Map();
  for (const { name = '', node = 0 } of children) {
    if (named.has(name)) proto.fail(at, 'children of different names', name);
    named.set(name, node);
  }
  return {
    children: named,
    values: values.map((/** @type {Message} */ { name = '', key = '', full_name = '' }) => ({ name, key, ...(full_name ? { full_name } : {}) })),
    slots: slots.map((/** @type {Message} */ { variable = 0, slot = '', value = 0 }) => ({ variable, slot, value })),
  };
}

/** References to nodes that are not there. @param {Node[]} nodes @param {Protobuf} proto @param {number} at */
export function checkNodes(nodes, proto, at) {
  if (!nodes.length) proto.fail(at, 'a node', 'none');
  const check = (/** @type {number} */ node) => {
    if (node < 0 || node >= nodes.length) proto.fail(at, `a node below ${nodes.length}`, node);
  };
  for (const { children, slots } of nodes) {
    for (const node of children.values()) check(node);
    for (const { variable, value } of slots) [variable, value].forEach(check);
  }
}

/** @param {Protobuf} proto @param {Range} range @param {Table} table @param {number} [largest] @returns {Promise<Message[]>} */
export async function nodeMessages(proto, range, table, largest = LARGEST) {
  if (range.length > largest) proto.fail(range.offset, `an object graph of at most ${largest} bytes`, range.length);
  /** @type {Message[]} */
  const messages = [];
  for await (const field of proto.fields(range)) {
    if (field.number !== 1) continue;
    if (field.wire !== 2) proto.fail(field.at, 'a message', field.wire);
    if (messages.length >= MOST_NODES) proto.fail(field.at, `at most ${MOST_NODES} nodes`, 'more');
    messages.push(await proto.message(field.range, table));
  }
  return messages;
}

/** The object graph of a checkpoint (TFC-07). @param {Protobuf} proto @returns {Promise<Node[]>} */
export async function readObjectGraph(proto) {
  const messages = await nodeMessages(proto, proto.whole, OBJECT);
  const nodes = messages.map((message) => nodeOf(message, proto));
  checkNodes(nodes, proto, 0);
  return nodes;
}

/** The document, in canonical form. @param {Node[]} nodes */
export function encodeObjectGraph(nodes) {
  const written = nodes.map(({ kind, children, values, slots, facts }) => ({
    ...(kind ? { kind } : {}),
    ...(children.size ? { children: Object.fromEntries(children) } : {}),
    ...(values.length ? { values } : {}),
    ...(slots.length ? { slots } : {}),
    ...(facts && Object.keys(facts).length ? { facts } : {}),
  }));
  return encodeUtf8(canonicalJson(/** @type {any} */ ({ object_graph: VERSION, nodes: written })));
}
