"""Configs as Keras 3 and tf_keras really write them: models and layers of every form.

`models(library)` builds the models by name; `written(library)` gives what is written of them and of
every built-in layer as text, by label.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_zoo


def shared_and_nested(library: Any) -> Any:
    """Shared layers, nested models called several times, several outputs of inner calls."""
    layers = library.layers
    inputs = library.Input((4,), name="x")
    shared = layers.Dense(4, name="shared")
    inner_input = library.Input((4,), name="inner_x")
    inner = library.Model(inner_input, layers.Dense(4, name="d")(inner_input), name="inner")
    start = library.Input((4,), name="chain_x")
    chain = library.Sequential([start, layers.Dense(4, name="c")], name="chain")
    first = shared(inputs)
    second = shared(first)
    third = chain(chain(second))
    fourth = inner(inner(third))
    return library.Model(inputs, [inner(fourth), fourth, first, chain(third)], name="outer")


def several_inputs(library: Any) -> Any:
    """Inputs and outputs in dictionaries, one tensor used twice."""
    layers = library.layers
    left, right = library.Input((4,), name="left"), library.Input((4,), name="right")
    both = layers.Concatenate(name="both")([left, right])
    product = layers.Multiply(name="square")([left, left])
    return library.Model(
        {"left": left, "right": right},
        {"both": layers.Dense(2, name="head")(both), "square": product},
        name="several",
    )


def attention(library: Any) -> Any:
    """Tensors among the keyword arguments, and a mask."""
    layers = library.layers
    query, memory = library.Input((3, 4), name="query"), library.Input((5, 4), name="memory")
    attended = layers.MultiHeadAttention(2, 3, name="attend")(query, memory, key=memory)
    mixed = layers.Add(name="add")([query, attended])
    recurrent, state = layers.GRU(3, return_state=True, name="encode")(memory)
    decoded = layers.GRU(3, name="decode")(mixed, initial_state=state)
    return library.Model([query, memory], [decoded, recurrent], name="attention")


def plain_functions(library: Any) -> Any:
    """Functions of TensorFlow or of keras.ops called as layers, with constants and slices."""
    inputs = library.Input((6,), name="x")
    hidden = library.layers.Dense(6, name="d")(inputs)
    if library.__name__ == "keras":
        joined = library.ops.concatenate([inputs, hidden], axis=-1)
        part = joined[..., :4]
    else:
        import tensorflow as tf

        joined = tf.concat([inputs, hidden], -1)
        part = joined[:, :4]
    return library.Model(inputs, 2.0 * joined[:, 1:5] + part - hidden[:, :4])


def wrapped(library: Any) -> Any:
    """Wrappers, stacked cells and a model inside a wrapper."""
    layers = library.layers
    step = library.Sequential(
        [library.Input((4,), name="part"), layers.Dense(2, name="s")], name="step"
    )
    cells = layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)])
    return library.Sequential(
        [
            library.Input((5, 4), name="x"),
            layers.TimeDistributed(step, name="each"),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both"),
            layers.RNN(cells, name="stack"),
        ],
        name="wrapped",
    )


def compiled(library: Any) -> Any:
    """A compiled model with losses and metrics of several forms."""
    model = several_inputs(library)
    model.compile(
        library.optimizers.Adam(library.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
        loss={"both": "mse", "square": library.losses.Huber()},
        metrics={"both": ["mae", library.metrics.RootMeanSquaredError()]},
    )
    return model


def subclassed(library: Any) -> Any:
    """A subclassed model with a config of its own."""

    class TwoTower(library.Model):  # type: ignore[misc, name-defined]
        def __init__(self, units: int = 3, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.units = units
            self.tower = library.layers.Dense(units)

        def call(self, inputs: Any) -> Any:
            return self.tower(inputs)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    model = TwoTower(name="towers")
    model(library.Input((4,)))
    return model


def custom(library: Any) -> Any:
    """A registered layer, an unregistered one and a custom activation."""

    @library.utils.register_keras_serializable(package="zoo", name=f"Scale_{library.__name__}")
    class Scale(library.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, factor: float = float("inf"), **arguments: Any) -> None:
            super().__init__(**arguments)
            self.factor = factor

        def call(self, inputs: Any) -> Any:
            return inputs

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    class Shift(library.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs

    @library.utils.register_keras_serializable(package="zoo", name=f"wave_{library.__name__}")
    def wave(inputs: Any) -> Any:
        return inputs

    layers = [Scale(name="scale"), Shift(name="shift"), library.layers.Dense(2, activation=wave)]
    return library.Sequential([library.Input((4,)), *layers], name="custom")


def mixed_precision(library: Any) -> Any:
    """A layer with a dtype policy of its own."""
    return library.Sequential(
        [library.Input((4,)), library.layers.Dense(2, dtype="mixed_bfloat16")], name="mixed"
    )


def unbuilt(library: Any) -> Any:
    """A Sequential that was never told its input."""
    return library.Sequential([library.layers.Dense(2, name="one")], name="unbuilt")


def application(library: Any) -> Any:
    """A small model of keras.applications."""
    image = library.Input((32, 32, 3), name="image")
    return library.applications.MobileNet(weights=None, input_tensor=image, alpha=0.25)


BUILDERS = (
    shared_and_nested,
    several_inputs,
    attention,
    plain_functions,
    wrapped,
    compiled,
    subclassed,
    custom,
    mixed_precision,
    unbuilt,
    application,
)


@cache
def models(library: Any) -> dict[str, Any]:
    """The models by the names of their builders."""
    library.backend.clear_session()  # Keras numbers names over the whole process
    return {builder.__name__: builder(library) for builder in BUILDERS}


@cache
def written(library: Any) -> dict[str, str]:
    """Label to what the library writes: models whole and bare, layers serialised and bare."""
    found = {}
    for name, model in models(library).items():
        found[f"{name}/json"] = model.to_json()
        if name != "subclassed":  # whose bare config is whatever its author returns
            found[f"{name}/config"] = json.dumps(model.get_config())
        if library.__name__ == "tf_keras":
            found[f"{name}/keras"] = json.dumps(_serialise(library, model))
    for label in keras_zoo.names(library):
        layer = keras_zoo.build(library, label)
        found[f"{label}/layer"] = json.dumps(_serialise(library, layer))
        found[f"{label}/bare"] = json.dumps(library.layers.serialize(layer)["config"])
    return found


def _serialise(library: Any, item: Any) -> Any:
    return library.saving.serialize_keras_object(item)
