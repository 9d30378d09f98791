"""The command line: `modelbundle pack|inspect|validate|unpack|tensor|diff`.

    main(["inspect", "net.modelbundle"])

Exit status 0 is yes, 1 no (invalid, different, refused by a rule), 2 no answer (usage, unreadable,
unsupported). With `--json` the answer is one JSON document on stdout (`schemas/answers/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from modelbundle.cli.commands import cli

__all__ = ["cli", "main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `arguments` (else those of the process) name, then exit."""
    cli.main(None if arguments is None else list(arguments), prog_name="modelbundle")
    raise SystemExit(0)
