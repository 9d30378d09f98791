"""An open bundle: manifest, tensors and files, read lazily from wherever it is.

    with open("net.modelbundle") as bundle:
        kernel = bundle.tensors["dense/kernel"].numpy()

Opening reads the manifest; the index is read, checked against its digest and decoded when it is
first needed, a tensor's bytes when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from modelbundle.core import compositions, digests, dtypes, paths, tensor_index
from modelbundle.core import manifest as manifests
from modelbundle.core.blobs import Blob, ComposedBlob, SliceBlob, view
from modelbundle.core.compositions import Compositions
from modelbundle.core.findings import Finding, UnsupportedError, checks, clip, refuse, settle
from modelbundle.core.limits import LIMITS
from modelbundle.core.manifest import FileEntry, Manifest
from modelbundle.core.tensor_index import Row, TensorIndex
from modelbundle.storage.layouts import Storage, open_storage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelbundle.keras.binding_report import BindingReport
    from modelbundle.keras.export_report import ExportReport

_INDEX_LIMITS = {
    paths.TENSORS: ("TEN-17", LIMITS.index_bytes),
    paths.COMPOSITIONS: ("CMP-07", LIMITS.compositions_bytes),
}


def open_bundle(location: str | Path, *, verify: bool = True, digest: str | None = None) -> Bundle:
    """Open the bundle at a path or an http(s) or other fsspec URL.

    With `verify`, a tensor's bytes are held against its digest each time they are read. `digest`
    is the bundle digest that the caller expects. Raises `BundleError` where a rule is broken and
    `OSError` where the file cannot be read.
    """
    storage = open_storage(location)
    try:
        bundle = Bundle(storage, verify=verify, digest=digest)
        bundle.location = location
        return bundle
    except BaseException:
        storage.close()
        raise


class Bundle:
    """A bundle that is open for reading; also a context manager.

    `location` is the path or URL that it was opened by.
    """

    location: str | Path = ""

    def __init__(self, storage: Storage, *, verify: bool = True, digest: str | None = None) -> None:
        data = storage.read_manifest()
        self.digest = digests.of_bytes(data)
        if digest is not None:
            settle(_check_identity(self.digest, digest))
        self.manifest: Manifest = manifests.decode(data)
        self.manifest_bytes = data
        self.storage = storage
        self.verify = verify
        storage.place(len(data), self.manifest.stored)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is held open; arrays that were read stay valid."""
        self.storage.close()

    @cached_property
    def index(self) -> TensorIndex:
        """The tensor index, checked against manifest and digest."""
        index = tensor_index.decode(self._read_checked(paths.TENSORS), newer=self.manifest.newer)
        stored = {entry.path: entry.size for entry in self.manifest.stored}
        components = frozenset(component.id for component in self.manifest.components)
        settle(tensor_index.check_against(index, stored, components))
        settle(_check_summary(self.manifest, index))
        return index

    @cached_property
    def compositions(self) -> Compositions:
        """How composed files are made, checked against manifest and digest."""
        if not self.manifest.composed:
            return compositions.from_segments({})
        data = self._read_checked(paths.COMPOSITIONS)
        decoded = compositions.decode(data, newer=self.manifest.newer)
        stored = {entry.path: entry.size for entry in self.manifest.stored}
        composed = {entry.path: entry.size for entry in self.manifest.composed}
        settle(compositions.check_against(decoded, stored, composed))
        return decoded

    @cached_property
    def tensors(self) -> Tensors:
        """The tensors by name."""
        return Tensors(self)

    def file(self, path: str) -> Blob:
        """The bytes of any file of the bundle, stored or composed. Raises `KeyError`."""
        entry = self.manifest.by_path[path]
        if entry.storage == "stored":
            return self.storage.blob(path)
        segments = self.compositions.segments_of(path)
        blobs = {
            source: self.storage.blob(source) for source in {segment[0] for segment in segments}
        }
        return ComposedBlob([SliceBlob(blobs[s], offset, length) for s, offset, length in segments])

    def read(self, path: str) -> bytes:
        """A whole file, held against its digest. Raises `KeyError`, `BundleError` (IDN-02)."""
        blob = self.file(path)
        data = blob.read(0, blob.size)
        settle(check_digest(self.manifest.by_path[path], digests.of_bytes(data)))
        return data

    def run(
        self,
        inputs: Mapping[str, Any],
        signature: str | None = None,
        engine: str | None = None,
        device: str = "cpu",
    ) -> dict[str, NDArray[Any]]:
        """The outputs of a signature, by name, for arrays `inputs`; see `modelbundle.engines`.

        Raises `BundleError` (RUN) where inputs do not fit, or no engine can run it here.
        """
        engines = import_module("modelbundle.engines")
        setup = engines.Setup(device)
        return dict(engines.run(self, inputs, signature, engine, setup=setup).outputs)

    def to_keras(
        self,
        component: str | None = None,
        *,
        custom_objects: Mapping[str, Any] | None = None,
        allow_unsafe: bool = False,
        compile: bool = True,
        dtype_policy: Any = None,
    ) -> Any:
        """The Keras model or layer of the bundle, exact and ready to go on training.

        `modelbundle.keras.restore.to_keras` says what the options mean and what is raised.
        """
        restore = import_module("modelbundle.keras.restore")
        return restore.to_keras(
            self,
            component,
            custom_objects=custom_objects,
            allow_unsafe=allow_unsafe,
            compile=compile,
            dtype_policy=dtype_policy,
        )

    def clone(
        self,
        component: str | None = None,
        *,
        custom_objects: Mapping[str, Any] | None = None,
        allow_unsafe: bool = False,
        dtype_policy: Any = None,
    ) -> Any:
        """The architecture with fresh weights, not compiled; see `modelbundle.keras.restore`."""
        restore = import_module("modelbundle.keras.restore")
        return restore.clone(
            self,
            component,
            custom_objects=custom_objects,
            allow_unsafe=allow_unsafe,
            dtype_policy=dtype_policy,
        )

    def load_into(
        self,
        target: Any,
        *,
        match: str | Callable[[str], str | None] | Mapping[str, str] = "auto",
        partial: bool = False,
        cast: bool = False,
        roles: Collection[str] = ("trainable", "non-trainable"),
        component: str | None = None,
    ) -> BindingReport:
        """Weights into a model, a layer or a mapping from names to variables, by name.

        `modelbundle.keras.binding.load_into` says what the options mean. Raises `BindingError`
        where the match is not full and not `partial`, or nothing binds.
        """
        binding = import_module("modelbundle.keras.binding")
        report: BindingReport = binding.load_into(
            self, target, match=match, partial=partial, cast=cast, roles=roles, component=component
        )
        return report

    def export(
        self,
        path: str | Path,
        format: str | None = None,  # what people call it
        *,
        component: str | None = None,
        custom_objects: Mapping[str, Any] | None = None,
        allow_unsafe: bool = False,
    ) -> ExportReport:
        """Write one model to `path` in a native format; see `modelbundle.keras.export.export`."""
        report: ExportReport = import_module("modelbundle.keras.export").export(
            self,
            path,
            format,
            component=component,
            custom_objects=custom_objects,
            allow_unsafe=allow_unsafe,
        )
        return report

    @checks("RDR-02", "TEN-17", "CMP-07")
    def _read_checked(self, path: str) -> bytes:
        """An index file: its size held against the limit, then its bytes against the digest."""
        rule, limit = _INDEX_LIMITS[path]
        size = self.manifest.by_path[path].size
        if size > limit:
            raise refuse(rule, path, f"at most {limit} bytes", str(size))
        return self.read(path)


@checks("RDR-06")
def _check_identity(found: str, expected: str) -> Iterator[Finding]:
    if found != expected:
        hint = "this is another bundle than the one that was asked for"
        yield Finding("RDR-06", paths.MANIFEST, expected, found, hint)


@checks("MAN-09", "REQ-02")
def _check_summary(manifest: Manifest, index: TensorIndex) -> Iterator[Finding]:
    place = f"{paths.MANIFEST}#/tensors"
    if manifest.tensor_count != len(index):
        yield Finding("MAN-09", f"{place}/count", str(len(index)), str(manifest.tensor_count))
    if manifest.tensor_bytes != index.distinct_bytes():
        yield Finding(
            "MAN-09", f"{place}/bytes", str(index.distinct_bytes()), str(manifest.tensor_bytes)
        )
    if manifest.requirements.dtypes != set(index.dtypes):
        place = f"{paths.MANIFEST}#/requirements/dtypes"
        found = ", ".join(sorted(manifest.requirements.dtypes))
        yield Finding("REQ-02", place, ", ".join(index.dtypes) or "none", found or "none")
    ids = {component.id for component in manifest.components}
    for custom in sorted(manifest.requirements.custom_objects, key=lambda c: c.registered_name):
        if custom.component not in ids:
            place = f"{paths.MANIFEST}#/requirements/customObjects"
            yield Finding("REQ-02", place, "the id of a component", clip(custom.component))


@checks("IDN-02", "IDN-03", "CMP-06")
def check_digest(entry: FileEntry, digest: str) -> Iterator[Finding]:
    """A finding where a file's bytes do not have the digest that the manifest gives."""
    if digest != entry.digest:
        rule = "IDN-02" if entry.storage == "stored" else "CMP-06"
        hint = "the file was altered or damaged: get the bundle again from where it came"
        yield Finding(rule, entry.path, entry.digest, digest, hint)


class Tensors(Mapping[str, "Tensor"]):
    """The tensors of a bundle by name, ascending."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def __getitem__(self, name: str) -> Tensor:
        index = self._bundle.index
        return Tensor(self._bundle, index.find(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._bundle.index.names)

    def __len__(self) -> int:
        return self._bundle.manifest.tensor_count

    def find(self, name: str, *, system: str | None = None, component: str | None = None) -> Tensor:
        """The tensor with this name, or that a naming system or component calls so.

        Raises `KeyError` where none or more than one tensor has the name.
        """
        if system is None and component is None and name in self._bundle.index.position:
            return self[name]
        rows = {
            row
            for space, names in self._names.items()
            if system in (None, space[1]) and component in (None, space[0])
            for row in (names.get(name),)
            if row is not None
        }
        if len(rows) != 1:
            raise KeyError(f"{len(rows) or 'no'} tensors are called {name!r}")
        return Tensor(self._bundle, rows.pop())

    def named(self, component: str, system: str) -> dict[str, Tensor]:
        """The tensors that a component names in a naming system, by these names."""
        rows = self._names.get((component, system), {})
        return {name: Tensor(self._bundle, row) for name, row in rows.items()}

    @cached_property
    def _names(self) -> dict[tuple[str, str], dict[str, int]]:
        return {
            (space.component, space.system): dict(
                zip(space.names, space.tensors.tolist(), strict=True)
            )
            for space in self._bundle.index.namespaces
        }


class Tensor:
    """A tensor of a bundle: what the index says, and its bytes on request."""

    def __init__(self, bundle: Bundle, number: int) -> None:
        self._bundle = bundle
        self._number = number
        self.row: Row = bundle.index.row(number)

    name = property(lambda self: self.row.name, doc="Its name in the bundle.")
    dtype = property(lambda self: self.row.dtype, doc="Its dtype, as the standard names it.")
    shape = property(lambda self: self.row.shape, doc="Its shape.")
    role = property(
        lambda self: self.row.role, doc="trainable, non-trainable, optimizer, metric, rng or other."
    )

    def __repr__(self) -> str:
        return f"<Tensor {self.row.name} {self.row.dtype}{list(self.row.shape)}>"

    @property
    def names(self) -> Mapping[str, str]:
        """Its name by naming system; `SYSTEM@COMPONENT` where components differ in one system."""
        found: dict[str, dict[str, str]] = {}
        for space in self._bundle.index.namespaces:
            at = int(space.tensors.searchsorted(space.tensors.dtype.type(self._number)))
            if at < len(space.names) and space.tensors[at] == self._number:
                found.setdefault(space.system, {})[space.component] = space.names[at]
        return {
            system if alike else f"{system}@{component}": name
            for system, names in found.items()
            for alike in [len(set(names.values())) == 1]
            for component, name in names.items()
        }

    @property
    def attributes(self) -> Mapping[str, str]:
        """What bytes, dtype and shape do not tell."""
        return self._bundle.index.attributes.get(self._number, {})

    def data(self) -> memoryview:
        """Its bytes, without copying them where they lie in a local file.

        Raises `BundleError` (TEN-10) where they do not have the digest of the index, unless the
        bundle was opened with `verify=False`.
        """
        data = view(self._bundle.storage.blob(self.row.file), self.row.offset, self.row.length)
        if self._bundle.verify:
            settle(check_tensor(self.row, digests.of_bytes(data)))
        return data

    def numpy(self) -> NDArray[np.generic]:
        """A read-only array over its bytes; strings come as an array of `bytes` objects.

        A packed dtype gives its bytes as uint8, flat. Raises as `data` does.
        """
        import numpy as np

        if self.row.dtype == dtypes.STRING:
            from modelbundle.core.strings import decode

            return decode(bytes(self.data()), self.row.shape, f"{self.row.file}@{self.row.offset}")
        array = np.frombuffer(self.data(), dtypes.to_numpy(self.row.dtype))
        if self._bundle.verify and self.row.dtype == "bool":
            settle(check_bool(self.row, int(array.view(np.uint8).max(initial=0))))
        return array if self.row.dtype.endswith("_packed") else _shaped(array, self.row)


def _shaped(array: NDArray[np.generic], row: Row) -> NDArray[np.generic]:
    try:
        return array.reshape(row.shape)
    except (ValueError, OverflowError) as error:  # no elements, and dimensions beyond numpy's
        raise UnsupportedError(
            [Finding("TEN-08", row.name, "a shape that numpy can hold", f"{row.shape}: {error}")]
        ) from None


@checks("TEN-10")
def check_tensor(row: Row, digest: str) -> Iterator[Finding]:
    """A finding where a tensor's bytes do not have the digest that the index gives."""
    if digest != row.digest:
        hint = "the tensor was altered or damaged: get the bundle again from where it came"
        yield Finding(
            "TEN-10", f"{row.file}@{row.offset}", f"{row.digest} ({row.name})", digest, hint
        )


@checks("TEN-14")
def check_bool(row: Row, largest: int) -> Iterator[Finding]:
    """A finding where the largest byte of a bool tensor is neither 0 nor 1."""
    if largest > 1:
        found = f"{largest} in {clip(row.name)}"
        yield Finding("TEN-14", f"{row.file}@{row.offset}", "elements 0 and 1", found)
