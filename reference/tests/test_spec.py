"""The written standard holds: every example is run, and its bundle is what code makes of it.

The bundle of the introduction is built by `mini_writer`, which knows the text and not the
reference; both have to agree with the text and with each other.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mini_writer
import pytest
import spec_text
from spec_text import (
    FENCES,
    SPEC,
    Fence,
    decoded,
    encoded,
    example,
    fragment,
    from_hex,
    manifest_example,
    rows,
    run,
    shown,
    strict,
)

from modelbundle.core import canonical_json, compositions, manifest, tensor_index
from modelbundle.core.archive_layout import ArchiveLayout
from modelbundle.packing import pack
from modelbundle.rules import validate

TAGS = {"json", "hex", "python", "text"}


def tagged(*tags: str) -> Any:
    chosen = [fence for fence in FENCES if fence.tag in tags]
    return pytest.mark.parametrize("fence", chosen, ids=[fence.place for fence in chosen])


@pytest.fixture(scope="module")
def tiny() -> dict[str, bytes]:
    return spec_text.tiny()


# Examples


@pytest.mark.parametrize("fence", FENCES, ids=[fence.place for fence in FENCES])
def test_every_fence_has_a_tag_that_is_checked(fence: Fence) -> None:
    assert fence.tag in TAGS
    wanted = {"json": {"schema", "fragment"}, "hex": {"bytes"}, "python": {"run"}}
    assert fence.tag == "text" or wanted[fence.tag] & fence.options.keys()


@tagged("json")
def test_json_examples_follow_their_schema(fence: Fence) -> None:
    value = strict(fence.text)
    location = fence.options.get("schema") or fence.options["fragment"]
    fragment(location).validate(value)
    if name := fence.options.get("value"):
        data = shown(name)
        assert value == (json.loads(data) if name.endswith(".json") else decoded(data))


@tagged("hex")
def test_hex_examples_are_what_the_mini_writer_writes(fence: Fence) -> None:
    data = shown(fence.options["bytes"])
    part = from_hex(fence.text)
    start = int(fence.options.get("at", 0))
    assert data[start : start + len(part)] == part
    assert "at" in fence.options or len(part) == len(data)


@tagged("python")
def test_python_examples_run(fence: Fence) -> None:
    run(fence)


@tagged("text")
def test_text_examples_with_a_digest_show_it(fence: Fence) -> None:
    if "digest" in fence.options:
        assert fence.text == mini_writer.digest(shown(fence.options["digest"]))


# The bundles of the text and the reference


@pytest.mark.parametrize("bundle", [spec_text.tiny, spec_text.pair])
def test_reference_accepts_both_layouts(
    bundle: Callable[[], dict[str, bytes]], tmp_path: Path
) -> None:
    files = bundle()
    (tmp_path / "net.modelbundle").write_bytes(files["archive"])
    (tmp_path / "net").mkdir()
    for path, data in files.items():
        if path != "archive":
            (tmp_path / "net" / path).write_bytes(data)
    archive, directory = validate(tmp_path / "net.modelbundle"), validate(tmp_path / "net")
    assert archive.findings == directory.findings == ()
    assert archive.digest == directory.digest == mini_writer.digest(files["manifest.json"])


def test_sizes_that_the_text_states_are_those_of_the_bundles() -> None:
    for bundle, document in (("tiny", "00-introduction.md"), ("pair", "07-compositions.md")):
        text = (SPEC / document).read_text("utf-8")
        assert f"{len(shown(f'{bundle}/archive'))} bytes" in text
        assert f"{len(shown(f'{bundle}/manifest.json'))} bytes" in text


def test_reference_reads_the_tiny_bundle_and_writes_the_same_bytes(tiny: dict[str, bytes]) -> None:
    head = manifest.decode(tiny["manifest.json"])
    assert manifest.encode(head) == tiny["manifest.json"]
    index = tensor_index.decode(tiny["tensors.msgpack"])
    assert tensor_index.encode(index) == tiny["tensors.msgpack"]
    sizes = {entry.path: entry.size for entry in head.stored}
    ids = frozenset(component.id for component in head.components)
    assert list(tensor_index.check_against(index, sizes, ids)) == []
    assert (len(index), index.distinct_bytes()) == (head.tensor_count, head.tensor_bytes)
    assert index.row(1).shape == (2, 2)


def test_reference_determines_the_tiny_archive(tiny: dict[str, bytes]) -> None:
    files = {path: data for path, data in tiny.items() if path != "archive"}
    layout = ArchiveLayout([(path, len(data)) for path, data in files.items()])
    crc32s = [zlib.crc32(data) for data in files.values()]
    members = zip(layout.members, crc32s, files.values(), strict=True)
    data = b"".join(member.local_header(crc) + content for member, crc, content in members)
    assert data + layout.tail(crc32s) == tiny["archive"]
    assert layout.size == len(tiny["archive"])


def test_reference_packs_the_same_bytes(tiny: dict[str, bytes], tmp_path: Path) -> None:
    source = tmp_path / "net.safetensors"
    source.write_bytes(tiny["net.safetensors"])
    digest = pack(source, tmp_path / "net.modelbundle")
    assert digest == mini_writer.digest(tiny["manifest.json"])
    assert (tmp_path / "net.modelbundle").read_bytes() == tiny["archive"]


def header_fields() -> Iterator[tuple[bytes, int, set[str]]]:
    """Fields of the tables of chapter 3: header signature, offset, rules named for the field."""
    signature = b""
    for at, _, field, value, rule in rows("03-layouts.md", "at", columns=5):
        if field == "signature":
            signature = bytes.fromhex(value.strip("`"))
        if at.isdigit():
            yield signature, int(at), set(re.findall(r"[A-Z]{3}-[0-9]{2}", rule))


@pytest.mark.parametrize(("signature", "at", "rules"), [*header_fields()])
def test_a_changed_header_field_breaks_the_rule_of_the_table(
    signature: bytes, at: int, rules: set[str], tiny: dict[str, bytes], tmp_path: Path
) -> None:
    second = tiny["archive"].index(signature, tiny["archive"].index(signature) + 1)
    data = bytearray(tiny["archive"])
    data[second + at] ^= 1
    (tmp_path / "net.modelbundle").write_bytes(data)
    assert {finding.rule for finding in validate(tmp_path / "net.modelbundle").findings} & rules


def test_zip_tools_read_the_tiny_archive(tiny: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(tiny["archive"])) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "tensors.msgpack", "net.safetensors"]


G4 = 0xFFFFFFFF


SIZES = [
    [0], [1, 63, 64, 65], [G4 - 1, 5], [G4, 5], [G4 + 1, 0, 7], [3, G4 - 200, 9, 9],
    [1] * 65533, [1] * 65534,
]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{len(sizes)}x{sizes[0]}")
def test_offsets_of_the_text_are_those_of_the_reference(
    sizes: list[int], tiny: dict[str, bytes]
) -> None:
    fence = next(f for f in FENCES if f.tag == "python" and "def data_offsets" in f.text)
    members = [
        ("manifest.json", 700),
        *((f"d/{number}é", size) for number, size in enumerate(sizes)),
    ]
    places, total = run(fence)["data_offsets"](members)
    layout = ArchiveLayout(members)
    assert places == {member.path: member.data_offset for member in layout.members}
    assert total == layout.size


def test_reference_reads_the_compositions_example() -> None:
    fence = example("schema", "compositions")
    value = strict(fence.text)
    read = compositions.decode(encoded(value))
    assert decoded(compositions.encode(read)) == value
    stored = {"net.bin": 5000, "residue.bin": 12}
    assert list(compositions.check_against(read, stored, {"copy.bin": 4108})) == []


def test_reference_reads_the_manifest_example() -> None:
    manifest.decode(canonical_json.encode(manifest_example()))
