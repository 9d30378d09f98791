"""The operation `run`: golden inputs are given to a Runner, and its outputs held to the vectors.

Each vector is a request of its own: a JSON file beside the bytes of the inputs, and a folder for
the bytes of the outputs (`PROTOCOL.md`). The Runner sees neither the outputs nor their tolerance.

    outcome = perform(operation)
    outcome.measures[0]["max_ratio"]
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator
from pathlib import Path

from modelbundle_conformance import operations
from modelbundle_conformance.answers import Answer, clip
from modelbundle_conformance.cases import Json
from modelbundle_conformance.golden import Array, Vector
from modelbundle_conformance.judging import Judgement, judge

MAX_BYTES = 256 << 20
"""Of all outputs of a vector."""
_WIDTHS = {"bool": 1, "bfloat16": 2} | {
    f"{kind}{bits}": bits // 8 for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)
}  # fmt: skip
_TOLD = ("engine", "device", "precision")
"""What a Runner tells of what ran (RUN-03)."""


def perform(run: operations.Operation) -> operations.Outcome:
    """Ask for the outputs of every vector, in turn, and judge them."""
    answer, faults, measures = Answer("unresolvable", "the case has no vectors"), [], []
    for number, vector in enumerate(run.case.vectors):
        answer, wrong, measured = _one(run, vector, number)
        faults += wrong
        measures += measured
        if answer.verdict != "accept":
            break
    return operations.Outcome(answer, tuple(faults[: operations.MAX_FAULTS]), tuple(measures))


def _one(
    run: operations.Operation, vector: Vector, number: int
) -> tuple[Answer, list[str], list[Json]]:
    folder = run.space.made / f"inputs-{number}"
    request = _request(run, vector, folder)
    outputs = run.space.made / f"outputs-{number}"
    answer, faults = run.ask("run", run.path, destination=outputs, sources=[str(request)])
    if answer.verdict != "accept" or run.expects_refusal:
        return answer, faults, []
    faults += [f"the answer does not tell the {name}" for name in _TOLD
               if not isinstance(answer.data.get(name), str)]  # fmt: skip
    asked = run.case.arguments["precision"]
    told = answer.data.get("precision")
    faults += [] if told == asked else [f"ran as {clip(told)}, where {asked} was asked for"]
    measures = [] if faults else list(_measures(vector, answer.data, outputs, asked))
    faults += [f"{vector.name}: {row['output']}: {row['reason']}"
               for row in measures if row["outcome"] != "pass"]  # fmt: skip
    return answer, faults, measures


def _request(run: operations.Operation, vector: Vector, folder: Path) -> Path:
    """Write the request, and the inputs that it points to."""
    folder.mkdir()
    rows, data = [], bytearray()
    for array in vector.inputs:
        where = {"file": "inputs.bin", "offset": len(data), "length": len(array.data)}
        what = {"name": array.name, "dtype": array.dtype, "shape": list(array.shape)}
        rows.append(what | where)
        data += array.data
    (folder / "inputs.bin").write_bytes(data)
    path = folder / "request.json"
    path.write_text(json.dumps({**run.case.arguments, "inputs": rows}), "utf-8")
    return path


def _measures(vector: Vector, data: Json, folder: Path, precision: str) -> Iterator[Json]:
    """A row for each output of the vector: what ran, and how far off it was."""
    rows = data.get("outputs")
    given = {row.get("name"): row for row in rows if isinstance(row, dict)} if (
        isinstance(rows, list)) else {}  # fmt: skip
    for golden in vector.outputs:
        try:
            found = array_of(given[golden.name], folder)
            judged = judge(found, golden, precision, exact=vector.exact)
        except KeyError as error:
            judged = Judgement("fail", f"the answer has no {error}")
        except (TypeError, ValueError, OSError) as error:
            judged = Judgement("fail", f"the output is not as agreed: {clip(str(error))}")
        yield _row(vector, golden.name, data, judged)


def array_of(row: Json, folder: Path) -> Array:
    """The output that a row of an answer points to. Raises `ValueError` where it points nowhere."""
    path = folder / str(row["file"])
    dtype, shape = row["dtype"], row["shape"]
    offset, length = row["offset"], row["length"]
    if path.parent != folder or not all(_is_size(size) for size in (*shape, offset, length)):
        raise ValueError("file is no name in the folder, or a size no size")
    if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size < offset + length:
        raise ValueError(f"{path.name} has no {length} bytes at {offset}")
    due = _WIDTHS[dtype] * math.prod(shape) if dtype in _WIDTHS else length
    if length != due or length > MAX_BYTES:
        raise ValueError(f"{length} bytes for {dtype} {shape}")
    with path.open("rb") as file:
        file.seek(offset)
        return Array(str(row["name"]), str(dtype), tuple(shape), file.read(length), {})


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _row(vector: Vector, output: str, data: Json, judged: Judgement) -> Json:
    row: Json = {
        "vector": f"{vector.component}#{vector.signature} {vector.name}",
        "output": output,
        "engine": clip(" ".join(filter(None, (data["engine"], _text(data.get("version"))))), 80),
        "device": clip(data["device"], 80),
        "precision": data["precision"],
        "outcome": judged.outcome,
        "reason": clip(judged.reason),
    }
    ratios = {"max_ratio": judged.max_ratio, "rms_ratio": judged.rms_ratio}
    return row | {name: ratio if math.isfinite(ratio) else "inf"
                  for name, ratio in ratios.items() if ratio is not None}  # fmt: skip


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
