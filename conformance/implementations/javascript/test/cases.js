/** Runs conformance cases: folders with a case.json. Never reads how they were generated. */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { promises as fs, readFileSync, readdirSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const CASES = fileURLToPath(new URL('../../../cases', import.meta.url));

/**
 * @typedef {{ id: string, level: string, role: string, operation: string, input: string, rules: string[],
 *   arguments?: Record<string, any>, recipe?: any[], features: string[], limits?: { seconds?: number },
 *   expected: { verdict: string, phase?: string, findings?: { rules: string[], place: string }[] } }} Case
 */

/** @returns {Case[]} */
export function loadCases() {
  if (!existsSync(CASES)) return [];
  return readdirSync(CASES).sort().flatMap((area) =>
    readdirSync(join(CASES, area)).sort().flatMap((name) => {
      const file = join(CASES, area, name, 'case.json');
      return existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8'))] : [];
    }));
}

/** @param {any} step @param {string} folder */
async function doStep(step, folder) {
  const path = join(folder, step.path);
  switch (step.do) {
    case 'mkdir': return void (await fs.mkdir(path, { recursive: true }));
    case 'remove': return fs.rm(path, { recursive: true });
    case 'move': return fs.rename(path, join(folder, step.to));
    case 'copy': return fs.cp(path, join(folder, step.to), { recursive: true });
    case 'symlink': return fs.symlink(step.target, path);
    case 'hardlink': return fs.link(join(folder, step.target), path);
    case 'truncate': return fs.truncate(path, step.size);
    case 'write':
      await fs.mkdir(dirname(path), { recursive: true });
      return fs.writeFile(path, step.hex === undefined ? step.text ?? '' : Buffer.from(step.hex, 'hex'));
    case 'fifo': return void execFileSync('mkfifo', [path]);
    case 'socket': {
      // The socket stays in the file system only while its server listens; the name has to be short.
      const cwd = process.cwd();
      process.chdir(dirname(path));
      const server = createServer();
      await new Promise((resolve) => { server.listen(step.path.split('/').at(-1), () => resolve(undefined)); });
      server.unref();
      process.chdir(cwd);
      return undefined;
    }
    default: throw new Error(`unresolvable: ${step.do}`);
  }
}

/**
 * Gives the input of a case, on a copy where it has a recipe.
 * @param {Case} item
 * @param {(input: string, folder: string) => Promise<void>} work
 */
export async function withInput(item, work) {
  const folder = join(CASES, item.id);
  if (!item.recipe && item.operation !== 'unpack' && item.operation !== 'copy') return work(join(folder, item.input), folder);
  const copy = await fs.mkdtemp(join(tmpdir(), 'mb-'));
  try {
    await fs.cp(folder, join(copy, 'case'), { recursive: true });
    for (const step of item.recipe ?? []) await doStep(step, join(copy, 'case'));
    return await work(join(copy, 'case', item.input), join(copy, 'case'));
  } finally {
    await fs.rm(copy, { recursive: true, force: true });
  }
}

/**
 * What is wrong with an answer, or null.
 * @param {Case} item
 * @param {{ verdict: string, findings: import('../src/findings.js').Finding[] }} answer
 */
export function judge(item, { verdict, findings }) {
  const all = findings.map(({ rule, place, found }) => `${rule} ${place} (${found.slice(0, 40)})`).join('; ');
  if (verdict !== item.expected.verdict) return `verdict ${verdict}, expected ${item.expected.verdict} ${JSON.stringify(item.expected.findings ?? [])}: ${all}`;
  for (const { rules, place } of item.expected.findings ?? []) {
    if (!findings.some((f) => rules.includes(f.rule) && f.place.startsWith(place))) {
      return `no finding ${rules.join('|')} at "${place}": ${all}`;
    }
  }
  return null;
}
