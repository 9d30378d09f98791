/**
 * Rows of the tensor index from the tensors of several sources (section 12.2, WRT-06): which tensors
 * are one row, what the row is called, and which names it has.
 *
 *     const { rows, namespaces, attributes } = formRows([{ root: 'net.keras', tensors }]);
 */
import { bitsOf } from './dtypes.js';
import { refuse } from './findings.js';
import { compareText } from './text.js';

/**
 * @typedef {import('./sources/artifact.js').Tensor & { digest: string, head: Uint8Array }} Tensor  head: the first 1024 bytes
 * @typedef {{ root: string, tensors: Tensor[] }} Source
 * @typedef {{ tensors: { root: string, tensor: Tensor }[] }} Row
 */

const DISTINCTIVE = 64;
const MOST_MADE_OF_ONE = 1024;

/** What two tensors that are alike have in common. @param {Tensor} tensor */
const likeness = ({ dtype, shape, digest }) => `${dtype} ${shape} ${digest}`;

/** @template K, V @param {Map<K, V[]>} map @param {K} key @param {V} value */
function push(map, key, value) {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Keys under which a Keras path is found by another: itself, and its ends of two segments or more. @param {string} path */
function endsOf(path) {
  const ends = [];
  const segments = path.split('/');
  for (let i = 1; i + 2 <= segments.length; i++) ends.push(segments.slice(i).join('/'));
  return ends;
}

/** Whether the first bytes are more than one element repeated. @param {Tensor} tensor */
function isDistinctive({ dtype, length, head }) {
  if (length < DISTINCTIVE) return false;
  const bits = bitsOf(dtype);
  const width = bits && bits >= 8 ? bits / 8 : 1;
  for (let i = width; i < Math.min(head.length, MOST_MADE_OF_ONE); i++) if (head[i] !== head[i - width]) return true;
  return false;
}

/** Rows that earlier sources have made, found by what a question asks for. */
class Known {
  /** @param {Row[]} rows */
  constructor(rows) {
    /** @type {Map<string, Row[]>} */
    this.byName = new Map();
    /** @type {Map<string, Row[]>} */
    this.byPath = new Map();
    /** @type {Map<string, Row[]>} */
    this.byEnd = new Map();
    /** @type {Map<string, Row[]>} */
    this.byLikeness = new Map();
    for (const row of rows) {
      push(this.byLikeness, likeness(row.tensors[0].tensor), row);
      for (const { tensor } of row.tensors) this.add(row, tensor);
    }
  }

  /** @param {Row} row @param {Tensor} tensor */
  add(row, tensor) {
    for (const [system, name] of Object.entries(tensor.names)) push(this.byName, `${system}\n${name}`, row);
    const { keras } = tensor.names;
    if (keras === undefined) return;
    push(this.byPath, keras, row);
    for (const end of endsOf(keras)) push(this.byEnd, end, row);
  }

  /** @param {Tensor} tensor @returns {Row[]} */
  named(tensor) {
    return Object.entries(tensor.names).flatMap(([system, name]) => this.byName.get(`${system}\n${name}`) ?? []);
  }

  /** @param {Tensor} tensor @returns {Row[]} */
  pathed(tensor) {
    const { keras } = tensor.names;
    if (keras === undefined) return [];
    const longer = keras.includes('/') ? this.byEnd.get(keras) ?? [] : [];
    return [keras, ...endsOf(keras)].flatMap((path) => this.byPath.get(path) ?? []).concat(longer);
  }
}

/** The one row among candidates that is alike. @param {Row[]} candidates @param {Tensor} tensor */
function onlyOne(candidates, tensor) {
  const own = likeness(tensor);
  const [row, other] = new Set(candidates.filter(({ tensors: [{ tensor: first }] }) => likeness(first) === own));
  return row && !other ? row : null;
}

/**
 * Step 1: the rows that tensors of a source join.
 * @param {Row[]} rows @param {Source} source
 * @returns {Map<Tensor, Row>}
 */
function joinRows(rows, { tensors }) {
  const known = new Known(rows);
  /** @type {Map<string, number>} */
  const alike = new Map();
  for (const tensor of tensors) alike.set(likeness(tensor), (alike.get(likeness(tensor)) ?? 0) + 1);
  const byBytes = (/** @type {Tensor} */ tensor) => {
    const found = known.byLikeness.get(likeness(tensor)) ?? [];
    return found.length === 1 && alike.get(likeness(tensor)) === 1 && isDistinctive(tensor) ? found[0] : null;
  };
  /** @type {((tensor: Tensor) => Row | null)[]} */
  const questions = [(t) => onlyOne(known.named(t), t), (t) => onlyOne(known.pathed(t), t), byBytes];
  /** @type {Map<Tensor, Row>} */
  const joined = new Map();
  const taken = new Set();
  for (const ask of questions) {
    /** @type {Map<Row, Tensor[]>} */
    const proposals = new Map();
    for (const tensor of tensors) {
      const row = joined.has(tensor) ? null : ask(tensor);
      if (row && !taken.has(row)) push(proposals, row, tensor);
    }
    for (const [row, proposed] of proposals) {
      if (proposed.length > 1) continue;
      joined.set(proposed[0], row);
      taken.add(row);
    }
  }
  return joined;
}

/** @param {string} a @param {string} b */
const shorter = (a, b) => [...a].length - [...b].length || compareText(a, b);

/** Step 4. @param {Row[]} rows @returns {string[]} */
function nameRows(rows) {
  const wanted = rows.map(({ tensors }) => {
    const paths = tensors.flatMap(({ tensor }) => tensor.names.keras ?? []);
    return paths.length ? paths.sort(shorter)[0] : tensors[0].tensor.name;
  });
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const name of wanted) counts.set(name, (counts.get(name) ?? 0) + 1);
  const names = rows.map(({ tensors }, i) => {
    if (counts.get(wanted[i]) === 1) return wanted[i];
    return `${tensors.map(({ root }) => root).sort(compareText)[0]}:${tensors[0].tensor.name}`;
  });
  const taken = new Set(names);
  const given = new Set();
  return names.map((name) => {
    let unique = name;
    for (let n = 2; given.has(name) && taken.has(unique); n++) unique = `${name}#${n}`;
    taken.add(unique);
    given.add(unique);
    return unique;
  });
}

/**
 * Refuses a graph that names tensors which it does not bring as constants: names alone bind nothing (SHL-03, SHL-04).
 * @param {ReturnType<typeof formRows>} formed
 * @param {{ root: string, bindings: { name: string, dtype: string, shape: number[] }[] }} graph
 */
export function checkBindings({ rows, namespaces }, { root, bindings }) {
  const own = namespaces.find(({ component, system }) => component === root && system === 'stablehlo')?.names ?? {};
  const byName = new Map(rows.map((row) => [row.name, row]));
  const bound = new Map(Object.entries(own).map(([row, name]) => [name, byName.get(row)]));
  for (const { name, dtype, shape } of bindings) {
    const row = bound.get(name);
    if (!row) return refuse('SHL-03', root, `a tensor for ${name}`, 'none');
    if (row.dtype !== dtype || row.shape.join() !== shape.join()) refuse('SHL-04', root, `${dtype} [${shape}] for ${name}`, `${row.dtype} [${row.shape}]`);
  }
  return undefined;
}

/**
 * @param {Source[]} sources
 * @returns {{ rows: (Tensor & { name: string, role: string })[],
 *   namespaces: { component: string, system: string, names: Record<string, string> }[],
 *   attributes: Record<string, Record<string, string>> }}
 */
export function formRows(sources) {
  /** @type {Row[]} */
  const rows = [];
  for (const source of [...sources].sort((a, b) => compareText(a.root, b.root))) {
    const joined = joinRows(rows, source);
    for (const tensor of source.tensors) {
      const row = joined.get(tensor);
      const entry = { root: source.root, tensor };
      if (row) row.tensors.push(entry);
      else rows.push({ tensors: [entry] });
    }
  }
  const names = nameRows(rows);
  /** @type {Map<string, { component: string, system: string, names: Record<string, string> }>} */
  const namespaces = new Map();
  /** @type {Record<string, Record<string, string>>} */
  const attributes = Object.create(null);
  const formed = rows.map(({ tensors }, i) => {
    for (const { root, tensor } of tensors) {
      if (Object.keys(tensor.attributes).length) Object.assign(attributes[names[i]] ??= {}, tensor.attributes);
      for (const [system, name] of Object.entries(tensor.names)) {
        const key = `${system}\n${root}`;
        if (!namespaces.has(key)) namespaces.set(key, { component: root, system, names: Object.create(null) });
        /** @type {{ names: Record<string, string> }} */ (namespaces.get(key)).names[names[i]] = name;
      }
    }
    const role = tensors.find(({ tensor }) => tensor.role !== 'other')?.tensor.role ?? 'other';
    return { ...tensors[0].tensor, name: names[i], role };
  });
  return { rows: formed, namespaces: [...namespaces.values()], attributes };
}
