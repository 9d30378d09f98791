"""Coverage-guided fuzzing of every parser, with Atheris.

    python -m fuzz --seconds 20 hdf5 manifest

A target takes bytes and may end in a value or in `BundleError`. Any other exception, more than
200 MB of memory or more than five seconds is a finding: its input is written to
`reference/fuzz/findings/`, and `python -m fuzz.worker TARGET FILE` runs it again.

To make it a regression case: mend the parser, cut the input down, and add it to
`reference/tests/test_regressions.py` with the target's name and the rule that it ends in. Where a
bundle can hold the same fault, add a conformance case too.
"""
