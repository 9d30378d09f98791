"""The report as one HTML page: no other file is needed, and nothing is fetched.

Implementations are columns, cases rows, areas sections; rules and the cases they have follow.
`matrices` has the parts about what several implementations wrote, and about engines. The
page can be read without JavaScript; with it, rows can be filtered.

    text = page(report)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from html import escape

from modelbundle_conformance import matrices
from modelbundle_conformance.cases import Json
from modelbundle_conformance.report import claims
from modelbundle_conformance.scoring import BAD, STATUSES

_MARKS = {
    "pass": "✓", "fail": "✗", "xfail": "(✗)", "xpass": "✗✓", "unsupported": "o", "crash": "✗ crash",
    "timeout": "✗ timeout", "unresolvable": "?",
}  # fmt: skip

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #b00020; --good: #1a6e34; --dim: #767676 }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a8a; --good: #7fd69a; --dim: #a0a0a0 } }
body { font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem }
th, td { border-bottom: 1px solid var(--line) }
thead th { border-bottom-width: 2px }
tbody th { font-weight: normal; font-family: ui-monospace, monospace; overflow-wrap: anywhere }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.pass { color: var(--good) } .fail, .xpass, .crash, .timeout, .unresolvable { color: var(--bad) }
.xfail, .unsupported { color: var(--dim) }
td small { display: block; color: inherit; overflow-wrap: anywhere }
form { position: sticky; top: 0; background: Canvas; padding: .6rem 0 }
form { display: flex; gap: 1rem; flex-wrap: wrap }
circle { fill: var(--good) } circle.beyond { fill: var(--bad) }
summary { font-size: 1.15rem; cursor: pointer; padding: .3rem 0 }
[hidden] { display: none }
"""

_SCRIPT = """
const form = document.querySelector("form"), shown = document.querySelector("output");
const rows = [...document.querySelectorAll("tr[data-statuses]")];
const sections = [...document.querySelectorAll("details")];
form.hidden = false;
function filter() {
  const words = form.words.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const status = form.status.value, matches = status === "bad" ? BAD : [status];
  const chosen = words.length > 0 || status !== "";
  let count = 0;
  for (const row of rows) {
    const given = row.dataset.statuses.split(" ");
    const right = status === "" || given.some(each => matches.includes(each));
    row.hidden = !(right && words.every(word => row.dataset.words.includes(word)));
    count += !row.hidden;
  }
  for (const section of sections) {
    const any = !!section.querySelector("tr[data-statuses]:not([hidden])");
    section.hidden = chosen && !any;
    if (chosen) section.open = any;
  }
  shown.textContent = `${count} of ${rows.length} rows`;
}
form.addEventListener("input", filter);
form.addEventListener("submit", event => event.preventDefault());
filter();
"""


def page(report: Json) -> str:
    """The page of a report."""
    runs = report["runs"]
    return "\n".join([
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>modelbundle conformance</title>", f"<style>{_STYLE}</style>", "</head>", "<body>",
        "<main>", "<h1>modelbundle conformance</h1>",
        f"<p>Standard {escape(report['standard'])}; {report['suite']['cases']} cases, "
        f"<code>{report['suite']['digest'][:19]}…</code>; made {report['made']}.</p>",
        *_overview(runs), *matrices.writers(report), *matrices.engines(report), *_cases(report),
        "</main>",
        "</body>", "</html>", "",
    ])  # fmt: skip


def _cases(report: Json) -> Iterator[str]:
    """What was run, case by case and rule by rule; nothing where no case was."""
    if report["runs"]:
        yield _filter()
        yield "<h2>Cases</h2>"
        yield from _areas(report["runs"])
        yield from _rules(report)
        yield f"<script>const BAD = {sorted(BAD)!r};{_SCRIPT}</script>"


def _overview(runs: list[Json]) -> Iterator[str]:
    if not runs:
        return
    yield "<h2>Implementations</h2><table><thead><tr>"
    heads = ["Implementation", "Role", "Level", "Executed", *STATUSES, "Conforms"]
    yield "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for run in runs:
        proven = claims(run)
        for role in run["roles"]:
            statuses = Counter(r["status"] for r in run["results"] if r["role"] == role)
            if statuses:
                yield _overview_row(run, role, statuses, role in proven)
    yield "</tbody></table>"


def _overview_row(run: Json, role: str, statuses: Counter[str], proven: bool) -> str:
    who = run["implementation"]
    name = " ".join(filter(None, (who["name"], who["version"], f"({run['protocol']})")))
    executed = sum(statuses.values()) - statuses["unsupported"] - statuses["unresolvable"]
    numbers = [executed, *(statuses[status] for status in STATUSES)]
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    verdict = '<td class="pass">yes</td>' if proven else "<td>not shown by this run</td>"
    return (f'<tr><th scope="row">{escape(name)}</th><td>{role}</td><td>{run["level"]}</td>'
            f"{cells}{verdict}</tr>")  # fmt: skip


def _filter() -> str:
    options = "".join(f'<option value="{status}">{status}</option>' for status in STATUSES)
    return (
        '<form hidden role="search"><label>Words: <input name="words" type="search" '
        'placeholder="area, case, rule, role"></label><label>Status: <select name="status">'
        f'<option value="">any</option><option value="bad">any failure</option>{options}'
        '</select></label><output aria-live="polite"></output></form>'
    )


def _areas(runs: list[Json]) -> Iterator[str]:
    """A section for each area: a row for each case, role and operation."""
    matrix: dict[tuple[str, str, str], dict[int, Json]] = defaultdict(dict)
    for number, run in enumerate(runs):
        for result in run["results"]:
            matrix[result["case"], result["role"], result["operation"]][number] = result
    areas: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for key in sorted(matrix):
        areas[key[0].split("/")[0]].append(key)
    heads = ["Case", "Role", "Rules", *(run["implementation"]["name"] for run in runs)]
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    for area, keys in areas.items():
        found = [result for key in keys for result in matrix[key].values()]
        bad = sum(result["status"] in BAD for result in found)
        yield f"<details{' open' if bad else ''}><summary>{escape(area)}: {len(keys)} rows, "
        yield f"{bad} failed</summary><table><thead><tr>{head}</tr></thead><tbody>"
        for key in keys:
            yield _row(key, matrix[key], len(runs))
        yield "</tbody></table></details>"


def _row(key: tuple[str, str, str], results: dict[int, Json], columns: int) -> str:
    case, role, operation = key
    some = next(iter(results.values()))
    rules = " ".join(some["rules"])
    words = escape(f"{case} {role} {operation} {rules}".lower(), quote=True)
    statuses = " ".join(sorted({result["status"] for result in results.values()}))
    cells = "".join(_cell(results.get(number)) for number in range(columns))
    doing = role if operation in role.lower() or role != "Reader" else f"{role}, {operation}"
    return (f'<tr data-words="{words}" data-statuses="{statuses}">'
            f'<th scope="row">{escape(case)}</th>'
            f"<td>{doing}</td><td>{rules}</td>{cells}</tr>")  # fmt: skip


def _cell(result: Json | None) -> str:
    if result is None:
        return "<td>not asked</td>"
    status = result["status"]
    label = "" if status in ("crash", "timeout") else f' aria-label="{status}"'
    detail = f"<small>{escape(result['detail'])}</small>" if result["detail"] else ""
    return f'<td class="{status}"><span{label}>{_MARKS[status]}</span>{detail}</td>'


def _rules(report: Json) -> Iterator[str]:
    """Each rule with its cases, and how each implementation did on them."""
    passed: list[Counter[str]] = []
    asked: list[Counter[str]] = []
    for run in report["runs"]:
        asked.append(Counter(rule for result in run["results"] for rule in result["rules"]))
        passed.append(Counter(rule for result in run["results"] for rule in result["rules"]
                              if result["status"] == "pass"))  # fmt: skip
    heads = ["Rule", "Level", "Cases", *(run["implementation"]["name"] for run in report["runs"])]
    covered = sum(bool(rule["cases"]) for rule in report["rules"])
    yield f"<h2>Rules</h2><p>{covered} of {len(report['rules'])} rules have a case.</p>"
    yield "<table><thead><tr>"
    yield "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for rule in report["rules"]:
        key = rule["id"]
        cells = "".join(_share(own[key], whole[key])
                        for own, whole in zip(passed, asked, strict=True))  # fmt: skip
        note = f"<small>{escape(rule['untestable'])}</small>" if "untestable" in rule else ""
        yield f'<tr><th scope="row">{key}</th><td>{rule["level"]}</td>'
        yield f"<td>{rule['cases']}{note}</td>{cells}</tr>"
    yield "</tbody></table>"


def _share(passed: int, asked: int) -> str:
    if not asked:
        return "<td>not asked</td>"
    return f'<td class="{"pass" if passed == asked else "fail"}">{passed} of {asked} pass</td>'
