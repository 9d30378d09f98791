"""The rooms of the house: who may import whom, and what `import modelbundle` loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelbundle

PACKAGE = Path(modelbundle.__file__).parent
FLOORS = {
    "core": 0,
    "sources": 1,
    "storage": 1,
    "bundle": 2,
    "compose": 2,
    "merge": 3,
    "packing": 4,
    "rules": 4,
    "unpacking": 4,
    "keras": 4,
}
"""Modules and packages, each with its floor; what is not named here stands above them all."""

LIVE = {"keras", "engines", "golden"}
"""Rooms that run frameworks, which they import within functions."""

FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "jax", "jaxlib", "torch", "onnx", "safetensors"}


ROOMS = ("engines.", "golden.", "keras.")
"""Rooms that import frameworks, where a function needs one and never with the module."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path, *, functions: bool = True) -> Iterator[str]:
    """Modules that the file imports, those for the type checker alone left out, and those that
    `functions` import where they are not asked for."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (isinstance(node, ast.FunctionDef) and not functions)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_at_top(path: Path) -> Iterator[str]:
    """Modules that the file imports when it is imported itself, frameworks among them."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def floor_of(module: str) -> int:
    return FLOORS.get(module.partition(".")[0], 5)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_rooms_import_only_what_is_below(path: Path) -> None:
    here = floor_of(name_of(path))
    for imported in imports_of(path):
        package, _, module = imported.partition(".")
        if package == "modelbundle" and module:
            known = PACKAGE.joinpath(*module.split("."))
            exists = known.with_suffix(".py").is_file() or known.is_dir()
            target = module if exists else module.rpartition(".")[0]
            assert floor_of(target) <= here, f"{name_of(path)} imports {target}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_framework_is_imported(path: Path) -> None:
    room = name_of(path).partition(".")[0]
    found = imports_at_top(path) if room in LIVE else imports_of(path)
    assert not FRAMEWORKS & {imported.partition(".")[0] for imported in found}


def run(code: str) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_next_to_nothing() -> None:
    loaded = run("import modelbundle")
    assert not loaded & {"numpy", "h5py", "fsspec", "jsonschema", "msgpack", *FRAMEWORKS}
    assert {name for name in loaded if name.startswith("modelbundle")} == {"modelbundle"}


def test_every_public_name_is_there_and_loads_no_framework() -> None:
    loaded = run("import modelbundle\nfor name in modelbundle.__all__: getattr(modelbundle, name)")
    assert not loaded & FRAMEWORKS
    with pytest.raises(AttributeError):
        _ = modelbundle.nothing
