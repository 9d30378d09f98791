"""The command line: `run`, `list`, `matrix` and `report`.

modelbundle-conformance run --tool "node cli.js" --class Reader
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from modelbundle_conformance import cases, expected_failures, load_checks, report
from modelbundle_conformance.badge import badge
from modelbundle_conformance.cases import Json, Suite, UsageError
from modelbundle_conformance.exchange import Party, exchange
from modelbundle_conformance.junit import junit
from modelbundle_conformance.page import page
from modelbundle_conformance.plan import ROLES, Selection, plan
from modelbundle_conformance.processes import Limits
from modelbundle_conformance.progress import Progress, tell
from modelbundle_conformance.runner import Run, Setup

OK, FAILED, NO_RESULT = 0, 1, 2
"""Exit statuses."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        suite = cases.load(cases.find(options.suite))
        return int(options.do(options, suite))
    except (UsageError, report.InvalidReport) as error:
        print(f"modelbundle-conformance: {error}", file=sys.stderr)
        return NO_RESULT
    except KeyboardInterrupt:
        print("interrupted: there is no report", file=sys.stderr)
        return NO_RESULT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelbundle-conformance",
        description="Hold an implementation of the modelbundle standard against its cases.",
        epilog="Exit status: 0 all as it should be, 1 something failed, 2 no result.",
    )
    parser.add_argument("--suite", type=Path, help="the folder conformance/ of a checkout")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _run_parser(commands.add_parser("run", help="run cases against a tool"))
    _choosing(listing := commands.add_parser("list", help="list what would be run"))
    listing.set_defaults(do=_list)
    _matrix_parser(commands.add_parser("matrix", help="each reads what each has written"))
    joining = commands.add_parser("report", help="make one report of several")
    joining.add_argument(
        "reports", nargs="*", type=Path, help="report.json files, or their folders"
    )
    joining.add_argument("--load-check", action="append", default=[], type=Path, metavar="FILE",
                         help="an answer of `load-check --json`; can be repeated")  # fmt: skip
    joining.add_argument("--output", type=Path, required=True, metavar="DIR")
    joining.set_defaults(do=_report)
    return parser


def _run_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(do=_run)
    _choosing(parser)
    add = parser.add_argument
    add("--tool", required=True, metavar="COMMAND", help="the tool, as PROTOCOL.md has it")
    add("--expected-failures", type=Path, metavar="FILE")
    add("--unsupported", action="append", default=[], metavar="FEATURE",
        help="a feature that the tool does not support")  # fmt: skip
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    _asking(parser)


def _matrix_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(do=_matrix)
    parser.add_argument("--implementation", action="append", required=True, metavar="NAME=COMMAND",
                        dest="implementations", help="one that takes part; repeated")  # fmt: skip
    parser.add_argument("--level", choices=["core", "full"], default="full")
    parser.add_argument("--filter", action="append", default=[], metavar="AREA", dest="filters",
                        help="an area, a case or a pattern; can be repeated")  # fmt: skip
    _asking(parser)


def _asking(parser: argparse.ArgumentParser) -> None:
    """How tools are asked, and where the report goes."""
    limits = Limits()
    add = parser.add_argument
    add("--persistent", action="store_true", help="one process and JSON lines (COMMAND serve)")
    add("--report", type=Path, metavar="DIR", help="write report.json, junit.xml, report.html")
    add("--memory", type=int, default=limits.memory_mib, metavar="MIB",
        help="address space of the tool; 0 for no limit (%(default)s)")  # fmt: skip
    add("--patience", type=float, default=limits.patience, metavar="FACTOR",
        help="times the seconds that a case allows (%(default)s)")  # fmt: skip


def _choosing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--class", action="append", default=[], choices=ROLES, dest="roles",
                        help="can be given more than once; all without it")  # fmt: skip
    parser.add_argument("--level", choices=["core", "full"], default="core")
    parser.add_argument("--filter", action="append", default=[], metavar="AREA", dest="filters",
                        help="an area, a case or a pattern; can be repeated")  # fmt: skip


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(tuple(options.roles), options.level, tuple(options.filters))


def _run(options: argparse.Namespace, suite: Suite) -> int:
    command = _command(options.tool)
    known = options.expected_failures
    setup = Setup(
        command,
        options.persistent,
        options.jobs,
        Limits(memory_mib=options.memory, patience=options.patience),
        frozenset(options.unsupported),
        expected_failures.load(known, suite.cases) if known else (),
    )
    selection = _selection(options)
    items = plan(suite, selection)
    started = time.monotonic()
    with Progress(len(items)) as progress:
        run = Run(suite, setup)
        results = run.execute(items, progress.take)
    entry = report.entry(run, setup, selection, results, time.monotonic() - started)
    value = report.build(suite, [entry])
    _summarise(entry)
    report.check(value, suite)
    if options.report:
        write(value, options.report)
    return FAILED if report.failed(entry) else OK


def _matrix(options: argparse.Namespace, suite: Suite) -> int:
    limits = Limits(memory_mib=options.memory, patience=options.patience)
    parties = [Party(name, Setup(command, options.persistent, limits=limits))
               for name, command in map(_party, options.implementations)]  # fmt: skip
    if len({party.name for party in parties}) < len(parties):
        raise UsageError("--implementation: two of one name")
    selection = Selection((), options.level, tuple(options.filters))
    found = exchange(suite, parties, selection, tell)
    value = report.build(suite, [], found)
    report.check(value, suite)
    _summarise_matrix(found)
    if options.report:
        write(value, options.report)
    return FAILED if report.any_failed(value) else OK


def _party(text: str) -> tuple[str, list[str]]:
    name, equals, command = text.partition("=")
    if not (name and equals):
        raise UsageError(f"--implementation: {text!r} is no NAME=COMMAND")
    return name, _command(command)


def _command(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--tool: {error}") from error
    if not words or shutil.which(words[0]) is None:
        raise UsageError(f"--tool: there is no command {words[0] if words else text!r}")
    return words


def _list(options: argparse.Namespace, suite: Suite) -> int:
    for item in plan(suite, _selection(options)):
        print(f"{item.role:<10} {item.operation:<9} {item.case.verdict:<12} {item.case.id}")
    return OK


def _report(options: argparse.Namespace, suite: Suite) -> int:
    engines = [row for path in options.load_check
               for row in load_checks.measures(_json(path), suite)]  # fmt: skip
    loaded = [_load(path, suite) for path in options.reports]
    if engines:
        loaded.append(report.build(suite, [], engines=engines))
    if not loaded:
        raise UsageError("nothing to report: name a report or a load-check")
    value = report.merge(suite, loaded)
    report.check(value, suite)
    write(value, options.output)
    return FAILED if report.any_failed(value) else OK


def _load(path: Path, suite: Suite) -> Json:
    file = path / "report.json" if path.is_dir() else path
    value = _json(file)
    try:
        report.check(value, suite)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: {error}") from error
    return value


def _json(path: Path) -> Json:
    try:
        value: Json = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    return value


def write(value: Json, folder: Path) -> None:
    """Write the report and all that follows from it; badges only where they are earned."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("badge-*.svg"):
        old.unlink()
    texts = {"report.json": json.dumps(value, indent=1, ensure_ascii=False) + "\n",
             "junit.xml": junit(value), "report.html": page(value)}  # fmt: skip
    if len(value["runs"]) == 1:
        (run,) = value["runs"]
        texts |= {f"badge-{role.lower()}-{run['level']}.svg": badge(role, run["level"])
                  for role in report.claims(run)}  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    print(f"wrote {', '.join(sorted(texts))} to {folder}")


def _summarise(entry: Json) -> None:
    counts = entry["counts"]
    told = [f"{number} {status}" for status, number in counts.items() if number]
    print(f"{entry['implementation']['name']}: {', '.join(told) or 'nothing'}; "
          f"{entry['seconds']:.1f} s")  # fmt: skip
    for role in report.claims(entry):
        print(f"conforms: {role}, {entry['level'].capitalize()}")


def _summarise_matrix(found: Json) -> None:
    """A line for each writer and reader."""
    for writer in found["implementations"]:
        own = [row for row in found["writes"] if row["writer"] == writer["name"]]
        print(f"{writer['name']} writes: {_told(own)}")
        for reader in found["implementations"]:
            pair = (writer["name"], reader["name"])
            rows = [row for row in found["reads"] if (row["writer"], row["reader"]) == pair]
            print(f"  {reader['name']} reads: {_told(rows)}")


def _told(rows: list[Json]) -> str:
    counts = Counter(row["status"] for row in rows)
    return ", ".join(f"{number} {status}" for status, number in counts.items()) or "nothing"
