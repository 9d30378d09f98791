"""The whole tour: a model in every native format, one bundle, and every byte back.

python reference/examples/demo.py
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

BUNDLE = "net.modelbundle"


def main() -> None:
    """Run all steps in a folder that goes away at the end."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="modelbundle-demo-") as temporary:
        folder = Path(temporary)
        model, sources = _save(folder)
        before = _digests(folder)
        _pack(folder, sources)
        _say("What is in it? No framework is needed to tell.")
        _modelbundle(folder, "inspect", BUNDLE)
        _say("Is every byte as it was?")
        _modelbundle(folder, "validate", BUNDLE)
        _unpack(folder, before)
        _compare_tensor(folder, model)
        _diff(folder, model)
        _damage(folder)
    print(f"\nDone in {time.perf_counter() - start:.0f} s.")


def _save(folder: Path) -> tuple[Any, list[Path]]:
    _say("Train a small model and save it in every format that Keras and TensorFlow write.")
    with _hushed():
        import saving

        model = saving.train()
        sources = saving.save_everywhere(model, folder)
    for source in sources:
        print(f"  {source.name:<18} {_size(_files_of(source)):>9,} bytes")
    print(f"  {'all':<18} {_size(_files(folder)):>9,} bytes")
    return model, sources


def _pack(folder: Path, sources: list[Path]) -> None:
    _say("Pack them all into one bundle. What they share is stored once.")
    given = _size(_files(folder))
    _modelbundle(folder, "pack", *[source.name for source in sources], "-o", BUNDLE)
    size = (folder / BUNDLE).stat().st_size
    print(f"  {given:,} bytes of files, {size:,} bytes of bundle: {size / given:.0%}")


def _unpack(folder: Path, before: dict[str, str]) -> None:
    _say("Take everything out again.")
    _modelbundle(folder, "unpack", BUNDLE, "unpacked", show=False)
    after = _digests(folder / "unpacked")
    for path, digest in before.items():
        print(f"  {'same' if after.get(path) == digest else 'DIFFERENT'}  {digest[:12]}  {path}")
    if after != before:
        sys.exit("what came out is not what went in")
    print(f"  All {len(before)} files came back byte for byte.")


def _compare_tensor(folder: Path, model: Any) -> None:
    _say("One tensor, under any name that one of the formats has for it.")
    _modelbundle(folder, "tensor", BUNDLE, "hidden/kernel")
    import modelbundle as mb

    kernel = model.get_layer("hidden").kernel.numpy()
    with mb.open(folder / BUNDLE) as bundle:
        same = bundle.tensors.find("hidden/kernel").numpy().tobytes() == kernel.tobytes()
    print(f"  Bit for bit what the live model holds: {same}")
    if not same:
        sys.exit("the tensor is not the model's")


def _diff(folder: Path, model: Any) -> None:
    _say("Train one epoch more. What changed?")
    import saving  # it is there already

    for name in ("before", "after"):
        (folder / name).mkdir()
        with _hushed():
            model.save(folder / name / "net.keras")
        _modelbundle(folder, "pack", f"{name}/net.keras", "-o", f"{name}.modelbundle", show=False)
        saving.continue_training(model, epochs=1)
    _modelbundle(folder, "diff", "before.modelbundle", "after.modelbundle", status=1)


def _damage(folder: Path) -> None:
    _say("Flip one bit in the middle of the bundle.")
    data = bytearray((folder / BUNDLE).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "damaged.modelbundle").write_bytes(data)
    _modelbundle(folder, "validate", "damaged.modelbundle", status=1)
    _modelbundle(folder, "unpack", "damaged.modelbundle", "never", status=1)
    print(f"  Anything written? {'yes' if (folder / 'never').exists() else 'Nothing.'}")


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what libraries write to standard error; show it where they fail."""
    sys.stderr.flush()
    usual = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(usual, kept.read())
            raise
        finally:
            os.dup2(usual, 2)
            os.close(usual)


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


def _modelbundle(folder: Path, *arguments: str, status: int = 0, show: bool = True) -> None:
    """Run the command line and show what it says; its exit status has to be `status`."""
    print(f"  $ modelbundle {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-c", "from modelbundle.cli import main; main()", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if show:
        print("".join(f"    {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
    if done.returncode != status:
        sys.exit(f"exit status {done.returncode} instead of {status}\n{done.stdout}")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _files_of(source: Path) -> list[Path]:
    """The files of a source: of a checkpoint prefix, its index and shards."""
    if source.is_dir():
        return _files(source)
    return [source] if source.exists() else sorted(source.parent.glob(f"{source.name}.*"))


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _files(folder)
    }


if __name__ == "__main__":
    main()
