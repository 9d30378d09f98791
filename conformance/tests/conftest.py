"""Where the tests find the runner and the mutants, and the suite they share."""

import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CONFORMANCE), str(CONFORMANCE / "mutants")]

from modelbundle_conformance.cases import Suite, load  # noqa: E402


@pytest.fixture(scope="session")
def suite() -> Suite:
    return load(CONFORMANCE)
