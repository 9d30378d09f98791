"""Runs the conformance cases of modelbundle against any implementation that has a command line.

    modelbundle-conformance run --tool "node cli.js" --class Reader --report out

Nothing here imports the reference package; what a tool has to offer stands in `PROTOCOL.md`.
"""

STANDARD = "1.0-draft"
"""The version of the standard that the cases hold a tool to."""
