"""The generator of the conformance cases: see `conformance/README.md`."""
