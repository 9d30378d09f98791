"""The models that are measured: real Keras artifacts of 512 MiB, written by a process of its own.

The layers are sixteen kernels of 4 MiB and seven of 64 MiB, so that one tensor to read is 4 MiB.

    models = write(folder)
    models.h5, models.export
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import python

_BIG = """
import sys
from pathlib import Path
import numpy as np, keras, tensorflow as tf
folder = Path(sys.argv[1])
keras.utils.set_random_seed(1)
inputs = keras.Input((1024,))
x = inputs
for _ in range(16):
    x = keras.layers.Dense(1024, use_bias=False)(x)
x = keras.layers.UpSampling1D(4)(keras.layers.Reshape((1024, 1))(x))
x = keras.layers.Reshape((4096,))(x)
for _ in range(7):
    x = keras.layers.Dense(4096, use_bias=False)(x)
model = keras.Model(inputs, x)
model.save(folder / "net.keras")
model.save(folder / "net.h5")
model.export(folder / "export", verbose=False)

class Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 1024), tf.float32)])
    def __call__(self, x):
        return x @ self.kernels[0]

module = Module()
module.kernels = [tf.Variable(w) for w in model.get_weights()]
tf.saved_model.save(module, str(folder / "saved_model"))
"""

_TRAINED = """
import sys
from pathlib import Path
import numpy as np, keras, tensorflow as tf
folder = Path(sys.argv[1])
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((1024,)), *[keras.layers.Dense(1024) for _ in range(10)]])
model.compile("adam", "mse")
x = np.random.rand(32, 1024).astype("float32")
model.fit(x, x, batch_size=16, verbose=0)
model.save(folder / "net.keras")
model.save(folder / "net.h5")
model.export(folder / "export", verbose=False)
tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(folder / "ckpt"))
tf.saved_model.save(model, str(folder / "net_savedmodel"))
distinct = {v.path: v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables)}
print(sum(map(len, set(distinct.values()))))
print(sum(map(len, {v.numpy().tobytes() for v in model.variables})))
"""


@dataclass(frozen=True)
class Big:
    """One model of 512 MiB in four formats; the export holds each weight twice."""

    keras: Path
    h5: Path
    saved_model: Path
    export: Path

    def each(self) -> tuple[Path, ...]:
        """The four, in the order in which they are measured."""
        return self.keras, self.h5, self.saved_model, self.export


@dataclass(frozen=True)
class Trained:
    """A trained model in every format; bytes of its distinct tensors, and of the weights alone."""

    folder: Path
    distinct_bytes: int
    weight_bytes: int


def write_big(folder: Path) -> Big:
    """Write the model of 512 MiB below `folder`."""
    folder.mkdir()
    python(_BIG, folder)
    return Big(folder / "net.keras", folder / "net.h5", folder / "saved_model", folder / "export")


def write_trained(folder: Path) -> Trained:
    """Write a trained model of 42 MB of weights and 84 MB of optimizer state below `folder`."""
    folder.mkdir()
    distinct, weights = python(_TRAINED, folder).output.split()[-2:]
    return Trained(folder, int(distinct), int(weights))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a directory."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
