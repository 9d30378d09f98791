"""Invalid components, signatures, requirements and extensions of manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator.broken_manifests import PLACE, add_table
from generator.cases import Suite
from generator.edits import drop, put, repeat, swap
from generator.raw import Change


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _components(suite)
    _signatures(suite)


def _components(suite: Suite) -> None:
    why = "Who looks for a config or weights trusts what components say."
    extra = {"id": "x", "kind": "org.example.rules", "files": []}
    known = {"hdf5": {"layout": "plain"}, "keras.config": {"dialect": "keras3", "form": "layer"}}
    table: list[tuple[str, str, Change, Sequence[str], str]] = [
        ("order", "Components in another order", swap("/components", 0, 1), ["COM-01"], "/components"),
        ("twice", "A component twice", repeat("/components", 1), ["COM-01"], "/components"),
        ("id-empty", "An empty id", put("/components/0/id", ""), ["COM-01", "MAN-01"], "/components/0/id"),
        ("id-long", "An id of 1025 bytes", put("/components/2/id", "z" * 1025), ["COM-01"], "/components/2/id"),
        ("id-long-in-bytes", "An id of 513 characters and 1026 bytes",
         put("/components/2/id", "é" * 513), ["COM-01"], "/components/2/id"),
        ("file-unlisted", "A file that is not listed", put("/components/1/files/1", "nothing.bin"), ["COM-02"], "/components/1/files"),
        ("file-order", "Files in another order", swap("/components/1/files", 0, 1), ["COM-02"], "/components/1/files"),
        ("file-twice", "A file twice", repeat("/components/1/files", 0), ["COM-02"], "/components/1/files"),
        ("file-manifest", "The manifest as a file", put("/components/1/files/0", "manifest.json"),
         ["COM-02", "PTH-06"], "/components/1/files"),
        ("derived-from-nothing", "Derived from a component that is not there",
         put("/components/0/derivedFrom", "nothing"), ["COM-04"], "/components/0/derivedFrom"),
        ("derived-from-itself", "Derived from itself", put("/components/0/derivedFrom", "head"), ["COM-04"], "/components/"),
        ("derived-cycle", "Two components derived from one another", put("/components/0/derivedFrom", "tail"),
         ["COM-04"], "/components/"),
    ]  # fmt: skip
    add_table(suite, "components", table, why)
    add_table(
        suite,
        "components",
        [
            (
                "must-understand",
                "An unknown kind with mustUnderstand",
                put("/components/-", {**extra, "mustUnderstand": True}),
                ["COM-03"],
                "/components/3",
            ),
            (
                "must-understand-reserved",
                "A reserved kind with mustUnderstand",
                put("/components/-", {**extra, "kind": "card", "mustUnderstand": True}),
                ["COM-03"],
                "/components/3",
            ),
        ],
        "The author says that reading without this goes wrong: a Reader stops.",
    )
    kinds = (
        "assets",
        "hdf5",
        "keras.archive",
        "keras.config",
        "onnx",
        "safetensors",
        "tensorflow.checkpoint",
        "tensorflow.saved_model",
        "tflite",
        "training",
    )
    add_table(
        suite,
        "components",
        [
            (
                f"without-files-{kind.replace('.', '-').replace('_', '-')}",
                f"A component {kind} without files",
                put(
                    "/components/-",
                    {"id": "x", "kind": kind, "files": []}
                    | ({"properties": known[kind]} if kind in known else {}),
                ),
                ["COM-05"],
                "/components/3",
            )
            for kind in kinds
        ],
        why,
    )
    config = {"id": "net.bin", "kind": "keras.config", "files": ["net.bin"], "derivedFrom": "net",
              "properties": {"dialect": "keras3", "form": "layer"}}  # fmt: skip
    wrong = [
        ("main-file-missing", "A config without its main file", {**config, "files": ["sub/more.bin"]}),
        ("property-missing", "A config that does not say its dialect", {**config, "properties": {"form": "layer"}}),
        ("property-unknown-value", "A config of an unknown form", {**config, "properties": {"dialect": "keras3", "form": "x"}}),
        ("property-type", "A layout that is no string", {**config, "kind": "hdf5", "properties": {"layout": 1}}),
        ("properties-missing", "An HDF5 component without properties",
         {"id": "net.bin", "kind": "hdf5", "files": ["net.bin"], "derivedFrom": "net"}),
        ("checkpoint-without-index", "A checkpoint without an index file",
         {"id": "net.bin", "kind": "tensorflow.checkpoint", "files": ["net.bin"], "derivedFrom": "net"}),
        ("saved-model-without-graph", "A SavedModel without saved_model.pb",
         {"id": "net.bin", "kind": "tensorflow.saved_model", "files": ["net.bin"], "derivedFrom": "net"}),
    ]  # fmt: skip
    for id, title, value in wrong:
        change = _inserted(value)
        add_table(suite, "components", [(id, title, change, ["COM-05"], "/components/2")], why)


def _inserted(component: dict[str, Any]) -> Change:
    """Add a component at its place."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["components"].append(component)
        manifest["components"].sort(key=lambda each: each["id"])

    return change


def _signatures(suite: Suite) -> None:
    why = "A consumer calls what the signature says, before it has seen the graph."
    x = "/signatures/0/inputs/0"
    table: list[tuple[str, str, Change, Sequence[str], str]] = [
        ("order", "Signatures in another order", swap("/signatures", 0, 1), ["SIG-01"], "/signatures"),
        ("order-by-component", "Signatures of one name in another order", swap("/signatures", 1, 2), ["SIG-01"], "/signatures"),
        ("twice", "A signature twice", repeat("/signatures", 0), ["SIG-01"], "/signatures"),
        ("port-twice", "Two inputs of one name", repeat("/signatures/0/inputs", 0), ["SIG-01"], "/signatures/0/inputs"),
        ("component", "A component that is not there", put("/signatures/0/component", "nothing"), ["SIG-02"], "/signatures/0/component"),
        ("dtype", "An unknown dtype", put(f"{x}/dtype", "float31"), ["SIG-03"], x),
        ("dtype-case", "A dtype in upper case", put(f"{x}/dtype", "Float32"), ["SIG-03"], x),
        ("dimension-negative", "A dimension of -1", put(f"{x}/shape/1", -1), ["SIG-03"], x),
        ("dimension-fraction", "A dimension of 0.5", put(f"{x}/shape/1", 0.5), ["SIG-03"], x),
        ("dimension-boolean", "A dimension that is true", put(f"{x}/shape/1", True), ["SIG-03"], x),
        ("dimension-empty", "An empty symbol", put(f"{x}/shape/0", ""), ["SIG-03"], x),
        ("dimension-array", "A dimension that is an array", put(f"{x}/shape/0", []), ["SIG-03"], x),
        ("rank-33", "A shape of rank 33", put(f"{x}/shape", [1] * 33), ["SIG-03"], x),
    ]  # fmt: skip
    add_table(suite, "signatures", table, why)
    needs = "/requirements"
    table = [
        ("layers-order", "Layers in another order", swap(f"{needs}/layers", 0, 1), ["REQ-01"], f"{needs}/layers"),
        ("layers-twice", "A layer twice", repeat(f"{needs}/layers", 0), ["REQ-01"], f"{needs}/layers"),
        ("ops-order", "Ops in another order", swap(f"{needs}/ops", 0, 1), ["REQ-01"], f"{needs}/ops"),
        ("dtypes-order", "Dtypes in another order", swap(f"{needs}/dtypes", 0, 1), ["REQ-01"], f"{needs}/dtypes"),
        ("objects-order", "Custom objects in another order", swap(f"{needs}/customObjects", 0, 1),
         ["REQ-01"], f"{needs}/customObjects"),
        ("object-component", "A custom object of a component that is not there",
         put(f"{needs}/customObjects/1/component", "nothing"), ["REQ-02"], f"{needs}/customObjects"),
    ]  # fmt: skip
    add_table(
        suite, "requirements", table, "A consumer decides by the requirements whether it can load."
    )
    for id, change in (
        ("missing", drop(f"{needs}/dtypes/0")),
        ("extra", put(f"{needs}/dtypes/-", "zz")),
    ):
        value = (
            change
            if id == "missing"
            else put(f"{needs}/dtypes", ["bool", "float32", "int64", "uint8"])
        )
        suite.invalid(
            f"requirements/dtypes-{id}",
            f"A dtype {id}",
            twin="archive/rich",
            stage="manifest",
            change=value,
            rules=["REQ-02"],
            place=f"{PLACE}#{needs}/dtypes",
            phase="index",
            why="A consumer decides by the requirements whether it can load.",
        )
    extension = "/extensions/org.example.audit"
    table = [
        ("name-one-part", "An extension name of one part", put("/extensions/audit", {"a": 1}), ["EXT-01"], "/extensions"),
        ("name-upper-case", "An extension name in upper case", put("/extensions/org.Example", {"a": 1}), ["EXT-01"], "/extensions"),
        ("name-empty-part", "An extension name with an empty part", put("/extensions/org..x", {"a": 1}), ["EXT-01"], "/extensions"),
        ("name-slash", "An extension name with a slash", put("/extensions/org.a~1b", {"a": 1}), ["EXT-01"], "/extensions"),
        ("not-an-object", "An extension that is no object", put(extension, 3), ["EXT-01"], extension),
        ("must-understand-false", "mustUnderstand false", put(f"{extension}/mustUnderstand", False), ["EXT-01"], extension),
        ("must-understand-text", "mustUnderstand that is no boolean", put(f"{extension}/mustUnderstand", "false"), ["EXT-01"], extension),
    ]  # fmt: skip
    add_table(suite, "extensions", table, "A name that its author does not hold means two things.")
    table = [("must-understand", "An unknown extension with mustUnderstand",
              put(f"{extension}/mustUnderstand", True), ["EXT-02"], extension)]  # fmt: skip
    add_table(suite, "extensions", table, "The author says that reading without this goes wrong.")
