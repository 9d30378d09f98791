"""Inputs that fuzzing found, cut down; each once ended in something else than a rule.

`reference/fuzz/` tells how a finding comes here. Checksums are intact, or the format has none.
"""

from __future__ import annotations

import pytest

from fuzz.targets import TARGETS
from modelbundle.core.findings import BundleError

CASES = {
    "a zip signature and too little behind it for a local header": (
        "any",
        b"PK\3\4" + bytes(18),
        "SRC-01",
    ),
    "a local header that is cut off within its fixed part": (
        "keras_archive",
        b"PK\3\4" + bytes(25),
        "SRC-01",
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_finding_ends_in_its_rule(what: str) -> None:
    target, data, rule = CASES[what]
    with pytest.raises(BundleError) as caught:
        TARGETS[target].run(data)
    assert rule in {finding.rule for finding in caught.value.findings}
