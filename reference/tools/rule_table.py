"""Generates the table of rules, `spec/rules.md` and `spec/rules.json`, from spec and schemas.

A rule is a paragraph or list item of a numbered chapter that begins with its ID in bold. Who it
binds are the roles named before its keyword; its severity follows from the keyword; a `$comment`
in a schema names the rules that the node enforces. The generator also refuses text that breaks
the conventions of chapter 1, so that text, schemas and table cannot drift apart.

    python reference/tools/rule_table.py            write both files
    python reference/tools/rule_table.py --check    exit 1 if they are out of date
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python reference/tools/rule_table.py"
ROLES = ("Writer", "Reader", "Validator", "Copier", "Runner")
UNSUPPORTED = "the verdict is *unsupported*"

_RULE = re.compile(r"\*\*([A-Z]{3}-[0-9]{2})\*\* (?:\((Full)\) )?")
_BLOCK_START = re.compile(r"^(?:[-*] |[0-9]+\. )")
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_ASIDE = re.compile(r'`[^`]*`|"[^"]*"|\]\([^)]*\)')
_KEYWORD = re.compile(r"\b(MUST|SHOULD|SHALL|REQUIRED|RECOMMENDED|OPTIONAL)\b")
_LOWER = re.compile(r"\b(must|should|shall|may)\b")
_ID = re.compile(r"\b[A-Z]{3}-[0-9]{2}\b")
_NOT_RULES = {"CRC-32", "UTF-16"}
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


class SpecError(Exception):
    """The text breaks the conventions of chapter 1; the message has one line for each breach."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `text` is the paragraph without the ID, `schema` the nodes that enforce it."""

    id: str
    roles: tuple[str, ...]
    severity: str
    level: str
    verdict: str
    text: str
    chapter: str
    schema: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The rule as `spec/rules.json` has it."""
        return {
            "id": self.id,
            "roles": list(self.roles),
            "severity": self.severity,
            "level": self.level,
            "verdict": self.verdict,
            "text": self.text,
            "chapter": self.chapter,
            "schema": list(self.schema),
        }


def paragraphs(markdown: str) -> Iterator[str]:
    """Paragraphs, list items and table rows of `markdown` in order, without fenced blocks."""
    block: list[str] = []
    for line in [*_FENCE.sub("", markdown).splitlines(), ""]:
        text = line.strip()
        starts = not text or text.startswith(("|", "#")) or _BLOCK_START.match(text)
        if starts and block:
            yield " ".join(block)
            block = []
        if text:
            block.append(_BLOCK_START.sub("", text, count=1))


def chapter_rules(name: str, markdown: str) -> tuple[list[Rule], list[str]]:
    """The rules of one normative chapter, and what is wrong with its wording."""
    rules, problems = [], []
    for paragraph in paragraphs(markdown):
        start, words = paragraph[:60], _ASIDE.sub(" ", paragraph)
        problems += [f"{name}: {word!r} in lower case: {start}" for word in _LOWER.findall(words)]
        keywords = set(_KEYWORD.findall(words))
        if match := _RULE.match(paragraph):
            rule = _rule(name, match, paragraph, words)
            rules.append(rule)
            problems += _rule_problems(rule, keywords)
        elif keywords:
            problems.append(f"{name}: keyword outside a rule: {start}")
    return rules, problems


def _rule(name: str, match: re.Match[str], paragraph: str, words: str) -> Rule:
    subject = _KEYWORD.split(words, maxsplit=1)[0]
    breach = "reject" if "MUST" in words else "accept"
    return Rule(
        id=match[1],
        roles=tuple(role for role in ROLES if re.search(rf"\b{role}\b", subject)),
        severity="error" if "MUST" in words else "warning",
        level=match[2] or "Core",
        verdict="unsupported" if UNSUPPORTED in paragraph else breach,
        text=_LINK.sub(r"\1", paragraph[match.end() :]),
        chapter=name,
    )


def _rule_problems(rule: Rule, keywords: set[str]) -> Iterator[str]:
    if len(keywords) != 1 or not keywords <= {"MUST", "SHOULD"}:
        yield f"{rule.id}: wants MUST or SHOULD, and one of them only, not {sorted(keywords)}"
    if not rule.roles:
        yield f"{rule.id}: names no role before its keyword"


def schema_locations(schemas: Mapping[str, Any]) -> dict[str, list[str]]:
    """Rule ID to the schema nodes (`file#/pointer`) whose `$comment` names it."""
    found: dict[str, list[str]] = {}
    for name, schema in sorted(schemas.items()):
        for pointer, comment in _comments(schema, ""):
            for rule in _ID.findall(comment):
                found.setdefault(rule, []).append(f"{name}#{pointer}")
    return found


def _comments(node: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if isinstance(node.get("$comment"), str):
            yield pointer, node["$comment"]
        for key, value in node.items():
            yield from _comments(value, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _comments(value, f"{pointer}/{index}")


def collect(root: Path = ROOT) -> list[Rule]:
    """All rules, ascending by ID; raises `SpecError` where the conventions are broken."""
    rules: dict[str, Rule] = {}
    problems: list[str] = []
    for path in sorted((root / "spec").glob("[0-9][0-9]-*.md")):
        found, wrong = chapter_rules(path.name, path.read_text(encoding="utf-8"))
        problems += wrong
        for rule in found:
            if rule.id in rules:
                problems.append(f"{rule.id}: in {rules[rule.id].chapter} and in {path.name}")
            rules[rule.id] = rule
    folder = root / "schemas"
    schemas = {p.relative_to(folder).as_posix(): _load(p) for p in folder.rglob("*.json")}
    locations = schema_locations(schemas)
    problems += _dangling(root, rules, locations)
    if problems:
        raise SpecError("\n".join(problems))
    return [replace(rules[key], schema=tuple(locations.get(key, ()))) for key in sorted(rules)]


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _dangling(root: Path, rules: Mapping[str, Rule], locations: Mapping[str, Any]) -> Iterator[str]:
    """Rule IDs that are named somewhere and defined nowhere."""
    for rule in sorted(locations.keys() - rules.keys()):
        yield f"{rule}: named by {locations[rule][0]}, defined nowhere"
    for rule in sorted(_load(root / "spec" / "untestable.json").keys() - rules.keys()):
        yield f"{rule}: in untestable.json, defined nowhere"
    for path in sorted((root / "spec").rglob("*.md")):
        named = set(_ID.findall(path.read_text(encoding="utf-8")))
        if path.name != "rules.md":
            for rule in sorted(named - rules.keys() - _NOT_RULES):
                yield f"{rule}: named in {path.name}, defined nowhere"


def to_json(rules: Sequence[Rule]) -> str:
    """`spec/rules.json`."""
    value = {
        "$comment": f"Generated by `{COMMAND}` from spec/*.md and schemas/*.json. Do not edit.",
        "rules": [rule.to_json() for rule in rules],
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


_HEADER = "| ID | role | severity | level | rule | chapter | schema |\n" + "|---" * 7 + "|"


def to_markdown(rules: Sequence[Rule]) -> str:
    """`spec/rules.md`: one table for each area of IDs."""
    errors = sum(rule.severity == "error" for rule in rules)
    lines = [
        f"<!-- Generated by `{COMMAND}` from spec/*.md and schemas/*.json. Do not edit. -->",
        "# Rules",
        "",
        f"{len(rules)} rules: {errors} with MUST (a breach is an error), "
        f"{len(rules) - errors} with SHOULD (a breach is a warning).",
    ]
    for area in sorted({rule.id[:3] for rule in rules}):
        lines += ["", f"## {area}", "", _HEADER]
        lines += [_row(rule) for rule in rules if rule.id.startswith(area)]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    cells = (
        rule.id,
        ", ".join(rule.roles),
        "unsupported" if rule.verdict == "unsupported" else rule.severity,
        rule.level,
        rule.text.replace("|", "\\|"),
        f"[{rule.chapter[:2]}]({rule.chapter})",
        "<br>".join(map(_schema_link, rule.schema)),
    )
    return f"| {' | '.join(cells)} |"


def _schema_link(location: str) -> str:
    file, pointer = location.split("#")
    return f"[{file.removesuffix('.schema.json')}#{pointer}](../schemas/{file})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or with `--check` compare it; returns the exit status."""
    parser = argparse.ArgumentParser(description="Generate the table of rules.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if out of date")
    check = parser.parse_args(arguments).check
    try:
        rules = collect()
    except SpecError as error:
        print(error, file=sys.stderr)
        return 1
    status = 0
    for name, text in (("rules.md", to_markdown(rules)), ("rules.json", to_json(rules))):
        path = ROOT / "spec" / name
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            print(f"spec/{name} is out of date: run `{COMMAND}`", file=sys.stderr)
            status = 1
        elif not check:
            path.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
