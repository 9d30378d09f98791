"""Writes the tables of `spec/keras-variables.md`: names and roles of the variables of Keras.

They are those of `modelbundle.sources.keras.variables`, so that text and code cannot drift apart.
The text between the tables is written by hand; a table stands between `<!-- table: NAME -->` and
`<!-- end -->`.

    python reference/tools/variable_table.py            write the tables
    python reference/tools/variable_table.py --check    exit 1 if they are out of date
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from modelbundle.sources.keras import variables
from modelbundle.sources.keras.builtins import kinds

TARGET = Path(__file__).resolve().parents[2] / "spec" / "keras-variables.md"
COMMAND = "python reference/tools/variable_table.py"

_TABLE = re.compile(r"(?<=<!-- table: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def rendered(text: str) -> str:
    """`text` with its tables as the code has them; each of them stands there once."""
    tables = {
        "layers": _table(("class", "variables"), _by_variables(_layers())),
        "quantised": _table(("class", "mode", "variables"), _by_mode()),
        "optimizers": _table(("class", "groups of slots"), _slots()),
        "metrics": _table(("class", "variables"), _by_variables(variables.METRICS)),
        "roles": _table(("in a layer", "`non-trainable`"), _roles()),
    }
    found = [match[1] for match in _TABLE.finditer(text)]
    if sorted(found) != sorted(tables):
        raise SystemExit(f"tables {', '.join(tables)} are wanted, {', '.join(found)} found")
    return _TABLE.sub(lambda match: f"{match[1]}{match[2]}{tables[match[1]]}", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    lines.insert(1, "|---" * len(head) + "|")
    return "\n".join(lines) + "\n"


def _layers() -> dict[str, str]:
    """The classes that there are: not every convolution has a transposed one."""
    layers = variables.LAYERS.items()
    return {name: spec for name, spec in layers if kinds(name) or name.endswith("Cell")}


def _by_variables(specs: Mapping[str, str]) -> Iterator[Sequence[str]]:
    """Classes with the same variables in one row."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(specs):
        alike[specs[name]].append(name)
    return ((_code(names), _variables(spec)) for spec, names in alike.items())


def _by_mode() -> Iterator[Sequence[str]]:
    for classes, modes in (
        (("Dense", "EinsumDense"), variables.QUANTIZED),
        (("Embedding", "ReversibleEmbedding"), variables.QUANTIZED_EMBEDDINGS),
    ):
        for mode, options in modes.items():
            for option in options:
                yield _code(classes), _code([mode]), _variables(option)


def _slots() -> Iterator[Sequence[str]]:
    for name, groups in variables.SLOTS.items():
        yield _code([name]), "; ".join(map(_variables, groups))


def _roles() -> Iterator[Sequence[str]]:
    scales = {name for name in variables.STATE if name.endswith("_scale")}
    yield "of any kind", _code(sorted(variables.STATE - scales))
    modes = _code(sorted(variables.INTEGER_MODES))
    yield f"quantised in mode {modes}", _code(sorted(scales | variables.INTEGERS))


def _code(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _variables(spec: str) -> str:
    return ", ".join(map(_variable, spec.split()))


def _variable(token: str) -> str:
    name, _, condition = token.partition("?")
    key, _, text = condition.removeprefix("!").partition("=")
    if not condition:
        return f"`{name}`"
    if text:
        return f"`{name}` (`{key}` = `{text}`)"
    return f"`{name}` ({'not ' if condition.startswith('!') else ''}`{key}`)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or with `--check` compare them; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the tables of Keras's variables.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if out of date")
    check = parser.parse_args(arguments).check
    old = TARGET.read_text(encoding="utf-8")
    new = rendered(old)
    if check and new != old:
        print(f"spec/{TARGET.name} is out of date: run `{COMMAND}`", file=sys.stderr)
        return 1
    if not check:
        TARGET.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
