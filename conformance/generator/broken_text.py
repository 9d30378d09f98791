"""Invalid paths, JSON and MessagePack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from generator.cases import Suite
from generator.edits import append, become, prepend, put
from generator.edits import replace as substitute
from generator.raw import Change

MANIFEST = "manifest.json"
ESCAPE = (
    "A path that leaves its directory, or that systems read differently, overwrites other files."
)

_PATHS: Sequence[tuple[str, str, str]] = (
    ("empty", "", "PTH-01"), ("absolute", "/net.bin", "PTH-01"), ("parent", "../net.bin", "PTH-01"),
    ("parent-inside", "a/../net.bin", "PTH-01"), ("parent-last", "a/..", "PTH-01"),
    ("dot", "./net.bin", "PTH-01"), ("dot-inside", "a/./b", "PTH-01"),
    ("double-slash", "a//b", "PTH-01"), ("trailing-slash", "net.bin/", "PTH-01"),
    ("slashes-only", "//", "PTH-01"), ("too-long", "p" * 1025, "PTH-01"),
    ("too-long-in-bytes", "é" * 512 + "p", "PTH-01"),
    ("backslash", "a\\b", "PTH-02"), ("backslash-parent", "..\\net.bin", "PTH-02"),
    ("unc", "\\\\server\\share", "PTH-02"), ("drive", "c:net.bin", "PTH-02"),
    ("stream", "net.bin:hidden", "PTH-02"), ("url", "data:net.bin", "PTH-02"),
    ("star", "net*.bin", "PTH-02"), ("question-mark", "net?.bin", "PTH-02"),
    ("quote", 'net".bin', "PTH-02"), ("less", "net<.bin", "PTH-02"),
    ("greater", "net>.bin", "PTH-02"), ("bar", "net|.bin", "PTH-02"),
    ("nul", "net.bin\0.txt", "PTH-02"), ("newline", "net\n.bin", "PTH-02"),
    ("escape", "\x1b[2J.bin", "PTH-02"), ("delete", "net\x7f.bin", "PTH-02"),
    ("c1-control", "net\x85.bin", "PTH-02"),
    ("device", "nul", "PTH-03"), ("device-case", "CoN", "PTH-03"), ("device-extension", "aux.bin", "PTH-03"),
    ("device-two-extensions", "prn.tar.gz", "PTH-03"), ("device-inside", "a/com1/b", "PTH-03"),
    ("device-superscript", "lpt\u00b9.bin", "PTH-03"), ("device-space", "con .bin", "PTH-03"),
    ("ends-in-dot", "net.", "PTH-03"), ("ends-in-space", "net ", "PTH-03"),
    ("segment-ends-in-dot", "a./b", "PTH-03"), ("three-dots", "...", "PTH-03"),
    ("decomposed", "u\u0308.bin", "PTH-04"), ("singleton", "\u212b.bin", "PTH-04"),
    ("hangul", "\u1100\u1161.bin", "PTH-04"),
    ("manifest", "manifest.json", "PTH-06"), ("manifest-case", "Manifest.json", "PTH-05"),
)  # fmt: skip
_COLLISIONS: Sequence[tuple[str, str, str]] = (
    ("case", "NET.bin", "Two paths that differ in case"),
    ("case-in-folder", "SUB/more.bin", "Two paths whose folders differ in case"),
    ("file-is-folder", "sub", "A file where another needs a directory"),
    ("file-is-folder-case", "Sub", "The same, in another case"),
    ("below-file", "net.bin/x", "A file below another file"),
)
_FOLDED: Sequence[tuple[str, str, str]] = (
    ("sharp-s", "straße.bin", "strasse.bin"),
    ("dotted-i", "\u0130.bin", "i\u0307.bin"),
    ("final-sigma", "\u03c3.bin", "\u03c2.bin"),
    ("ligature", "\ufb01.bin", "fi.bin"),
    ("kelvin", "K.bin", "k.bin"),
)


def add(suite: Suite) -> None:
    """Add the cases to `suite`."""
    _paths(suite)
    _json(suite)
    _msgpack(suite)


def _entry(path: str) -> dict[str, Any]:
    return {"path": path, "size": 0, "role": "source", "storage": "stored",
            "mediaType": "application/octet-stream",
            "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}  # fmt: skip


def listed(*paths: str) -> Change:
    """List further files, empty ones, in order."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["files"] += [_entry(path) for path in paths]
        manifest["files"].sort(key=lambda entry: entry["path"].encode("utf-8", "surrogatepass"))

    return change


def _paths(suite: Suite) -> None:
    def refuse(
        id: str, title: str, change: Change, rules: list[str], place: str, also: Sequence[str] = ()
    ) -> None:
        suite.invalid(
            f"paths/{id}",
            title,
            twin="archive/plain",
            stage="manifest",
            change=change,
            rules=rules,
            also=also,
            place=place,
            phase="manifest",
            why=ESCAPE,
            about=["SEC-02"] if id in ("escape", "c1-control", "nul", "newline") else (),
        )

    for id, path, rule in _PATHS:
        also = ["MAN-01"] if id == "empty" else []
        shown = path if path.isprintable() and len(path) < 80 else id.replace("-", " ")
        refuse(
            id, f"A file at the path {shown!r}", listed(path), [rule], f"{MANIFEST}#/files", also
        )
    for id, path, title in _COLLISIONS:
        refuse(f"collision-{id}", title, listed(path), ["PTH-05"], f"{MANIFEST}#/files")
    for id, one, two in _FOLDED:
        refuse(
            f"collision-{id}",
            f"Two paths that case folding makes one: {one} and {two}",
            listed(one, two),
            ["PTH-05"],
            f"{MANIFEST}#/files",
        )
    for id, path, rule in (("parent", "../logs", "PTH-01"), ("device", "con", "PTH-03"),
                           ("case", "NET.BIN", "PTH-05"), ("below-file", "net.bin/x", "PTH-05")):  # fmt: skip
        refuse(
            f"directory-{id}",
            f"A listed directory at the path {path!r}",
            put("/directories", [path]),
            [rule],
            f"{MANIFEST}#/",
            ["MAN-10"],
        )
    refuse(
        "role-index",
        "The role index for another file",
        put("/files/0/role", "index"),
        ["PTH-06"],
        f"{MANIFEST}#/files",
    )
    refuse(
        "index-as-source",
        "The tensor index as a source",
        put("/files/3/role", "source"),
        ["PTH-06"],
        f"{MANIFEST}#/files",
        ["MAN-08"],
    )


def _json(suite: Suite) -> None:
    why = "Two parsers that read one text differently see two manifests under one digest."
    big = "9" * 400
    deep = b'"metadata":{"deep":' + b"[" * 63 + b"]" * 63 + b"},"
    bomb = b'"metadata":{"deep":' + b"[" * 20000 + b"]" * 20000 + b"},"

    def with_metadata(text: bytes) -> Change:
        return substitute(b'"modelbundle"', b'"metadata":{"x":' + text + b'},"modelbundle"')

    table: list[tuple[str, str, Change, Sequence[str]]] = [
        ("byte-order-mark", "A byte-order mark", prepend(b"\xef\xbb\xbf"), ["JSN-01"]),
        ("utf-16", "UTF-16", lambda data: b"\xff\xfe" + data.decode().encode("utf-16-le"), ["JSN-01"]),
        ("not-utf-8", "A byte that is no UTF-8", with_metadata(b'"\xff"'), ["JSN-01"]),
        ("overlong", "An overlong encoding", with_metadata(b'"\xc0\xaf"'), ["JSN-01"]),
        ("surrogate-bytes", "A surrogate in UTF-8", with_metadata(b'"\xed\xa0\x80"'), ["JSN-01", "JSN-06"]),
        ("duplicate-member", "A member twice",
         substitute(b'"signatures":[]', b'"signatures":[],"signatures":[]'), ["JSN-02"]),
        ("duplicate-escaped", "A member twice, once escaped",
         substitute(b'"signatures":[]', b'"\\u0073ignatures":[],"signatures":[]'), ["JSN-02"]),
        ("duplicate-deep", "A member twice, deep in metadata", with_metadata(b'{"a":1,"a":1}'), ["JSN-02"]),
        ("nan", "NaN", with_metadata(b"NaN"), ["JSN-03", "JSN-08"]),
        ("infinity", "Infinity", with_metadata(b"Infinity"), ["JSN-03", "JSN-08"]),
        ("minus-infinity", "-Infinity", with_metadata(b"-Infinity"), ["JSN-03", "JSN-08"]),
        ("depth-65", "Arrays 65 deep",
         substitute(b'"modelbundle"', deep + b'"modelbundle"'), ["JSN-04"]),
        ("depth-20000", "Arrays 20,000 deep",
         substitute(b'"modelbundle"', bomb + b'"modelbundle"'), ["JSN-04"]),
        ("integer-over", "An integer of 2^53", with_metadata(b"9007199254740992"), ["JSN-05"]),
        ("integer-under", "An integer of -2^53", with_metadata(b"-9007199254740992"), ["JSN-05"]),
        ("integer-long", "An integer of 400 digits", with_metadata(big.encode()), ["JSN-05"]),
        ("integer-next", "The next double after 2^53", with_metadata(b"9007199254740994"), ["JSN-05"]),
        ("integer-21-digits", "The largest whole number that RFC 8785 writes without an exponent",
         with_metadata(b"999999999999999900000"), ["JSN-05"]),
        ("number-overflow", "A number that no double holds", with_metadata(b"1e400"), ["JSN-05"]),
        ("lone-surrogate", "A lone surrogate, escaped", with_metadata(b'"\\ud800"'), ["JSN-06"]),
        ("lone-surrogate-name", "A lone surrogate in a name", with_metadata(b'{"\\udc00":1}'), ["JSN-06"]),
        ("reversed-surrogates", "Two surrogates in the wrong order", with_metadata(b'"\\udc00\\ud800"'), ["JSN-06"]),
        ("white-space", "A space", substitute(b'":', b'": '), ["JSN-07"]),
        ("newline-at-end", "A line end at the end", append(b"\n"), ["JSN-07", "JSN-08"]),
        ("unsorted-members", "Members in another order",
         lambda data: b'{"tensors":' + _cut_member(data), ["JSN-07"]),
        ("escape", "An escape that is not needed", substitute(b"net.bin", b"net\\u002ebin"), ["JSN-07"]),
        ("escaped-slash", "An escaped slash", substitute(b"sub/more", b"sub\\/more"), ["JSN-07"]),
        ("upper-case-escape", "An escape in upper case", with_metadata(b'"\\u001F"'), ["JSN-07"]),
        ("number-form", "A number not in its shortest form", with_metadata(b"1.0"), ["JSN-07"]),
        ("exponent-form", "An exponent in upper case", with_metadata(b"1E+21"), ["JSN-07"]),
        ("minus-zero", "Minus zero", with_metadata(b"-0"), ["JSN-07"]),
        ("trailing-bytes", "Another value at the end", append(b"{}"), ["JSN-08"]),
        ("trailing-nul", "A zero byte at the end", append(b"\0"), ["JSN-08"]),
        ("truncated", "The last byte is missing", lambda data: data[:-1], ["JSN-08"]),
        ("trailing-comma", "A comma before the closing bracket",
         substitute(b'"signatures":[]', b'"signatures":[,]'), ["JSN-08"]),
        ("comment", "A comment", prepend(b"/**/"), ["JSN-08"]),
        ("single-quotes", "Single quotes", with_metadata(b"'x'"), ["JSN-08"]),
        ("leading-zero", "A number with a leading zero", with_metadata(b"01"), ["JSN-08"]),
        ("control-character", "A raw control character in a string", with_metadata(b'"\x01"'), ["JSN-08"]),
        ("empty", "No bytes", become(b""), ["JSN-08"]),
        ("not-json", "Another kind of file", become(b"\x89HDF\r\n\x1a\n"), ["JSN-08", "JSN-01"]),
    ]  # fmt: skip
    for id, title, change, rules in table:
        suite.invalid(
            f"json/{id}",
            title,
            twin="archive/plain",
            stage="manifest_bytes",
            change=change,
            rules=rules[:1],
            also=rules[1:],
            place=MANIFEST,
            phase="manifest",
            why=why,
        )


def _cut_member(data: bytes) -> bytes:
    """The manifest's text with `tensors`, its last member, in front."""
    start = data.index(b',"tensors":')
    return data[start + 11 : -1] + b"," + data[1:start] + b"}"


def _msgpack(suite: Suite) -> None:
    why = "One content has one encoding; a length is never believed before the bytes are there."
    count = b"\xa5count\x04"
    nested = b"\x91" * 17 + b"\xc0"
    table: list[tuple[str, str, Change, Sequence[str]]] = [
        ("long-integer", "An integer in a longer form", substitute(count, b"\xa5count\xcc\x04"), ["MSG-01"]),
        ("long-integer-u64", "An integer as u64", substitute(count, b"\xa5count\xcf" + bytes(7) + b"\x04"), ["MSG-01"]),
        ("signed-integer", "A positive integer in a signed form", substitute(count, b"\xa5count\xd0\x04"), ["MSG-01", "MSG-02"]),
        ("long-string", "A string in a longer form", substitute(b"\xa5count", b"\xd9\x05count"), ["MSG-01"]),
        ("long-binary", "A binary in a longer form", substitute(b"\xa4rank\xc4\x04", b"\xa4rank\xc5\x00\x04"), ["MSG-01"]),
        ("long-array", "An array in a longer form", substitute(b"\xa5names\x94", b"\xa5names\xdc\x00\x04"), ["MSG-01"]),
        ("long-map", "A map in a longer form", lambda data: b"\xde\x00" + bytes([data[0] & 15]) + data[1:], ["MSG-01"]),
        ("key-order", "Keys in another order", _swapped_keys, ["MSG-01"]),
        ("duplicate-key", "A key twice", lambda data: b"\xde\x00\x10" + count + data[1:], ["MSG-01"]),
        ("trailing-bytes", "A byte after the value", append(b"\xc0"), ["MSG-01"]),
        ("nil", "nil", substitute(count, b"\xa5count\xc0"), ["MSG-02"]),
        ("boolean", "A boolean", substitute(count, b"\xa5count\xc3"), ["MSG-02"]),
        ("float", "A float", substitute(count, b"\xa5count\xcb\x40\x10" + bytes(6)), ["MSG-02"]),
        ("negative", "A negative integer", substitute(count, b"\xa5count\xff"), ["MSG-02"]),
        ("extension", "An extension type", substitute(count, b"\xa5count\xd4\x05\x00"), ["MSG-02"]),
        ("timestamp", "A timestamp", substitute(count, b"\xa5count\xd6\xff" + bytes(4)), ["MSG-02"]),
        ("integer-key", "A key that is an integer", lambda data: b"\xde\x00\x10\x00\x00" + data[1:], ["MSG-02"]),
        ("binary-key", "A key that is a binary", substitute(b"\xa5count", b"\xc4\x05count"), ["MSG-02"]),
        ("not-a-map", "An array", become(b"\x90"), ["MSG-02", "TEN-01"]),
        ("depth-17", "Arrays too deep", become(b"\x81\xa1x" + nested), ["MSG-03", "MSG-02"]),
        ("depth-100000", "Arrays 100,000 deep", become(b"\x81\xa1x" + b"\x91" * 100000), ["MSG-03", "MSG-04"]),
        ("array-bomb", "An array that declares 2^32 - 1 items", become(b"\x81\xa1x\xdd\xff\xff\xff\xff"), ["MSG-03", "MSG-04"]),
        ("array-beyond-bytes", "An array that declares more items than bytes follow",
         become(b"\x81\xa1x\xdc\x00\x20" + bytes(16)), ["MSG-03", "MSG-04"]),
        ("map-bomb", "A map that declares 2^32 - 1 entries", become(b"\xdf\xff\xff\xff\xff"), ["MSG-03", "MSG-04"]),
        ("string-bomb", "A string that declares 4 GiB", become(b"\x81\xdb\xff\xff\xff\xff"), ["MSG-03", "MSG-04"]),
        ("binary-bomb", "A binary that declares 4 GiB", become(b"\x81\xa1x\xc6\xff\xff\xff\xff"), ["MSG-03", "MSG-04"]),
        ("truncated", "The last byte is missing", lambda data: data[:-1], ["MSG-04", "MSG-03"]),
        ("empty", "No bytes", become(b""), ["MSG-04"]),
        ("reserved-byte", "The byte c1, which MessagePack never uses", substitute(count, b"\xa5count\xc1"), ["MSG-04"]),
        ("not-utf-8", "A string that is no UTF-8", substitute(b"\xa4bias", b"\xa4b\xffas"), ["MSG-04"]),
        ("not-utf-8-key", "A key that is no UTF-8", substitute(b"\xa5count", b"\xa5c\xffunt"), ["MSG-04"]),
        ("surrogate", "A surrogate in a string", substitute(b"\xa4bias", b"\xa4\xed\xa0\x80s"), ["MSG-04"]),
    ]  # fmt: skip
    for id, title, change, rules in table:
        suite.invalid(
            f"msgpack/{id}",
            title,
            twin="archive/plain",
            stage="index_bytes",
            change=change,
            rules=rules[:1],
            also=rules[1:],
            place="tensors.msgpack",
            phase="index",
            why=why,
            about=["RDR-04"] if id.endswith("-bomb") else (),
        )
    for id, title, change, rule in (
        ("trailing-bytes", "A byte after the compositions", append(b"\xc0"), "MSG-01"),
        ("nil", "Compositions with nil", become(b"\x81\xa5files\xc0"), "MSG-02"),
        ("map-bomb", "Compositions of 2^32 - 1 entries", become(b"\xdf\xff\xff\xff\xff"), "MSG-03"),
        ("truncated", "Compositions without their last byte", lambda data: data[:-1], "MSG-04"),
    ):
        suite.invalid(
            f"msgpack/compositions-{id}",
            title,
            twin="archive/composed",
            stage="compositions_bytes",
            change=change,
            rules=[rule],
            also=["MSG-03", "MSG-04"] if rule in ("MSG-03", "MSG-04") else [],
            place="compositions.msgpack",
            phase="compositions",
            why=why,
        )


def _swapped_keys(data: bytes) -> bytes:
    """The index with its first two keys, `attributes` and `count`, exchanged."""
    start, end = data.index(b"\xaaattributes"), data.index(b"\xa5count")
    return data[:start] + data[end : end + 7] + data[start:end] + data[end + 7 :]
