"""What `diff` prints for people: files, configs, tensors with norms, the manifest.

print_difference(diff(a, b))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from modelbundle.cli.printing import MAX_ROWS, many, page, section, shape, shown, size, table
from modelbundle.core.findings import clip

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelbundle.comparing import Difference, FileChange, TensorChange, TensorSide
    from modelbundle.comparing.json_changes import Change

_VALUE_LENGTH = 80
_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def print_difference(answer: Difference) -> None:
    """Print the answer."""
    with page() as out:
        if answer.same:
            out.print(
                Text("the same", style="bold").append(f"   {answer.a}", style="not bold cyan")
            )
            out.print(Text("by their digests; `modelbundle validate` reads the data", style="dim"))
            return
        out.print(Text("different", style="bold"))
        for sign, digest in (("-", answer.a), ("+", answer.b)):
            out.print(Text(f"{sign} {digest}", style="cyan"))
        section(out, "Files", *_files(answer.files))
        for config in answer.configs:
            title = f"Config {shown(config.b)}"
            section(out, title, *_changes(config.changes, config.omitted))
        section(out, _tensor_title(answer), *_tensors(answer))
        section(out, "Manifest", *_changes(answer.manifest.listed, answer.manifest.omitted))


def _sign(change: str) -> Text:
    return Text(_SIGNS[change], style=_STYLES[change])


def _rest(count: int) -> Iterator[Text]:
    if count > 0:
        yield Text(f"… {count:,} more (use --json)", style="dim")


def _files(changes: Iterable[FileChange]) -> Iterator[RenderableType]:
    """Files of the sources and what was made of them; indexes follow from these."""
    every = [c for c in changes if not any(side and side.role == "index" for side in (c.a, c.b))]
    made = table("", "file", ">size", "")
    for change in every[:MAX_ROWS]:
        sides = [side for side in (change.a, change.b) if side is not None]
        sizes = dict.fromkeys(size(side.size) for side in sides)
        same = len(sides) == 2 and sides[0].digest == sides[1].digest
        moved = " → ".join(dict.fromkeys(f"{side.role}, {side.storage}" for side in sides))
        note = Text(f"same content: {moved}" if same else "", style="dim")
        made.add_row(_sign(change.change), shown(change.path), " → ".join(sizes), note)
    if every:
        yield made
    yield from _rest(len(every) - MAX_ROWS)


def _changes(listed: Sequence[Change], omitted: int) -> Iterator[RenderableType]:
    for change in listed[:MAX_ROWS]:
        kind = "added" if change.old is None else "removed" if change.new is None else "changed"
        values = [clip(value, _VALUE_LENGTH) for value in (change.old, change.new) if value]
        place = shown(change.pointer) or "/"
        yield _sign(kind).append(f" {place}   {' → '.join(values)}", style="default")
    yield from _rest(max(len(listed) - MAX_ROWS, 0) + omitted)


def _tensor_title(answer: Difference) -> str:
    found = answer.tensors
    counts = {"added": found.added, "removed": found.removed, "changed": found.changed}
    told = [f"{len(items):,} {name}" for name, items in counts.items() if items]
    return f"Tensors   {', '.join([*told, f'{found.unchanged:,} unchanged'])}"


def _tensors(answer: Difference) -> Iterator[RenderableType]:
    found = answer.tensors
    rows = list(_tensor_rows(answer))
    made = table("", "tensor", "", ">relative", ">largest", "differing")
    for row in rows[:MAX_ROWS]:
        made.add_row(*row)
    hidden = len(found.added) + len(found.removed) + len(found.changed) - min(len(rows), MAX_ROWS)
    if rows:
        yield made
    yield from _rest(hidden)


def _tensor_rows(answer: Difference) -> Iterator[tuple[RenderableType, ...]]:
    """The first rows of each kind, changed values first."""
    for change in answer.tensors.changed[:MAX_ROWS]:
        yield _sign("changed"), shown(change.name), _sides(change), *_norms(change)
    for kind, tensors in (("removed", answer.tensors.removed), ("added", answer.tensors.added)):
        for tensor in tensors[:MAX_ROWS]:
            yield _sign(kind), shown(tensor.name), f"{tensor.dtype}{shape(tensor.shape)}"


def _sides(change: TensorChange) -> str:
    def told(side: TensorSide) -> str:
        role = f" {side.role}" if change.a.role != change.b.role else ""
        return f"{side.dtype}{shape(side.shape)}{role}"

    return " → ".join(dict.fromkeys(map(told, (change.a, change.b))))


def _norms(change: TensorChange) -> tuple[str, str, str]:
    if not change.value_changed:
        return "", "", "same values"
    if change.norms is None:
        return "", "", "other values"
    norms = change.norms
    relative = "" if norms.relative is None else f"{norms.relative:.3g}"
    elements = f"{norms.differing:,} of {many(norms.elements, 'element')}"
    return relative, f"{norms.max_abs:.3g}", elements
