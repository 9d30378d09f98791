"""The command line: `modelbundle pack|inspect|validate|unpack|tensor|diff|run|revive|…`.

    main(["inspect", "net.modelbundle"])

Exit status 0 is yes, 1 no (invalid, different, refused by a rule), 2 no answer (usage, unreadable,
unsupported). With `--json` the answer is one JSON document on stdout (`schemas/answers/`).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from io import StringIO
from types import FrameType
from typing import NoReturn

from modelbundle.cli import engine_commands, golden_commands, revive_command
from modelbundle.cli.commands import cli

__all__ = ["cli", "engine_commands", "golden_commands", "main", "revive_command"]

_ENDING = ("SIGTERM", "SIGHUP")
"""Signals that end the process, once what it had half written is gone (as for SIGINT)."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `arguments` (else those of the process) name, then exit."""
    for name in _ENDING:
        if (number := getattr(signal, name, None)) and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)
    sys.stdout = sys.stdout or StringIO()  # Python has None for one that is closed
    sys.stderr = sys.stderr or StringIO()
    cli.main(None if arguments is None else list(arguments), prog_name="modelbundle")
    raise SystemExit(0)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
