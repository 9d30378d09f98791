/** Findings as data (section 1.6) and the verdict that follows from them (section 1.5). */
import { escapeText, show } from './text.js';

/**
 * @typedef {object} Finding
 * @property {string} rule
 * @property {string} place
 * @property {string} expected
 * @property {string} found
 * @property {string} [hint]
 * @property {'error' | 'warning'} severity
 */
/** @typedef {'accept' | 'reject' | 'unsupported'} Verdict */

/** Rules whose breach alone makes a bundle "unsupported" (section 1.5). */
const UNSUPPORTED = new Set(['VER-01', 'MAN-06', 'COM-03', 'EXT-02']);
const WARNINGS = new Set(['WRT-07']);
/** More findings than this of one rule say nothing new. */
const MOST_PER_RULE = 200;

/** Collects findings. */
export class Report {
  constructor() {
    /** @type {Finding[]} */
    this.findings = [];
    /** @type {Map<string, number>} */
    this.counts = new Map();
  }

  /**
   * @param {string} rule
   * @param {string} place
   * @param {string} expected
   * @param {unknown} found
   * @param {string} [hint]
   */
  add(rule, place, expected, found, hint) {
    const count = (this.counts.get(rule) ?? 0) + 1;
    this.counts.set(rule, count);
    if (count > MOST_PER_RULE) return;
    /** @type {Finding} */
    const finding = {
      rule,
      place: escapeText(place),
      expected,
      found: show(found),
      severity: WARNINGS.has(rule) ? 'warning' : 'error',
    };
    if (hint) finding.hint = hint;
    this.findings.push(finding);
  }

  /** Number of broken rules with "MUST". */
  get errors() {
    let errors = 0;
    for (const [rule, count] of this.counts) if (!WARNINGS.has(rule)) errors += count;
    return errors;
  }

  /** @param {string} rule */
  has(rule) {
    return this.counts.has(rule);
  }

  /** @returns {Verdict} */
  get verdict() {
    return verdictOf(this.findings);
  }

  /** Throws a Refusal if there is an error: a Reader stops (RDR-07). */
  stop() {
    if (this.errors) throw new Refusal(this.findings);
  }
}

/** @param {Finding[]} findings @returns {Verdict} */
export function verdictOf(findings) {
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (!errors.length) return 'accept';
  return errors.every((finding) => UNSUPPORTED.has(finding.rule)) ? 'unsupported' : 'reject';
}

/** An input is refused, with the rules that it breaks. */
export class Refusal extends Error {
  /** @param {Finding[]} findings */
  constructor(findings) {
    const first = findings.find((finding) => finding.severity === 'error') ?? findings[0];
    super(`${first.rule} ${first.place}: expected ${first.expected}, found ${first.found}`);
    this.name = 'Refusal';
    this.findings = findings;
  }

  get verdict() {
    return verdictOf(this.findings);
  }
}

/**
 * Refuses for one rule.
 * @param {string} rule
 * @param {string} place
 * @param {string} expected
 * @param {unknown} found
 * @returns {never}
 */
export function refuse(rule, place, expected, found) {
  const report = new Report();
  report.add(rule, place, expected, found);
  throw new Refusal(report.findings);
}

/** No verdict: a usage error, a missing file, a failing device (section 1.5). */
export class NoAnswer extends Error {}

/** One step of a JSON pointer, RFC 6901. @param {string} name */
export const pointerStep = (name) => name.replaceAll('~', '~0').replaceAll('/', '~1');
