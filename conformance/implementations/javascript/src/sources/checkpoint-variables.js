/** What the keys of a checkpoint mean (section 13.5): full names, roles, slots, and the names of tensors. */
import { compareText } from '../text.js';
/** @typedef {import('./artifact.js').Tensor} Tensor */
/** @typedef {import('./object-graph.js').Node} Node */
/** @typedef {{ fullName: string, role: string, slot: string, of: string, keras: boolean }} Variable  slot and of: an optimizer keeps it, so named, for the key `of` */

const SUFFIX = '/.ATTRIBUTES/VARIABLE_VALUE';
const TRAINABLE = ['trainable_variables', '_trainable_variables'];
const NON_TRAINABLE = ['non_trainable_variables', '_non_trainable_variables'];
const STATISTICS = ['moving_mean', 'moving_variance'];
const KERAS_EDGES = new Set(['keras_api', '_functional', '_operations', '_all_variables']);
const KERAS_LAYER = /^layer(?:_with_weights)?-[0-9]+$/;
const GENERATOR = /(?:^|\/)(?:seed_generator_state|seed_generator(?:_[0-9]+)?\/state|StateVar)$/;
const GENERATOR_EDGES = ['_state_var', 'seed_generator_state'];
const OPTIMIZER_EDGES = [['_variables', '_iterations'], ['iter', 'learning_rate'], ['beta1_power', 'beta2_power']];
const OLD_AVERAGE = 'ExponentialMovingAverage';
const OLD_SLOT = /^(.+)\/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1|Adagrad|Adadelta|Adadelta_1|Ftrl|Ftrl_1|ExponentialMovingAverage)$/;
const OLD_OPTIMIZER = /^(?:.*\/)?(?:beta1_power|beta2_power)(?:_[0-9]+)?$/;

/** @returns {Variable} */
const unknown = (fullName = '', role = 'other') => ({ fullName, role, slot: '', of: '', keras: false });

/** Nodes that an edge of one of some names leads to. @param {Node[]} graph @param {string[]} names @returns {number[]} */
const targets = (graph, names) => graph.flatMap(({ children }) => names.flatMap((name) => children.get(name) ?? []));

/** Members of the lists that such an edge leads to. @param {Node[]} graph @param {string[]} names */
const members = (graph, names) => [...new Set(targets(graph, names))].flatMap((node) => [...graph[node].children.values()]);

/** @param {Node[]} graph */
function optimizerVariables(graph) {
  return graph.flatMap(({ children, slots }) => {
    if (!slots.length && !OPTIMIZER_EDGES.some((names) => names.every((name) => children.has(name)))) return [];
    const listed = children.get('_variables');
    return [...children.values(), ...slots.map(({ value }) => value), ...(listed === undefined ? [] : graph[listed].children.values())];
  });
}

/** Roles by node; where several are told, the last is the surest. @param {Node[]} graph @returns {Map<number, string>} */
function rolesOf(graph) {
  const numbers = graph.map((_, node) => node);
  const told = [
    ['trainable', numbers.filter((node) => graph[node].facts?.trainable)],
    ['non-trainable', targets(graph, STATISTICS)], ['non-trainable', members(graph, NON_TRAINABLE)],
    ['optimizer', optimizerVariables(graph)], ['trainable', members(graph, TRAINABLE)],
    ['metric', [...new Set(members(graph, ['metrics']))].flatMap((node) => [...graph[node].children.values()])],
    ['rng', [...targets(graph, GENERATOR_EDGES), ...numbers.filter((node) => graph[node].values.some(({ full_name: name }) => GENERATOR.test(name ?? '')))]],
  ];
  return new Map(/** @type {[string, number[]][]} */ (told).flatMap(([role, nodes]) => nodes.map((node) => /** @type {[number, string]} */ ([node, role]))));
}

/** What the object graph says of each key that it names. @param {Node[]} graph @returns {Map<string, Variable>} */
export function byGraph(graph) {
  const roles = rolesOf(graph);
  const ofKeras = graph.some(({ children }) => [...children.keys()].some((name) => KERAS_EDGES.has(name) || KERAS_LAYER.test(name)));
  /** @type {Map<string, Variable>} */
  const described = new Map();
  graph.forEach(({ values }, node) => {
    const role = roles.get(node) ?? 'other';
    for (const { key, full_name: name = '' } of values) described.set(key, { ...unknown(name, role), keras: ofKeras && (name.includes('/') || role === 'optimizer') });
  });
  for (const [key, slot, of] of [...namedSlots(described), ...graphSlots(graph)]) {
    const [own, served] = [described.get(key), described.get(of)];
    if (!own || !served) continue;
    described.set(key, { ...own, role: 'optimizer', slot, of });
    const variable = /** @type {Variable} */ (described.get(of));
    if (variable.role === 'other') described.set(of, { ...variable, role: 'trainable' });
  }
  return described;
}

/** Key, slot and the variable's key, where the graph lists slots. @param {Node[]} graph @returns {[string, string, string][]} */
const graphSlots = (graph) => graph.flatMap(({ slots }) => slots.flatMap(({ variable, slot, value }) => {
  const [own, served] = [graph[value].values[0], graph[variable].values[0]];
  return own && served ? [/** @type {[string, string, string]} */ ([own.key, slot, served.key])] : [];
}));

/** Pairs whose first text occurs once and is not empty. @param {[string, string][]} pairs */
function unique(pairs) {
  const counts = new Map();
  for (const [first] of pairs) counts.set(first, (counts.get(first) ?? 0) + 1);
  return new Map(pairs.filter(([first]) => first && counts.get(first) === 1));
}

/** The same, where only full names tell: `Adam/m/dense/kernel`, `adam/dense_kernel_momentum`. @param {Map<string, Variable>} described @returns {[string, string, string][]} */
function namedSlots(described) {
  const variables = unique([...described].filter(([, { role }]) => !['optimizer', 'metric', 'rng'].includes(role)).map(([key, { fullName }]) => [fullName, key]));
  const mangled = unique([...variables].map(([name, key]) => [name.replaceAll('/', '_'), key]));
  /** @type {[string, string, string][]} */
  const found = [];
  for (const [key, { role, fullName }] of described) {
    if (role !== 'optimizer') continue;
    const rest = fullName.includes('/') ? fullName.slice(fullName.indexOf('/') + 1) : '';
    const cut = rest.indexOf('/');
    const of = variables.get(cut < 0 ? '' : rest.slice(cut + 1));
    const [slot, served] = of === undefined ? mangledSlot(rest, mangled) : [rest.slice(0, cut), of];
    if (served !== undefined) found.push([key, slot, served]);
  }
  return found;
}

/** Slot and key for `dense_kernel_momentum`: the longest variable that it starts with. @param {string} text @param {Map<string, string>} mangled @returns {[string, string | undefined]} */
function mangledSlot(text, mangled) {
  for (let at = text.lastIndexOf('_'); at >= 0; at = at ? text.lastIndexOf('_', at - 1) : -1) {
    const key = mangled.get(text.slice(0, at));
    if (key !== undefined) return [text.slice(at + 1), key];
  }
  return ['', undefined];
}

/** What the keys of a checkpoint without a graph say. @param {Tensor[]} tensors @returns {Map<string, Variable>} */
export function byName(tensors) {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape.join()]));
  return new Map(tensors.map(({ name, shape }) => {
    const [, variable, slot] = OLD_SLOT.exec(name) ?? [];
    if (variable === undefined || shapes.get(variable) !== shape.join()) return [name, unknown(name, OLD_OPTIMIZER.test(name) ? 'optimizer' : 'other')];
    return [name, { ...unknown(name, slot === OLD_AVERAGE ? 'non-trainable' : 'optimizer'), slot, of: variable }];
  }));
}

/** One of each item's candidates, all different: those that clash go on to their next ones. @param {string[][]} candidates @returns {string[]} */
function different(candidates) {
  const chosen = candidates.map(() => 0);
  for (;;) {
    const names = candidates.map((own, i) => own[chosen[i]]);
    const counts = new Map();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    const clashing = names.flatMap((name, i) => (counts.get(name) > 1 && chosen[i] + 1 < candidates[i].length ? [i] : []));
    if (!clashing.length) return names;
    for (const i of clashing) chosen[i]++;
  }
}

/** @param {string} key */
const withoutSuffix = (key) => (key.endsWith(SUFFIX) ? key.slice(0, -SUFFIX.length) : key);

/**
 * Names tensors, whose names are their keys, and brings them in the order of their keys.
 * @param {Tensor[]} tensors @param {string} system of the keys
 * @param {Map<string, Variable>} variables @param {Map<string, string>} copies keys of second copies, with those of the first
 */
export function nameTensors(tensors, system, variables, copies) {
  tensors.sort((a, b) => compareText(a.name, b.name));
  const known = new Map(tensors.map(({ name: key }) => [key, (copies.has(key) ? undefined : variables.get(key)) ?? unknown()]));
  const counts = new Map();
  for (const { fullName } of known.values()) counts.set(fullName, (counts.get(fullName) ?? 0) + 1);
  /** @type {Map<string, string>} */
  const keras = new Map();
  for (const tensor of tensors) {
    const { fullName, role, slot, of, keras: ofKeras } = /** @type {Variable} */ (known.get(tensor.name));
    tensor.role = role;
    tensor.names[system] = tensor.name;
    if (fullName && counts.get(fullName) === 1) {
      tensor.names['tensorflow.variable'] = fullName;
      if (ofKeras) keras.set(tensor.name, (tensor.names.keras = fullName));
    }
    if (of) Object.assign(tensor.attributes, { slot, of });
    const first = copies.get(tensor.name);
    if (first !== undefined) tensor.attributes.copy_of = first;
  }
  const names = different(tensors.map(({ name: key }) => {
    const { slot, of, fullName } = /** @type {Variable} */ (known.get(key));
    const served = known.has(of) && fullName !== key ? [`optimizer/${slot}/${keras.get(of) ?? withoutSuffix(of)}`] : [];
    return [...served, keras.get(key) ?? withoutSuffix(key), withoutSuffix(key), key];
  }));
  tensors.forEach((tensor, i) => { tensor.name = names[i]; });
}
