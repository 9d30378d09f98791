"""Each operation as a tool is asked to do it, and what must hold where it was done.

outcome = perform(item, tool, space)
outcome.answer.verdict, outcome.faults      # "accept", ["tensor kernel: digest is …"]
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelbundle_conformance.answers import Answer, clip
from modelbundle_conformance.cases import Case, Json
from modelbundle_conformance.plan import Item
from modelbundle_conformance.tools import Request, Tool
from modelbundle_conformance.workspace import SetupError, Workspace

MAX_FAULTS = 5
FREE = frozenset({"role"})
"""Members of a row that an answer of `read` can leave out, but not give wrongly."""


@dataclass(frozen=True)
class Outcome:
    """What a tool answered, and what is wrong with what it did."""

    answer: Answer
    faults: tuple[str, ...] = ()
    measures: tuple[Json, ...] = ()
    """run: for each output of each vector, what ran and how far off it was."""


def perform(item: Item, tool: Tool, space: Workspace) -> Outcome:
    """Set the case up, ask the tool, and hold what it did against the case."""
    try:
        path = space.prepare(item.case)
    except SetupError as error:
        return Outcome(Answer("unresolvable", str(error)))
    run = Operation(item.case, tool, space, path)
    if item.operation == "run":
        from modelbundle_conformance import running

        return running.perform(run)
    answer, faults = _OPERATIONS[item.operation](run)
    return Outcome(answer, tuple(faults[:MAX_FAULTS]))


@dataclass(frozen=True)
class Operation:
    """One operation under way."""

    case: Case
    tool: Tool
    space: Workspace
    path: Path

    @property
    def expects_refusal(self) -> bool:
        """Whether nothing may come of it."""
        return bool(self.case.verdict != "accept")

    def ask(self, operation: str, path: Path, *, destination: Path | None = None,
            sources: Sequence[str] = (), environment: Mapping[str, str] | None = None,
            digest: str | None = None) -> tuple[Answer, list[str]]:  # fmt: skip
        """Ask the tool; nothing may change but what is below `destination`."""
        before = self.space.listing()
        request = Request(operation, path, self.case.seconds, digest, destination, tuple(sources),
                          dict(environment or {}))  # fmt: skip
        answer = self.tool.ask(request)
        refused = answer.verdict != "accept"
        free = None if refused or not destination else destination.relative_to(self.space.root)
        return answer, list(_changes(before, self.space.listing(), free))


_Done = tuple[Answer, list[str]]


def _validate(run: Operation) -> _Done:
    return run.ask("validate", run.path)


def _read(run: Operation) -> _Done:
    answer, faults = run.ask("read", run.path, digest=run.case.arguments.get("digest"))
    if answer.verdict == "accept" and run.case.answer is not None:
        faults += differences(run.case.answer, answer.data)
    return answer, faults


def _unpack(run: Operation) -> _Done:
    given = run.case.arguments.get("destination")
    destination = run.space.case / given if given else run.space.made / "unpacked"
    existing = set(tree(destination))
    answer, faults = run.ask("unpack", run.path, destination=destination)
    if answer.verdict == "accept" and run.case.answer is not None and not run.expects_refusal:
        sources = {
            f["path"]: f["digest"] for f in run.case.answer["files"] if f["role"] == "source"
        }
        found = {path: how for path, how in tree(destination).items() if path not in existing}
        faults += _compare(
            sources, {path: how for path, how in found.items() if how != "directory"}
        )
    return answer, faults


def _copy(run: Operation) -> _Done:
    """There and back: the other layout, whose content is known, and then the first one again."""
    layout = run.case.arguments.get("layout")
    there = run.space.made / _name("there", layout or _other(run.case.layout))
    answer, faults = run.ask("copy", run.path, destination=there)
    if answer.verdict != "accept" or run.expects_refusal:
        return answer, faults
    faults += _check_copy(there, run.case.answer)
    back = run.space.made / _name("back", run.case.layout)
    second, more = run.ask("copy", there, destination=back)
    if second.verdict != "accept":
        rules = clip([found["rule"] for found in second.findings])
        return second if second.ended != "answered" else answer, [
            *faults, *more, f"refuses its own copy {there.name}: {rules}"]  # fmt: skip
    if tree(back) != tree(run.path):
        more.append(f"{run.case.layout} to {there.name} and back are not the same bytes")
    return answer, [*faults, *more]


def _written(run: Operation) -> _Done:
    """`pack` and `write`: twice, in other surroundings, to the same bytes (WRT-01)."""
    operation = run.case.operation
    sources = run.case.arguments.get("sources", [])
    first = run.space.made / "packed.modelbundle"
    answer, faults = run.ask(operation, run.path, destination=first, sources=sources)
    if answer.verdict != "accept" or run.expects_refusal:
        return answer, faults
    surroundings = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": "/"}
    second = run.space.made / "again.modelbundle"
    again, more = run.ask(operation, run.path, destination=second, sources=sources[::-1],
                          environment=surroundings)  # fmt: skip
    if again.verdict != "accept" or tree(first) != tree(second):
        more.append("another order, time zone and locale give other bytes")
    if run.case.answer is not None:
        wanted, found = run.case.answer["digest"], bundle_digest(first)
        more += [f"the bundle is {found}, not {wanted}"] if wanted != found else []
    return answer, [*faults, *more]


_OPERATIONS: Mapping[str, Callable[[Operation], _Done]] = {
    "validate": _validate,
    "read": _read,
    "unpack": _unpack,
    "copy": _copy,
    "pack": _written,
    "write": _written,
}


def differences(expected: Json, found: Json) -> list[str]:
    """How an answer of `read` departs from the one expected; further members do not count."""
    faults = [] if found.get("digest") == expected["digest"] else [
        f"the bundle digest is {clip(found.get('digest'))}, not {expected['digest']}"]  # fmt: skip
    for kind, key in (("file", "path"), ("tensor", "name")):
        rows = found.get(f"{kind}s")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            faults.append(f"{kind}s is no array of objects")
            continue
        wanted = expected[f"{kind}s"]
        names = [row[key] for row in wanted]
        if [row.get(key) for row in rows] != names:
            faults.append(f"the {kind}s are {clip([r.get(key) for r in rows])}, not {clip(names)}")
            continue
        faults += [
            f"{kind} {row[key]}: {name} is {clip(mine.get(name))}, not {clip(row[name])}"
            for row, mine in zip(wanted, rows, strict=True)
            for name in row
            if (name not in FREE or name in mine)
            and json.dumps(mine.get(name)) != json.dumps(row[name])  # 2.0 and true are no 2 and 1
        ]
    return faults


def _other(layout: str) -> str:
    return "directory" if layout == "archive" else "archive"


def _name(stem: str, layout: str) -> str:
    return f"{stem}.modelbundle" if layout == "archive" else stem


def _check_copy(copy: Path, expected: Json | None) -> list[str]:
    """What a copy has to hold, as far as it can be seen without knowing archives."""
    if expected is None:
        return []
    if "copy" in expected:
        return _compare(expected["copy"], _files(copy))
    if copy.is_file():
        found = bundle_digest(copy)
        return [] if found == expected["digest"] else [f"the copy is {found}: another manifest"]
    found_files = tree(copy)
    stored = _files(copy)
    manifest = stored.pop("manifest.json", "missing")
    if manifest != expected["digest"]:
        return [f"manifest.json of the copy: {manifest}, not {expected['digest']}"]
    listed = json.loads((copy / "manifest.json").read_bytes())  # its digest is known to be right
    wanted = {f["path"]: f["digest"] for f in listed["files"] if f["storage"] == "stored"}
    folders = [f"directory {path} is missing" for path in listed.get("directories", ())
               if found_files.get(path) != "directory"]  # fmt: skip
    return _compare(wanted, stored) + folders


def bundle_digest(path: Path) -> str:
    """The digest of an archive: of its manifest, whose size stands at 22, its bytes at 64."""
    try:
        data = path.read_bytes()
    except OSError:
        return "missing"
    size = int.from_bytes(data[22:26], "little")
    return f"sha256:{hashlib.sha256(data[64 : 64 + size]).hexdigest()}"


def _compare(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return [
        f"{path}: {found.get(path, 'missing')}, not {wanted.get(path, 'there')}"
        for path in sorted(wanted.keys() | found.keys())
        if wanted.get(path) != found.get(path)
    ]


def tree(path: Path) -> dict[str, str]:
    """Everything at and below `path`: a digest for a file, else what it is; links unfollowed."""
    found: dict[str, str] = {}
    real = path.resolve()
    for each in [real] if real.is_file() else sorted(real.rglob("*")):
        mode = each.lstat().st_mode
        name = "" if each == real else each.relative_to(real).as_posix()
        if stat.S_ISREG(mode):
            found[name] = f"sha256:{hashlib.sha256(each.read_bytes()).hexdigest()}"
        else:
            found[name] = "directory" if stat.S_ISDIR(mode) else "neither file nor directory"
    return found


def _files(path: Path) -> dict[str, str]:
    return {name: how for name, how in tree(path).items() if how != "directory"}


def _changes(
    before: Mapping[str, tuple[int, ...]], after: Mapping[str, tuple[int, ...]], free: Path | None
) -> Iterator[str]:
    """What was written where nothing may be; `free` and what is below it may change."""
    allowed = () if free is None else (free.as_posix(), *[p.as_posix() for p in free.parents])
    below = None if free is None else f"{free.as_posix()}/"
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path) or path in allowed:
            continue
        if below is None or not path.startswith(below):
            kind = "left" if path not in before else "removed" if path not in after else "changed"
            yield f"{kind} {path}"
