"""Golden vectors: inputs, reference outputs and how the outputs answer to rounding (spec: 18).

    MessagePack map: golden (version) | vectors, one map each

Bytes in, values out: arrays are views of the file's bytes, held to dtype, shape and length before
they are made. What a vector says of its signature is checked where the bundle is known
(`rules.golden`). No framework is needed to read, write or check the file.

    vectors = decode(data, "net.golden")
    vectors[0].outputs["logits"].array
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelbundle.core import canonical_msgpack, dtypes, strings
from modelbundle.core.findings import BundleError, checks, clip, refuse
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import Artifact, ArtifactFile, Component, Tree

KIND = "golden"
VERSION = "1.0-draft"
MEDIA_TYPE = "application/vnd.modelbundle.golden.v1+msgpack"
CHANNELS = ("st", "ab", "acc", "mm", "wt")
AGREED_BITS = 6
"""Bits below sigma (float32) to which references agree that make a vector verified."""

_HEAD = b"\x82\xa6golden"
"""How a file of the two members begins."""

_MAX_RANK = 32
_FLOATS = frozenset({"float64"})

Grade = Literal["verified", "consistent"]
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Output:
    """A golden output. Floats are float64, and have channels where the program was traced;
    `decided` (discrete outputs of a traced program) marks elements that noise did not change."""

    array: Array
    channels: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    decided: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """What computed the outputs: an engine, its version, and the precision it computed in."""

    engine: str
    version: str
    precision: str


@dataclass(frozen=True, slots=True)
class Vector:
    """One set of inputs of one signature with its outputs, by name in the signature's order.

    `agreement` is how many bits below sigma (float32) the references agree; None with one of them.
    `exact` outputs have to come to 0 ULP. `seed` drew the inputs, `noise` is (runs, seed).
    """

    component: str
    signature: str
    name: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Output]
    grade: Grade
    references: tuple[Reference, ...]
    agreement: int | None = None
    exact: bool = False
    seed: int | None = None
    noise: tuple[int, int] | None = None
    unmodelled: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What vectors are ordered by."""
        return self.component, self.signature, self.name


def recognise(tree: Tree) -> bool:
    """Whether the source is one file that begins as golden vectors do."""
    blob = tree.single
    return blob is not None and blob.size >= len(_HEAD) and blob.read(0, len(_HEAD)) == _HEAD


def read(tree: Tree) -> Artifact:
    """The source as an artifact; raises `BundleError` (GLD-01 to GLD-05, MSG)."""
    blob = tree.files[tree.root]
    if blob.size > LIMITS.golden_bytes:
        raise refuse("GLD-01", tree.root, f"at most {LIMITS.golden_bytes} bytes", str(blob.size))
    vectors = decode(blob.read(0, blob.size), tree.root)
    component = Component(tree.root, KIND, (tree.root,), None, {"vectors": len(vectors)})
    return Artifact((ArtifactFile(tree.root, blob, MEDIA_TYPE),), (), (component,))


def encode(vectors: Sequence[Vector]) -> bytes:
    """The file that holds `vectors`, in canonical form."""
    ordered = sorted(vectors, key=lambda vector: tuple(map(str.encode, vector.key)))
    return canonical_msgpack.encode({"golden": VERSION, "vectors": list(map(_vector, ordered))})


def _vector(vector: Vector) -> dict[str, Any]:
    noise = vector.noise and {"runs": vector.noise[0], "seed": vector.noise[1]}
    optional = {"agreement": vector.agreement, "seed": vector.seed, "noise": noise}
    return {
        "component": vector.component,
        "signature": vector.signature,
        "name": vector.name,
        "inputs": [_array(name, array) for name, array in vector.inputs.items()],
        "outputs": [_output(name, output) for name, output in vector.outputs.items()],
        "grade": vector.grade,
        "exact": int(vector.exact),
        "references": [
            {"engine": each.engine, "version": each.version, "precision": each.precision}
            for each in vector.references
        ],
        "unmodelled": sorted(vector.unmodelled),
        **{key: value for key, value in optional.items() if value is not None},
    }


def _output(name: str, output: Output) -> dict[str, Any]:
    made = _array(name, output.array)
    if output.channels:
        made["channels"] = {
            channel: np.ascontiguousarray(output.channels[channel], "<f4").tobytes()
            for channel in CHANNELS
        }
    if output.decided is not None:
        made["decided"] = output.decided.astype(np.uint8).tobytes()
    return made


def _array(name: str, array: Array) -> dict[str, Any]:
    dtype = dtype_of(array)
    if dtype == dtypes.STRING:
        data = strings.encode(array.ravel().tolist())
    else:
        data = np.ascontiguousarray(array, dtypes.to_numpy(dtype)).tobytes()
    return {"name": name, "dtype": dtype, "shape": list(array.shape), "data": data}


def dtype_of(array: Array) -> str:
    """The dtype of an array of a vector, as the standard names it; raises `KeyError`."""
    return dtypes.STRING if array.dtype == object else dtypes.from_numpy(array.dtype)


def decode(data: bytes, place: str) -> tuple[Vector, ...]:
    """The vectors of a file; raises `BundleError` (MSG, GLD-01 to GLD-05)."""
    return _Decoding(place).file(canonical_msgpack.decode(data, place))


_Members = Mapping[str, type]

_FILE: _Members = {"golden": str, "vectors": list}
_ARRAY: _Members = {"name": str, "dtype": str, "shape": list, "data": bytes}
_REFERENCE: _Members = {"engine": str, "version": str, "precision": str}
_NOISE: _Members = {"runs": int, "seed": int}
_VECTOR: _Members = {
    "component": str, "signature": str, "name": str, "inputs": list, "outputs": list,
    "grade": str, "exact": int, "references": list, "unmodelled": list,
}  # fmt: skip
_OPTIONAL: _Members = {"agreement": int, "seed": int, "noise": dict}
_OUTPUT: _Members = {"channels": dict, "decided": bytes}


class _Decoding:
    """One file on its way to values."""

    def __init__(self, place: str) -> None:
        self._place = place

    def file(self, value: Mapping[str, Any]) -> tuple[Vector, ...]:
        """All vectors."""
        self._members(value, _FILE, {}, "")
        if value["golden"] != VERSION or not value["vectors"]:
            raise self._refuse("GLD-01", "", f"version {VERSION} and vectors", value["golden"])
        found = tuple(
            self._vector(each, f"/vectors/{at}") for at, each in enumerate(value["vectors"])
        )
        self._check_order(found)
        return found

    @checks("GLD-04")
    def _check_order(self, vectors: Sequence[Vector]) -> None:
        keys = [tuple(map(str.encode, vector.key)) for vector in vectors]
        for at, (one, two) in enumerate(pairwise(keys), 1):
            if one >= two:
                expected = "vectors ascending by (component, signature, name), each once"
                raise self._refuse("GLD-04", f"/vectors/{at}", expected, vectors[at].name)

    def _vector(self, value: Any, at: str) -> Vector:
        self._members(value, _VECTOR, _OPTIONAL, at)
        noise = value.get("noise")
        if noise is not None:
            self._members(noise, _NOISE, {}, f"{at}/noise")
        vector = Vector(
            value["component"],
            value["signature"],
            value["name"],
            self._named(value["inputs"], f"{at}/inputs", self._input),
            self._named(value["outputs"], f"{at}/outputs", self._output),
            value["grade"],
            self._references(value["references"], f"{at}/references"),
            value.get("agreement"),
            bool(value["exact"]),
            value.get("seed"),
            None if noise is None else (noise["runs"], noise["seed"]),
            tuple(value["unmodelled"]),
        )
        self._check_values(value, at)
        self._check_grade(vector, at)
        return vector

    @checks("GLD-01")
    def _members(self, value: Any, required: _Members, optional: _Members, at: str) -> None:
        """Refuse what is no map of exactly these members."""
        if not isinstance(value, dict):
            raise self._refuse("GLD-01", at, "a map", type(value).__name__)
        if missing := required.keys() - value.keys():
            raise self._refuse("GLD-01", at, f"the member {min(missing)}", "none")
        if unknown := value.keys() - required.keys() - optional.keys():
            raise self._refuse("GLD-01", at, "no other member", min(unknown))
        for name, kind in (*required.items(), *optional.items()):
            if name in value and not isinstance(value[name], kind):
                found = type(value[name]).__name__
                raise self._refuse("GLD-01", f"{at}/{name}", _SAID[kind], found)

    def _check_values(self, value: Mapping[str, Any], at: str) -> None:
        """Texts and numbers that only some values are allowed for (GLD-01)."""
        right = (
            value["grade"] in ("verified", "consistent")
            and value["exact"] in (0, 1)
            and all(isinstance(name, str) for name in value["unmodelled"])
            and value.get("agreement", 0) <= 64
            and value["references"]
            and value["outputs"]
        )
        if not right:
            expected = "a grade, exact 0 or 1, agreement up to 64, references and outputs"
            raise self._refuse("GLD-01", at, expected, "another value")

    def _references(self, values: Sequence[Any], at: str) -> tuple[Reference, ...]:
        for number, value in enumerate(values):
            self._members(value, _REFERENCE, {}, f"{at}/{number}")
        return tuple(Reference(**value) for value in values)

    def _named(self, values: Sequence[Any], at: str, make: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for number, value in enumerate(values):
            item = make(value, f"{at}/{number}")
            if value["name"] in made:
                raise self._refuse("GLD-01", f"{at}/{number}", "each name once", value["name"])
            made[value["name"]] = item
        return made

    def _input(self, value: Any, at: str) -> Array:
        self._members(value, _ARRAY, {}, at)
        return self._array(value, at)

    def _output(self, value: Any, at: str) -> Output:
        self._members(value, _ARRAY, _OUTPUT, at)
        array = self._array(value, at)
        if "channels" not in value and "decided" not in value:
            return Output(array)
        return self._answering(value, array, at)

    @checks("GLD-02")
    def _array(self, value: Mapping[str, Any], at: str) -> Array:
        """The array; its bytes are those of section 4.6 for its dtype and shape."""
        dtype, shape, data = value["dtype"], value["shape"], value["data"]
        if not all(type(size) is int for size in shape) or len(shape) > _MAX_RANK:
            raise self._refuse("GLD-02", at, f"at most {_MAX_RANK} sizes", str(shape))
        if dtype == dtypes.STRING:
            return self._strings(data, shape, at)
        if not dtypes.is_known(dtype) or dtype.endswith("_packed"):
            raise self._refuse("GLD-02", at, "a dtype of section 4.6 that is not packed", dtype)
        if len(data) != dtypes.byte_length(dtype, shape):
            raise self._refuse("GLD-02", at, f"the bytes of {dtype} {shape}", f"{len(data)} bytes")
        array = np.frombuffer(data, dtypes.to_numpy(dtype))
        if dtype == "bool" and int(array.view(np.uint8).max(initial=0)) > 1:
            raise self._refuse("GLD-02", at, "elements 0 and 1", "others")
        return self._shaped(array, shape, at)

    def _strings(self, data: bytes, shape: Sequence[int], at: str) -> Array:
        if prod(shape) > len(data):
            raise self._refuse("GLD-02", at, f"{shape} strings", f"{len(data)} bytes")
        try:
            return strings.decode(data, shape, f"{self._place}#{at}")
        except BundleError as error:
            found = error.findings[0].found
            raise self._refuse("GLD-02", at, "strings as section 4.7 has them", found) from None

    def _shaped(self, array: Array, shape: Sequence[int], at: str) -> Array:
        try:
            return array.reshape(shape)
        except (ValueError, OverflowError):
            raise self._refuse("GLD-02", at, "sizes that an array can have", str(shape)) from None

    @checks("GLD-03")
    def _answering(self, value: Mapping[str, Any], array: Array, at: str) -> Output:
        """An output with what is known of its answer to noise: finite, and of its shape."""
        floats = value["dtype"] in _FLOATS
        if floats != ("channels" in value) or floats == ("decided" in value):
            raise self._refuse("GLD-03", at, "channels for float64, decided for others", "else")
        if not floats:
            decided = np.frombuffer(value["decided"], np.uint8)
            if decided.size != array.size or int(decided.max(initial=0)) > 1:
                raise self._refuse("GLD-03", f"{at}/decided", "0 or 1 for each element", "else")
            return Output(array, {}, decided.astype(bool).reshape(array.shape))
        self._members(value["channels"], dict.fromkeys(CHANNELS, bytes), {}, f"{at}/channels")
        return Output(
            array,
            {
                name: self._channel(value["channels"][name], array, f"{at}/channels/{name}")
                for name in CHANNELS
            },
        )

    def _channel(self, data: bytes, array: Array, at: str) -> NDArray[np.float32]:
        if len(data) != 4 * array.size:
            raise self._refuse("GLD-03", at, f"{array.size} float32", f"{len(data)} bytes")
        values = np.frombuffer(data, "<f4")
        if not bool((np.isfinite(values) & (values >= 0)).all()):
            raise self._refuse("GLD-03", at, "finite numbers, none below 0", "NaN or another")
        return values.reshape(array.shape)

    @checks("GLD-05")
    def _check_grade(self, vector: Vector, at: str) -> None:
        """Refuse `verified` where the outputs do not rest on two float64 routes and channels."""
        if vector.grade != "verified":
            return
        engines = {each.engine for each in vector.references if each.precision == "float64"}
        if len(engines) < 2 or len(engines) != len(vector.references):
            found = ", ".join(f"{r.engine} ({r.precision})" for r in vector.references)
            raise self._refuse("GLD-05", at, "float64 references by several engines", found)
        if vector.agreement is None or vector.agreement < AGREED_BITS:
            found = "none" if vector.agreement is None else str(vector.agreement)
            raise self._refuse("GLD-05", at, f"agreement of {AGREED_BITS} bits or more", found)
        bare = (not each.channels and each.decided is None for each in vector.outputs.values())
        if not vector.exact and any(bare):
            raise self._refuse("GLD-05", at, "channels or decided in each output", "none in one")

    def _refuse(self, rule: str, at: str, expected: str, found: object) -> BundleError:
        return refuse(rule, clip(f"{self._place}#{at}"), expected, found)


_SAID = {str: "a str", list: "an array", bytes: "a bin", int: "an integer", dict: "a map"}


def document(data: bytes, place: str) -> dict[str, Any]:
    """The decoded data model that `golden.schema.json` describes: each bin is its length."""
    return {key: _model(value) for key, value in canonical_msgpack.decode(data, place).items()}


def _model(value: Any) -> Any:
    match value:
        case bytes():
            return len(value)
        case list():
            return list(map(_model, value))
        case dict():
            return {key: _model(item) for key, item in value.items()}
    return value
