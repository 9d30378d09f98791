"""Every mutant is caught by the case that the table names, and the reference passes those cases."""

import sys
from pathlib import Path

import pytest

from modelbundle_conformance.cases import Suite
from modelbundle_conformance.plan import Selection, plan
from modelbundle_conformance.processes import Limits
from modelbundle_conformance.runner import Result, Run, Setup
from mutants import MUTANTS, Mutant

CONFORMANCE = Path(__file__).resolve().parents[1]
ADAPTER = CONFORMANCE / "implementations" / "reference" / "adapter.py"
SCRIPT = CONFORMANCE / "mutants" / "mutants.py"
WANTED = {
    "accept-all", "reject-all", "wrong-rule", "off-by-one", "big-endian", "ignores-digests",
    "follows-parent", "last-duplicate-wins", "ignores-must-understand", "drops-unknown-fields",
    "wrong-order", "nan-emitter", "cached-outputs", "wrong-exit-code", "crash-on-unicode",
    "undeclared-tf32",
}  # fmt: skip


def results(
    suite: Suite, command: list[str], mutants: list[Mutant], **options: object
) -> list[Result]:
    """How the items of `mutants` went."""
    roles = tuple(sorted({mutant.role for mutant in mutants}))
    filters = tuple(mutant.case for mutant in mutants)
    items = plan(suite, Selection(roles, "full", filters))
    found = Run(suite, Setup(command, **options)).execute(items, lambda result: None)
    wanted = {(mutant.role, mutant.case) for mutant in mutants}
    return [result for result in found if (result.item.role, result.item.case.id) in wanted]


def test_the_list_is_long_enough() -> None:
    assert MUTANTS.keys() >= WANTED


def test_the_table_for_people_is_the_table() -> None:
    text = (SCRIPT.parent / "README.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        [name, mutant.make.__doc__, f"{mutant.role}, {mutant.status}", f"`{mutant.case}`"]
        for name, mutant in MUTANTS.items()
    ]


@pytest.mark.parametrize("name", MUTANTS)
def test_no_mutant_survives(suite: Suite, name: str) -> None:
    mutant = MUTANTS[name]
    patience = 0.4 if mutant.status == "timeout" else 2.0
    command = [sys.executable, str(SCRIPT), name]
    found = results(suite, command, [mutant], persistent=mutant.persistent,
                    limits=Limits(patience=patience))  # fmt: skip
    told = [(str(result.item), result.score) for result in found]
    assert mutant.status in {result.score.status for result in found}, told


@pytest.mark.parametrize("persistent", [True, False])
def test_the_reference_passes_where_mutants_are_caught(suite: Suite, persistent: bool) -> None:
    mutants = list(MUTANTS.values())
    mutants = mutants if persistent else [m for m in mutants if not m.persistent][:2]
    found = results(suite, [sys.executable, str(ADAPTER)], mutants, persistent=persistent, jobs=2)
    assert found
    assert [str(r.item) for r in found if r.score.status not in ("pass", "unsupported")] == []
