"""Engines: what runs the signatures of a bundle, each in a process of its own.

from modelbundle.engines import run

result = run(bundle, {"x": x}, engine="onnx")
result.outputs["y"], result.description.device
"""

from modelbundle.engines.engine import PRECISIONS, Description, Engine, Session, Setup
from modelbundle.engines.process import RunLimits
from modelbundle.engines.running import Result, RunningSession, open_session, run
from modelbundle.engines.table import ENGINES, load

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "Description",
    "Engine",
    "Result",
    "RunLimits",
    "RunningSession",
    "Session",
    "Setup",
    "load",
    "open_session",
    "run",
]
