"""The parts of the page about several implementations and engines: who reads whom, how exactly.

`writers` is the matrix of writers and readers of a report, `engines` a table of engine, device and
precision, with a plot of the errors in each row: inline SVG on a logarithmic axis.

    sections = [*writers(report), *engines(report)]
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from html import escape

from modelbundle_conformance.cases import Json
from modelbundle_conformance.judging import MAX_RATIO, RMS_RATIO
from modelbundle_conformance.scoring import BAD

_WIDTH, _HEIGHT = 320, 44
_LEAST, _MOST = 1e-3, 1e6
"""Ends of the axis, in sigma; what lies beyond is drawn at the end."""


def writers(report: Json) -> Iterator[str]:
    """A row for each writer, a column for each reader; failures are listed below."""
    if "exchange" not in report:
        return
    found = report["exchange"]
    names = [each["name"] for each in found["implementations"]]
    heads = ["Writer", "Writes", *(f"read by {name}" for name in names)]
    yield "<h2>Writers and readers</h2><p>Bundles that were read byte for byte as their case says, "
    yield "and archives that are the same bytes whoever wrote them.</p>"
    yield _head(heads)
    for writer in names:
        own = [row for row in found["writes"] if row["writer"] == writer]
        cells = [own] + [[row for row in found["reads"] if (row["writer"], row["reader"]) ==
                          (writer, reader)] for reader in names]  # fmt: skip
        yield f'<tr><th scope="row">{escape(writer)}</th>{"".join(map(_share, cells))}</tr>'
    yield "</tbody></table>"
    wrong = [row for row in [*found["writes"], *found["reads"]] if row["status"] in BAD]
    if wrong:
        yield "<ul>" + "".join(map(_told, wrong)) + "</ul>"


def _share(rows: list[Json]) -> str:
    """How many of what was tried went well."""
    asked = [row for row in rows if row["status"] != "unsupported"]
    if not asked:
        return '<td class="unsupported">not offered</td>'
    passed = sum(row["status"] == "pass" for row in asked)
    status = "pass" if passed == len(asked) else "fail"
    mark = "✓" if status == "pass" else "✗"
    return f'<td class="{status}">{mark} {passed} of {len(asked)}</td>'


def _told(row: Json) -> str:
    who = f"{row['reader']} reads {row['writer']}" if "reader" in row else f"{row['writer']} writes"
    what = f"{who}: {row['case']}, {row['layout']}: {row['status']}: {row['detail']}"
    return f'<li class="{row["status"]}">{escape(what)}</li>'


def engines(report: Json) -> Iterator[str]:
    """Each engine on each device in each precision, with its errors."""
    groups: dict[tuple[str, str, str], list[Json]] = defaultdict(list)
    for row in _measures(report):
        groups[row["engine"], row["device"], row["precision"]].append(row)
    if not groups:
        return
    yield "<h2>Engines</h2><p>Outputs held against golden vectors. Each dot is an output: above, "
    yield f"its largest error, which may be {MAX_RATIO:g} &sigma;; below, the root mean square "
    yield f"of its errors, which may be {RMS_RATIO:g} &sigma;. "
    yield "&sigma; follows from the weights and the precision.</p>"
    yield _head(["Engine", "Device", "Precision", "Outputs", "Largest", "RMS", "Errors in sigma"])
    for key in sorted(groups):
        yield _engine(key, groups[key])
    yield "</tbody></table>"


def _measures(report: Json) -> Iterator[Json]:
    """What load-checks measured, and what Runners gave in cases that were run."""
    yield from report.get("engines", ())
    for run in report["runs"]:
        for result in run["results"]:
            yield from result.get("measures", ())


def _engine(key: tuple[str, str, str], rows: list[Json]) -> str:
    outcomes = Counter(row["outcome"] for row in rows)
    status = "fail" if outcomes["fail"] else "pass" if outcomes["pass"] else "unsupported"
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    reasons = sorted({row["reason"] for row in rows if row["reason"]})[:3]
    notes = "".join(f"<small>{escape(reason)}</small>" for reason in reasons)
    largest, mean = (_numbers(rows, name) for name in ("max_ratio", "rms_ratio"))
    cells = "".join(f"<td>{escape(text)}</td>" for text in key[1:])
    worst = "".join(f'<td class="number">{_worst(values)}</td>' for values in (largest, mean))
    return (f'<tr><th scope="row">{escape(key[0])}</th>{cells}<td class="{status}">{told}{notes}'
            f"</td>{worst}<td>{plot(largest, mean)}</td></tr>")  # fmt: skip


def _numbers(rows: Iterable[Json], name: str) -> list[float]:
    return [float(row[name]) for row in rows if name in row]


def _worst(values: list[float]) -> str:
    return f"{max(values):.3g}" if values else "none"


def plot(largest: list[float], mean: list[float]) -> str:
    """Two strips of dots on one logarithmic axis, with the limit of each; empty without values."""
    if not largest and not mean:
        return ""
    told = f"largest error {_worst(largest)} sigma, root mean square {_worst(mean)} sigma"
    ticks = "".join(
        f'<text x="{_x(10.0**power):.1f}" y="{_HEIGHT - 2}">{_label(power)}</text>'
        for power in range(-3, 7, 3)
    )
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{told}" font-size="9" text-anchor="middle" fill="currentColor">'
        f"<title>{told}</title>{_strip(largest, MAX_RATIO, 10)}{_strip(mean, RMS_RATIO, 24)}"
        f"{ticks}</svg>"
    )


def _strip(values: list[float], limit: float, y: int) -> str:
    line = (f'<path d="M{_x(_LEAST):.1f} {y}H{_x(_MOST):.1f}M{_x(limit):.1f} {y - 6}v12" '
            'stroke="currentColor" fill="none"/>')  # fmt: skip
    dots = "".join(
        f'<circle cx="{_x(value):.1f}" cy="{y}" r="3" fill-opacity=".6" '
        f'class="{"within" if value <= limit else "beyond"}"/>'
        for value in sorted(values)
    )
    return line + dots


def _x(value: float) -> float:
    """The place of a ratio on the axis."""
    bounded = min(max(value, _LEAST), _MOST)
    span = math.log10(_MOST / _LEAST)
    return 12 + (_WIDTH - 24) * math.log10(bounded / _LEAST) / span


def _label(power: int) -> str:
    return "1" if power == 0 else f"1e{power}"


def _head(heads: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>"
