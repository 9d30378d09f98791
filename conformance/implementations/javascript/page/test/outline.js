/**
 * The page by its structure: roles and names as a screen reader has them, for comparison with what is committed.
 *
 *     const outline = await outlineOf(page);
 */

/** Roles that carry nothing by themselves. */
const BARE = new Set(['generic', 'none', 'StaticText', 'InlineTextBox', 'paragraph', 'LineBreak', 'ListMarker', 'LabelText', 'DescriptionListTerm', 'DescriptionListDetail', 'code', 'emphasis', 'strong', 'ignored']);
/** States that a person is told. */
const STATES = new Set(['level', 'expanded', 'sort', 'selected', 'focused', 'required']);

/** @typedef {{ role: string, name?: string, [state: string]: unknown, children?: Outline[] }} Outline */

/**
 * @param {import('playwright-core').Page} page
 * @returns {Promise<Outline[]>}
 */
export async function outlineOf(page) {
  const client = await page.context().newCDPSession(page);
  /** @type {any} */
  const { nodes } = await client.send('Accessibility.getFullAXTree');
  await client.detach();
  const byId = new Map(nodes.map((/** @type {any} */ node) => [node.nodeId, node]));
  /** @param {any} node @returns {Outline[]} */
  const walk = (node) => {
    const children = (node.childIds ?? []).flatMap((/** @type {string} */ id) => (byId.has(id) ? walk(byId.get(id)) : []));
    const role = node.ignored ? 'ignored' : String(node.role?.value ?? 'ignored');
    if (BARE.has(role)) return children;
    /** @type {Outline} */
    const own = { role };
    if (node.name?.value) own.name = String(node.name.value).replace(/\s+/g, ' ').trim();
    for (const { name, value } of node.properties ?? []) {
      if (STATES.has(name) && value.value !== false && value.value !== 'none') own[name] = value.value;
    }
    if (children.length) own.children = children;
    return [own];
  };
  return walk(nodes[0]);
}
