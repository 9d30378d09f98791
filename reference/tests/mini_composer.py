"""The choice of stored and composed files (section 12.2) from the text of the standard alone.

All in memory and as plain as the text: `compose(files, ranges, parts)` gives the stored files and,
for each composed file, its segments.
"""

from hashlib import sha256
from itertools import accumulate

Range = tuple[int, int]
Segment = tuple[str, int, int]


def content(data: bytes) -> tuple[int, bytes]:
    return len(data), sha256(data).digest()


def weight(data: bytes, ranges: list[Range]) -> int:
    """The sum of the lengths of the distinct contents; of short tensors, of the distinct ranges."""
    distinct = {}
    for at, length in ranges:
        key = (at, length) if length < 256 else content(data[at : at + length])
        distinct[key] = length
    return sum(distinct.values())


def joined(segments: list[Segment]) -> list[Segment]:
    out: list[Segment] = []
    for source, offset, length in segments:
        if out and out[-1][0] == source and out[-1][1] + out[-1][2] == offset:
            out[-1] = (source, out[-1][1], out[-1][2] + length)
        elif length:
            out.append((source, offset, length))
    return out


def splits(segments: list[Segment], ranges: list[Range]) -> bool:
    """Whether a tensor would lie in two segments."""
    borders = list(accumulate(length for _, _, length in segments))
    return any(at < border < at + length for at, length in ranges for border in borders)


def compose(
    files: dict[str, bytes], ranges: dict[str, list[Range]], parts: dict[str, list[tuple[int, str]]]
) -> tuple[dict[str, bytes], dict[str, list[Segment]]]:
    stored: dict[str, bytes] = {}
    composed: dict[str, list[Segment]] = {}
    placed: dict[tuple[int, bytes], tuple[str, int]] = {}
    taken: dict[tuple[int, bytes], str] = {}
    residue = bytearray()

    def append(data: bytes, fill: bool = False) -> Segment:
        if fill:
            residue.extend(bytes(-len(residue) % 64))
        residue.extend(data)
        return "residue.bin", len(residue) - len(data), len(data)

    def whole(path: str) -> list[Segment]:
        return composed[path] if path in composed else [(path, 0, len(files[path]))]

    def order(path: str) -> tuple[bool, int, int, bytes]:
        data = files[path]
        return path in parts, -weight(data, ranges.get(path, [])), len(data), path.encode()

    for path in sorted(files, key=order):
        data, at = files[path], 0
        shared = [span for span in sorted(ranges.get(path, [])) if span[1] >= 256]
        contents = [content(data[begin : begin + length]) for begin, length in shared]
        segments: list[Segment] = []
        if path in parts:
            for begin, part in sorted(parts[path]):
                segments += [append(data[at:begin]), *whole(part)]
                at = begin + len(files[part])
            composed[path] = [*segments, append(data[at:])]
        elif content(data) in taken and not splits(
            whole(taken[content(data)]), ranges.get(path, [])
        ):
            composed[path] = whole(taken[content(data)])
        elif len(set(contents)) < len(contents) or set(contents) & placed.keys():
            for (begin, length), key in zip(shared, contents, strict=True):
                segments.append(append(data[at:begin]))
                at = begin + length
                if key not in placed:
                    placed[key] = append(data[begin:at], fill=True)[:2]
                segments.append((*placed[key], length))
            composed[path] = [*segments, append(data[at:])]
        else:
            stored[path] = data
            placed.update(
                (key, (path, span[0])) for key, span in zip(contents, shared, strict=True)
            )
        if path not in parts and len(data) >= 256:
            taken.setdefault(content(data), path)
    return stored | ({"residue.bin": bytes(residue)} if residue else {}), {
        path: joined(segments) for path, segments in composed.items()
    }
