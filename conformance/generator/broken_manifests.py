"""Invalid manifests: members, files, components, signatures, requirements, extensions, versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator.cases import Suite
from generator.edits import drop, put, repeat, swap
from generator.raw import Change

PLACE = "manifest.json"
Table = Sequence[tuple[str, str, Change, Sequence[str], str]]
"""Id, title, change, rule and others that are as right, JSON pointer of the place."""

_TYPES: Sequence[tuple[str, Any]] = (
    ("/modelbundle", 1), ("/files", {}), ("/tensors", []), ("/components", "net"),
    ("/signatures", {}), ("/requirements", []), ("/directories", "logs"), ("/name", 7),
    ("/metadata", [1]), ("/extensions", ["org.example"]), ("/files/0", "a"), ("/files/0/path", 1),
    ("/files/0/size", "0"), ("/files/0/size", -1), ("/files/0/size", True),
    ("/files/0/digest", 0), ("/files/0/role", ["source"]), ("/files/0/mediaType", {}),
    ("/tensors/count", "4"), ("/tensors/bytes", -1), ("/components/0", []),
    ("/components/0/files", "net.bin"), ("/components/0/files/0", 1),
    ("/components/0/derivedFrom", 1), ("/components/0/properties", [1]),
    ("/components/0/mustUnderstand", "yes"), ("/signatures/0", "call"),
    ("/signatures/0/inputs", {}), ("/signatures/0/inputs/0", "x"),
    ("/signatures/0/inputs/0/name", None), ("/signatures/0/inputs/0/shape", 4),
    ("/requirements/layers", "Dense"), ("/requirements/layers/0", 1),
    ("/requirements/customObjects/0", "a>Scale"), ("/requirements/customObjects/0/className", []),
)  # fmt: skip
_REQUIRED = (
    "/modelbundle", "/files", "/tensors", "/components", "/signatures", "/requirements",
    "/files/0/path", "/files/0/size", "/files/0/digest", "/files/0/mediaType", "/files/0/role",
    "/files/0/storage", "/tensors/count", "/tensors/bytes", "/components/0/id",
    "/components/0/kind", "/components/0/files", "/signatures/0/name", "/signatures/0/component",
    "/signatures/0/inputs", "/signatures/0/outputs", "/signatures/0/inputs/0/name",
    "/signatures/0/inputs/0/dtype", "/signatures/0/inputs/0/shape", "/requirements/layers",
    "/requirements/customObjects", "/requirements/ops", "/requirements/dtypes",
    "/requirements/customObjects/0/registeredName", "/requirements/customObjects/0/className",
    "/requirements/customObjects/0/component",
)  # fmt: skip
_UNKNOWN = ("", "/files/0", "/tensors", "/components/0", "/signatures/0", "/signatures/0/inputs/0",
            "/requirements", "/requirements/customObjects/0")  # fmt: skip
_EMPTY: Sequence[tuple[str, Any]] = (
    ("/name", ""), ("/name", None), ("/directories", []), ("/metadata", {}), ("/extensions", {}),
    ("/components/0/derivedFrom", ""), ("/components/0/mustUnderstand", False),
    ("/components/0/properties", {}), ("/requirements/customObjects/1/module", ""),
)  # fmt: skip
_UNNAMED = ("/components/0/kind", "/signatures/0/name", "/signatures/0/inputs/0/name",
            "/requirements/customObjects/0/registeredName",
            "/requirements/customObjects/0/className")  # fmt: skip
_OPTIONAL = {"directories", "name", "metadata", "extensions", "derivedFrom", "properties",
             "mustUnderstand", "module"}  # fmt: skip


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _members(suite)
    _files(suite)
    _components(suite)
    _signatures(suite)
    _versions(suite)


def _add(suite: Suite, area: str, table: Table, why: str, twin: str = "archive/rich") -> None:
    for id, title, change, rules, pointer in table:
        suite.invalid(f"{area}/{id}", title, twin=twin, stage="manifest", change=change,
                      rules=rules[:1], also=rules[1:], place=f"{PLACE}#{pointer}", phase="manifest",
                      why=why)  # fmt: skip


def _slug(pointer: str) -> str:
    parts = [part for part in pointer.split("/") if part and not part.isdigit()]
    return "-".join("".join(f"-{c.lower()}" if c.isupper() else c for c in part) for part in parts)


def _members(suite: Suite) -> None:
    why = "A manifest of another shape means nothing that two implementations agree on."
    count: dict[str, int] = {}
    table: list[tuple[str, str, Change, Sequence[str], str]] = []
    for pointer, value in _TYPES:
        slug = _slug(pointer)
        count[slug] = count.get(slug, 0) + 1
        id = f"type-{slug}" + (f"-{count[slug]}" if count[slug] > 1 else "")
        rules = ["MAN-02"] if pointer == "/modelbundle" else ["MAN-01"]
        parent = pointer.rpartition("/")[0]
        table.append((id, f"{pointer} is {value!r}", put(pointer, value), rules, parent))
    for pointer in _REQUIRED:
        rules = ["MAN-02", "MAN-01"] if pointer == "/modelbundle" else ["MAN-01", "MAN-05"]
        parent = pointer.rpartition("/")[0]
        table.append((f"missing-{_slug(pointer)}", f"{pointer} is missing", drop(pointer), rules, parent))
    for pointer in _UNNAMED:
        table.append((f"unnamed-{_slug(pointer)}", f"{pointer} is empty", put(pointer, ""), ["MAN-01"], pointer))
    for pointer in _UNKNOWN:
        table.append((f"unknown-{_slug(pointer) or 'top'}", f"An unknown member in {pointer or 'the manifest'}",
                      put(f"{pointer}/sizee", 1), ["MAN-03"], pointer))  # fmt: skip
    for pointer, value in _EMPTY:
        id = f"empty-{_slug(pointer)}" + ("-null" if value is None else "")
        table.append((id, f"{pointer} is {value!r}", put(pointer, value), ["MAN-11"], pointer))
    _add(suite, "manifest", table, why)
    suite.invalid("manifest/not-an-object", "An array instead of an object", twin="archive/plain",
                  stage="manifest", change=lambda value: [value], rules=["MAN-02", "MAN-01"],
                  place=PLACE, phase="manifest", why=why)  # fmt: skip


def _files(suite: Suite) -> None:
    why = "Sizes and digests of files are what everything else is checked against."
    digest = "/files/1/digest"
    table: Table = [
        ("file-order", "Files in another order", swap("/files", 0, 1), ["MAN-04"], "/files"),
        ("file-twice", "A file twice", repeat("/files", 1), ["MAN-04", "PTH-05"], "/files"),
        ("digest-upper-case", "A digest in upper case", _upper(digest), ["MAN-05"], digest),
        ("digest-short", "A digest of 63 digits", _shorter(digest), ["MAN-05"], digest),
        ("digest-no-hex", "A digest with a letter g", put(digest, "sha256:" + "g" * 64), ["MAN-05"], digest),
        ("digest-no-algorithm", "A digest without its algorithm", put(digest, "0" * 64),
         ["MAN-05", "MAN-06"], digest),
        ("role-unknown", "An unknown file role", put("/files/1/role", "weights"), ["MAN-05"], "/files/1/role"),
        ("storage-unknown", "An unknown storage", put("/files/1/storage", "remote"), ["MAN-05"], "/files/1/storage"),
        ("media-type-empty", "An empty media type", put("/files/1/mediaType", ""), ["MAN-05", "MAN-01"], "/files/1/mediaType"),
        ("media-type-parameters", "A media type with parameters",
         put("/files/1/mediaType", "text/plain; charset=utf-8"), ["MAN-05"], "/files/1/mediaType"),
        ("media-type-no-subtype", "A media type without a subtype",
         put("/files/1/mediaType", "text"), ["MAN-05"], "/files/1/mediaType"),
        ("sizes-overflow", "Sizes that sum to 2^53", put("/files/1/size", 2**53 - 1), ["MAN-07"], "/files"),
        ("no-index", "The tensor index is not listed", drop("/files/3"), ["MAN-08"], "/files"),
        ("index-composed", "The tensor index is composed", put("/files/3/storage", "composed"), ["MAN-08"], "/files"),
        ("composed-without-compositions", "A composed file, and no compositions",
         put("/files/1/storage", "composed"), ["MAN-08"], "/files"),
        ("count-too-large", "A tensor count that is not the index's", put("/tensors/count", 5), ["MAN-09"], "/tensors"),
        ("bytes-wrong", "Tensor bytes that are not the index's", put("/tensors/bytes", 49), ["MAN-09"], "/tensors"),
        ("directory-order", "Directories in another order", swap("/directories", 0, 1), ["MAN-10"], "/directories"),
        ("directory-twice", "A directory twice", repeat("/directories", 0), ["MAN-10", "PTH-05"], "/directories"),
        ("directory-of-file", "A listed directory with a file below it", put("/directories/1", "sub"), ["MAN-10", "PTH-05"], "/"),
        ("directory-is-file", "A listed directory that is a file", put("/directories", ["net.bin"]), ["MAN-10", "PTH-05"], "/"),
        ("directory-in-directory", "A listed directory in another", put("/directories", ["logs", "logs/deep"]),
         ["MAN-10", "PTH-05"], "/"),
    ]  # fmt: skip
    late = {"count-too-large", "bytes-wrong"}
    _add(suite, "manifest", [line for line in table if line[0] not in late], why)
    for id, title, change, rules, pointer in (line for line in table if line[0] in late):
        suite.invalid(f"manifest/{id}", title, twin="archive/rich", stage="manifest", change=change,
                      rules=rules, place=f"{PLACE}#{pointer}", phase="index", why=why)  # fmt: skip
    _add(suite, "manifest", [
        ("algorithm-sha512", "A digest of another algorithm", put(digest, "sha512:" + "0" * 128), ["MAN-06"], digest),
        ("algorithm-md5", "A digest of a broken algorithm", put(digest, "md5:" + "0" * 32), ["MAN-06"], digest),
    ], "An algorithm that is not known is no reason to call the bundle wrong, nor to accept it.")  # fmt: skip
    ratio = put("/files/1/size", 256 * 4096 * 64)
    _add(suite, "manifest", [
        ("composed-ratio", "Composed bytes beyond 256 times the stored", ratio, ["MAN-07"], "/files"),
        ("composed-overflow", "Composed sizes that sum to 2^53", put("/files/1/size", 2**53 - 1), ["MAN-07"], "/files"),
        ("compositions-not-listed", "Compositions that are not listed", drop("/files/0"), ["MAN-08"], "/files"),
        ("residue-composed", "A composed residue", put("/files/3/storage", "composed"), ["MAN-08"], "/files"),
    ], "A small bundle must not unpack to a disk full of copies.", "archive/composed")  # fmt: skip
    suite.invalid("manifest/compositions-without-composed", "Compositions, and no composed file",
                  twin="archive/plain", stage="compositions", change=lambda _: None, rules=["MAN-08"],
                  place=f"{PLACE}#/files", phase="manifest", why="Files without a use hide things.")  # fmt: skip


def _upper(pointer: str) -> Change:
    return _text(pointer, lambda text: text[:7] + text[7:].upper())


def _shorter(pointer: str) -> Change:
    return _text(pointer, lambda text: text[:-1])


def _text(pointer: str, edit: Any) -> Change:
    _, _, number, name = pointer.split("/")

    def change(manifest: dict[str, Any]) -> None:
        entry = manifest["files"][int(number)]
        entry[name] = edit(entry[name])

    return change


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
    _add(suite, "components", table, why)
    _add(suite, "components", [
        ("must-understand", "An unknown kind with mustUnderstand",
         put("/components/-", {**extra, "mustUnderstand": True}), ["COM-03"], "/components/3"),
        ("must-understand-reserved", "A reserved kind with mustUnderstand",
         put("/components/-", {**extra, "kind": "golden", "mustUnderstand": True}), ["COM-03"], "/components/3"),
    ], "The author says that reading without this goes wrong: a Reader stops.")  # fmt: skip
    kinds = ("assets", "hdf5", "keras.archive", "keras.config", "onnx", "safetensors",
             "tensorflow.checkpoint", "tensorflow.saved_model", "tflite", "training")  # fmt: skip
    _add(suite, "components", [
        (f"without-files-{kind.replace('.', '-').replace('_', '-')}", f"A component {kind} without files",
         put("/components/-", {"id": "x", "kind": kind, "files": []}
             | ({"properties": known[kind]} if kind in known else {})), ["COM-05"], "/components/3")
        for kind in kinds
    ], why)  # fmt: skip
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
        _add(suite, "components", [(id, title, change, ["COM-05"], "/components/2")], why)


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
    _add(suite, "signatures", table, why)
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
    _add(suite, "requirements", table, "A consumer decides by the requirements whether it can load.")
    for id, change in (("missing", drop(f"{needs}/dtypes/0")), ("extra", put(f"{needs}/dtypes/-", "zz"))):
        value = change if id == "missing" else put(f"{needs}/dtypes", ["bool", "float32", "int64", "uint8"])
        suite.invalid(f"requirements/dtypes-{id}", f"A dtype {id}", twin="archive/rich", stage="manifest",
                      change=value, rules=["REQ-02"], place=f"{PLACE}#{needs}/dtypes", phase="index",
                      why="A consumer decides by the requirements whether it can load.")  # fmt: skip
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
    _add(suite, "extensions", table, "A name that its author does not hold means two things.")
    table = [("must-understand", "An unknown extension with mustUnderstand",
              put(f"{extension}/mustUnderstand", True), ["EXT-02"], extension)]  # fmt: skip
    _add(suite, "extensions", table, "The author says that reading without this goes wrong.")


def _versions(suite: Suite) -> None:
    why = "A version that cannot be compared cannot be refused rightly."
    wrong = {"empty": "", "major-only": "1", "three-parts": "1.0.0", "leading-zero": "1.00",
             "leading-zero-major": "01.0", "major-zero": "0.9", "space": "1.0 ", "sign": "+1.0",
             "suffix": "1.0-rc", "ten-digits": "1.1000000000", "other-digits": "1.\u0663"}  # fmt: skip
    _add(suite, "versions", [
        (f"malformed-{id}", f"Version {text!r}", put("/modelbundle", text), ["MAN-02"], "/modelbundle")
        for id, text in wrong.items()
    ], why, "archive/plain")  # fmt: skip
    _add(suite, "versions", [
        (f"major-{text}", f"Version {text}", put("/modelbundle", text), ["VER-01"], "/modelbundle")
        for text in ("2.0", "2.0-draft", "999999999.0")
    ], "Another major version can mean anything: neither right nor wrong.", "archive/plain")  # fmt: skip

    def rewritten(manifest: dict[str, Any]) -> dict[str, Any]:
        return {"modelbundle": "2.0", "parts": manifest["files"]}

    suite.invalid("versions/major-2-other-shape", "Version 2.0 with other members", twin="archive/plain",
                  stage="manifest", change=rewritten, rules=["VER-01"], place=PLACE, phase="manifest",
                  why="Of another major version nothing is checked but that it is JSON with a version.")  # fmt: skip
