"""The report of a machine as JSON and as a page of Markdown.

write(report, Path("conformance/reports"))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]
_Row = Sequence[Any]


def write(report: Report, folder: Path, name: str) -> list[Path]:
    """Write NAME.json and NAME.md to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page = folder / f"{name}.json", folder / f"{name}.md"
    data.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    page.write_text(markdown(report), "utf-8")
    return [data, page]


def markdown(report: Report) -> str:
    """The page."""
    return "\n".join(
        [
            f"# {report['device']['name']}",
            "",
            *_machine(report),
            "",
            "## Golden vectors",
            "",
            "Ratios are of the error to what chapter 18 allows: at most 1 passes.",
            "",
            *_checks(report["load_check"]),
            "",
            *_control(report["control"]),
            "## Speed",
            "",
            "Cold start is from nothing to the first output: process, imports, weights, compilation"
            ". Latency is the median run, from inputs to outputs in the host's memory.",
            "",
            *_speed(report["speed"]),
            "",
            "## Loading",
            "",
            "From an archive in the page cache to the device; the plain copy is of the same arrays"
            " in pageable memory. Least of three.",
            "",
            *_loading(report["loading"]),
            "",
        ]
    )


def _machine(report: Report) -> list[str]:
    device = report["device"]
    told = [f"{key} {device[key]}" for key in ("driver", "memory") if key in device]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return [
        f"{report['date']}, {report['system']}, {report['cores']} cores"
        + "".join(f", {each}" for each in told)
        + ".",
        "",
        f"{versions}. TensorFlow loaded by an engine: {'yes' if report['tensorflow_loaded'] else 'no'}.",
    ]


def _checks(rows: Sequence[Report]) -> list[str]:
    return _table(
        ("bundle", "function", "vector", "grade", "engine", "precision", "", "max", "RMS", "repeats"),
        (
            (
                row["bundle"], row["component"], row["vector"], row["grade"], row["engine"],
                row["precision"], row["status"], _worst(row, "max_ratio"), _worst(row, "rms_ratio"),
                {True: "yes", False: "no"}.get(row.get("repeatable"), ""),
            )
            for row in rows
        ),
    )  # fmt: skip


def _worst(row: Report, member: str) -> str:
    found = [each[member] for each in row["outputs"] if isinstance(each.get(member), float)]
    return f"{max(found):.3g}" if found else ""


def _control(rows: Sequence[Report]) -> list[str]:
    if not rows:
        return []
    caught = sum(row["outcome"] == "fail" for row in rows)
    return [
        f"Outputs of tf32 that are declared as float32 are told in {caught} of {len(rows)} cases.",
        "",
        *_table(
            ("bundle", "function", "engine", "", "max"),
            ((r["bundle"], r["component"], r["engine"], r["outcome"], r["max_ratio"]) for r in rows),
        ),
        "",
    ]


def _speed(rows: Sequence[Report]) -> list[str]:
    return _table(
        ("bundle", "function", "engine", "precision", "batch", "cold s", "latency ms", "rows/s"),
        (
            (
                row["bundle"], row["component"], row["engine"], row["precision"], row["batch"],
                *(
                    (row["error"], "", "")
                    if "error" in row
                    else (row["cold_seconds"], row["latency_ms"], row["rows_per_second"])
                ),
            )
            for row in rows
        ),
    )  # fmt: skip


def _loading(rows: Sequence[Report]) -> list[str]:
    return _table(
        ("framework", "MiB", "plain copy GB/s", "load GB/s", "load with digests GB/s"),
        (
            (
                row["framework"], row["bytes"] >> 20, row["plain_copy_gb_per_second"],
                row["load_gb_per_second"], row["verified_load_gb_per_second"],
            )
            for row in rows
        ),
    )  # fmt: skip


def _table(head: _Row, rows: Iterable[_Row]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(_cell, line)) + " |" for line in lines]


def _cell(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
