"""The archive layout, read by other zip implementations, and beyond 4 GiB and 65,535 members."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest
from building import pack_small
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core.archive_layout import ALIGNMENT, ArchiveLayout, parse_local


def write_sparse(path: Path, layout: ArchiveLayout, crc32s: list[int]) -> None:
    """The archive of `layout` whose files are all zero bytes, written as a file with holes."""
    with path.open("wb") as file:
        for member, crc32 in zip(layout.members, crc32s, strict=True):
            file.seek(member.header_offset)
            file.write(member.local_header(crc32))
        file.seek(layout.central_offset)
        file.write(layout.tail(crc32s))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.text("aé/", min_size=1, max_size=100), st.integers(0, 2**34)),
        max_size=6,
        unique_by=lambda item: item[0],
    )
)
def test_every_byte_has_its_place(files: list[tuple[str, int]]) -> None:
    layout = ArchiveLayout(files)
    at = 0
    for member, (path, size) in zip(layout.members, files, strict=True):
        header = member.local_header(0)
        assert (member.path, member.size, member.header_offset) == (path, size, at)
        assert member.data_offset == at + len(header)
        assert member.data_offset % ALIGNMENT == 0
        at = member.end
    assert layout.central_offset == at
    assert layout.size == at + len(layout.tail([0] * len(files)))


def test_manifest_begins_at_64() -> None:
    assert ArchiveLayout([("manifest.json", 5)]).members[0].data_offset == 64


def test_zipfile_reads_it(tmp_path: Path) -> None:
    archive = pack_small(tmp_path / "small.modelbundle")
    folder = pack_small(tmp_path / "small", directory=True)
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        infos = opened.infolist()
        for info in infos:
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.compress_type == zipfile.ZIP_STORED
            assert opened.read(info) == (folder / info.filename).read_bytes()
    names = [info.filename for info in infos]
    assert names[:3] == ["manifest.json", "tensors.msgpack", "compositions.msgpack"]
    assert names[3:] == sorted(names[3:])


@pytest.mark.parametrize("command", [["unzip", "-tqq"], ["zip", "-T"], ["bsdtar", "-tf"]])
def test_other_programs_read_it(command: list[str], tmp_path: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    archive = pack_small(tmp_path / "small.zip")
    subprocess.run([*command, str(archive)], check=True, capture_output=True)


LIMIT = 0xFFFFFFFF


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 5 << 30])
def test_large_files(size: int, tmp_path: Path) -> None:
    files = [("manifest.json", 100), ("big.bin", size), ("after.bin", 10)]
    layout = ArchiveLayout(files)
    write_sparse(tmp_path / "big.zip", layout, [0, 0, zlib.crc32(bytes(10))])
    assert (tmp_path / "big.zip").stat().st_size == layout.size
    with zipfile.ZipFile(tmp_path / "big.zip") as opened:
        infos = opened.infolist()
        assert [(info.filename, info.file_size) for info in infos] == files
        for info, member in zip(infos, layout.members, strict=True):
            assert (info.compress_size, info.header_offset) == (member.size, member.header_offset)
        assert opened.read("after.bin") == bytes(10)
        with opened.open("big.bin") as data:
            assert data.read(100) == bytes(100)


@pytest.mark.parametrize(("size", "zip64"), [(LIMIT - 1, False), (LIMIT, True)])
def test_zip64_exactly_where_needed(size: int, zip64: bool) -> None:
    member = ArchiveLayout([("manifest.json", size)]).members[0]
    assert (b"\1\0\x10\0" in member.local_header(0)) == zip64
    assert (len(member.central_header(0)) == 46 + 13 + 20) == zip64
    assert ArchiveLayout([("a", size)]).tail([0]).count(b"PK\6\6") == 1  # by the offset of its end


@pytest.mark.parametrize("count", [0xFFFE, 0xFFFF, 0x10001])
def test_many_members(count: int, tmp_path: Path) -> None:
    layout = ArchiveLayout([(f"{number:06}", 0) for number in range(count)])
    write_sparse(tmp_path / "many.zip", layout, [0] * count)
    with zipfile.ZipFile(tmp_path / "many.zip") as opened:
        assert len(opened.infolist()) == count
    assert (b"PK\6\6" in layout.tail([0] * count)[-98:]) == (count >= 0xFFFF)


def test_local_headers_are_parsed() -> None:
    member = ArchiveLayout([("net.bin", 77)]).members[0]
    header = member.local_header(1)
    assert parse_local(header) == (77, 7, len(header) - 37)
    assert parse_local(header[:29]) is None
    assert parse_local(b"PK\1\2" + header[4:]) is None
