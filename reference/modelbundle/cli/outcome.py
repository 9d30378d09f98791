"""How a command ends: its exit status, and what it says when it fails.

    @answering
    def validate(bundle: str, as_json: bool) -> int: ...

No failure ends in a traceback: a broken rule becomes findings, anything else one line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from itertools import chain, repeat
from typing import Any

import click

from modelbundle.core.findings import BundleError, Finding, UnsupportedError, clip

YES, NO, NO_ANSWER = 0, 1, 2
"""Exit statuses."""

_UNANSWERED = frozenset({"SRC-04"})
"""Rules whose breach leaves the question open: the source is not there."""

_MESSAGE_LENGTH = 1000


def answering(command: Callable[..., int]) -> Callable[..., None]:
    """Run `command`, tell what went wrong if something did, and exit with its status.

    The command has a parameter `as_json`.
    """

    @wraps(command)
    def run(*, as_json: bool, **options: Any) -> None:
        try:
            status = command(as_json=as_json, **options)
            sys.stdout.flush()
        except click.ClickException:
            raise
        except BrokenPipeError:
            status = _without_reader()
        except (Exception, KeyboardInterrupt) as error:
            status = _told(error, as_json)
        click.get_current_context().exit(status)

    return run


def _told(error: BaseException, as_json: bool) -> int:
    """As `_failed`, also where stdout takes no answer: its disk may be what is full."""
    try:
        return _failed(error, as_json)
    except OSError as unwritten:
        _without_reader()
        with suppress(OSError):
            _failed(unwritten, as_json=False)
        return NO_ANSWER


def _failed(error: BaseException, as_json: bool) -> int:
    findings = error.findings if isinstance(error, BundleError) else ()
    message = "refused" if findings else _message(error)
    if as_json:
        write_json({"error": message, "findings": [finding.to_json() for finding in findings]})
    for finding in () if as_json else findings:
        click.echo(text_of(finding), err=True)
    if not as_json and not findings:
        click.echo(f"modelbundle: {message}", err=True)
    rules = {finding.rule for finding in findings}
    open_question = isinstance(error, UnsupportedError) or rules <= _UNANSWERED
    return NO_ANSWER if open_question else NO


def _message(error: BaseException) -> str:
    """One line for what is not a finding."""
    match error:
        case KeyboardInterrupt():
            text = "interrupted"
        case OSError(strerror=str(reason), filename=str(name)):
            text = f"{name}: {reason}"
        case OSError() | KeyError() | ValueError() | ImportError() if error.args:
            text = str(error.args[0] if len(error.args) == 1 else error)
        case MemoryError():
            text = "out of memory"
        case _:
            text = f"unexpected {type(error).__name__}: {error} (please report this)"
    return clip(text, _MESSAGE_LENGTH)


def _without_reader() -> int:
    """Whoever read our output is gone: what is still buffered goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_ANSWER


def text_of(finding: Finding) -> str:
    """A finding on one line, in colour where the terminal has it."""
    colour = {"error": "red", "warning": "yellow"}[finding.severity]
    rest = clip(str(finding).removeprefix(finding.rule), _MESSAGE_LENGTH)
    return click.style(finding.rule, fg=colour, bold=True) + rest


def write_json(answer: Mapping[str, Any], **rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON document; `rows` become members whose items are made one at a time."""
    head = json.dumps(answer, indent=2, allow_nan=False)
    if not rows:
        click.echo(head)
        return
    click.echo(head.removesuffix("\n}"), nl=False)
    for name, items in rows.items():
        click.echo(f",\n  {json.dumps(name)}: [", nl=False)
        for separator, item in zip(chain(("",), repeat(",")), items, strict=False):
            click.echo(f"{separator}\n    {json.dumps(item, allow_nan=False)}", nl=False)
        click.echo("\n  ]", nl=False)
    click.echo("\n}")
