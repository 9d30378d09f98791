"""Text for people: numbers with units, shapes, tables, a console that is plain where it has to be.

    >>> size(1_234_567), shape((2, None, "batch"))
    ('1.23 MB', '[2, ?, batch]')

Whatever a bundle says goes through `shown` before it is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING

import click

from modelbundle.core.findings import clip

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

MAX_ROWS = 40
"""Rows of a table before the rest is only counted."""

_PLAIN_WIDTH = 1 << 14
_TEXT_LENGTH = 4096


def shown(text: str) -> str:
    """`text` of a bundle, made safe for a terminal."""
    return clip(text, _TEXT_LENGTH)


def size(count: int) -> str:
    """Bytes with a unit, three figures."""
    value, units = float(count), ["kB", "MB", "GB", "TB", "PB"]
    if count < 1000:
        return f"{count} B"
    unit = ""
    while value >= 999.5 and units:
        value, unit = value / 1000, units.pop(0)
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def many(count: int, thing: str) -> str:
    """`1 file`, `12,000 files`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def shape(dims: Sequence[int | str | None] | None) -> str:
    """A shape, `?` where a dimension is not known, `[...]` where not even the rank is."""
    if dims is None:
        return "[...]"
    return f"[{', '.join('?' if dim is None else shown(str(dim)) for dim in dims)}]"


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Some names, and how many more there are."""
    every = list(names)
    rest = [f"… {len(every) - limit:,} more"] if len(every) > limit else []
    return ", ".join([*map(shown, every[:limit]), *rest])


@contextmanager
def page() -> Iterator[Console]:
    """Where an answer for people goes; plain text, never wrapped, where stdout is no terminal."""
    from rich.console import Console

    made = partial(Console, markup=False, emoji=False, highlight=False)
    if sys.stdout.isatty():
        yield made()
        return
    text = StringIO()
    yield made(file=text, width=_PLAIN_WIDTH, color_system=None)
    click.echo("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def section(out: Console, title: str | Text, *content: RenderableType) -> None:
    """Print a title and what stands under it; nothing where that is nothing."""
    from rich.padding import Padding
    from rich.text import Text

    if not content:
        return
    out.print()
    out.print(Text(title, style="bold") if isinstance(title, str) else title)
    for item in content:
        is_text = isinstance(item, Text)
        out.print(Padding(item, (0, 0, 0, 2), expand=False) if is_text else item)


def table(*columns: str) -> Table:
    """An indented table without lines; a column whose name begins with `>` is set to the right."""
    from rich.table import Table

    made = Table(box=None, padding=(0, 0, 0, 2), header_style="dim", show_header=any(columns))
    for name in columns:
        right = name.startswith(">")
        made.add_column(name.lstrip(">"), justify="right" if right else "left", overflow="fold")
    return made
