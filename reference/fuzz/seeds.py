"""What fuzzing starts from: conformance cases and small artifacts of the real libraries.

The artifacts are written once, by a process that may import frameworks, and kept in the cache.

    seeds = Seeds(cache)
    seeds.artifact("net.h5"), seeds.cases("manifest.json")
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

CASES = Path(__file__).resolve().parents[2] / "conformance" / "cases"
_MAX_BYTES = 1 << 17
_DONE = "complete"

_WRITE = """
import sys
from pathlib import Path
import h5py, keras, numpy as np, onnx, tensorflow as tf, tf_keras
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
folder = Path(sys.argv[1])

def model(library):
    inputs = library.Input((2,), name="x")
    shared = library.layers.Dense(2, name="twice")
    outputs = library.layers.Add(name="sum")([shared(shared(inputs)), inputs])
    made = library.Model(inputs, outputs, name="net")
    made.compile("adam", "mse")
    made.fit(np.ones((4, 2)), np.ones((4, 2)), verbose=0)
    return made

three, two = model(keras), model(tf_keras)
for name in ("net.keras", "net.h5"):
    three.save(folder / name)
    two.save(folder / f"2-{name}")
three.save_weights(folder / "net.weights.h5")
two.save_weights(folder / "2-weights.h5")
three.save_weights(folder / "net.weights.json", max_shard_size=1)
two.save(folder / "2-saved_model")
three.export(folder / "export", verbose=False)
(folder / "net.json").write_text(three.to_json())
(folder / "2-net.json").write_text(two.to_json())
tf.train.Checkpoint(model=three, optimizer=three.optimizer).write(str(folder / "ckpt"))
save_file({"a": np.ones((2, 3), "float32"), "b": np.array(1)}, folder / "net.safetensors")
weights = numpy_helper.from_array(np.ones((2, 2), "float32"), "w")
node = helper.make_node("MatMul", ["x", "w"], ["y"])
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy"]
graph = helper.make_graph([node], "net", ports[:1], ports[1:], [weights])
onnx.save(helper.make_model(graph), folder / "net.onnx")
(folder / "net.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(
    str(folder / "export")).convert())
for name, version in (("oldest.h5", "earliest"), ("latest.h5", "latest")):
    with h5py.File(folder / name, "w", libver=version) as file:
        layers = [f"layer_{number}" for number in range(9)]
        file.attrs["layer_names"] = np.array(layers, "S")
        file.attrs["keras_version"] = "2.3.1"
        for layer in layers:
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{layer}/kernel:0"], "S")
            group[f"{layer}/kernel:0"] = np.arange(3, dtype=">f4")
        packed = dict(compression="gzip", shuffle=True, fletcher32=True)
        file["layer_8"].create_dataset("more", data=np.arange(64), chunks=(8,), **packed)
        file["layer_8"].create_dataset("grows", data=np.arange(9), maxshape=(None,), chunks=(2,))
"""


@dataclass(frozen=True)
class Seeds:
    """Seeds, written below `cache` when first asked for."""

    cache: Path

    def artifact(self, name: str) -> bytes:
        """The artifact file of this name."""
        return (self.folder() / name).read_bytes()

    def artifacts(self, *names: str) -> list[bytes]:
        """Several of them."""
        return [self.artifact(name) for name in names]

    def cases(self, name: str) -> list[bytes]:
        """Small files of this name in the conformance cases and their archives, each once."""
        contents = [path.read_bytes() for path in sorted(CASES.rglob(name))]
        for archive in sorted(CASES.rglob("*.modelbundle")):
            contents += _members(archive, name)
        return list(dict.fromkeys(data for data in contents if len(data) <= _MAX_BYTES))

    def folder(self) -> Path:
        """Where the artifacts are, once they are written."""
        if not (self.cache / _DONE).exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
            command = [sys.executable, "-c", _WRITE, str(self.cache)]
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr.decode(errors="replace"))
            (self.cache / _DONE).touch()
        return self.cache


def _members(archive: Path, name: str) -> list[bytes]:
    """Members of this name; none of an archive that no zip library takes."""
    try:
        with zipfile.ZipFile(archive) as file:
            return [file.read(member) for member in file.namelist() if fnmatch(member, name)]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, EOFError):
        return []
