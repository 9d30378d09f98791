"""`inspect`: what it counts, in which order, and what it says is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import answer_bundles as made
import numpy as np
import pytest

import modelbundle as mb
from modelbundle.inspection import Inspection, inspect, tensor_rows
from modelbundle.inspection.layer_totals import LayerOrder, layer_of


def answer_for(tmp_path: Path, *sources: Path, **options: Any) -> Inspection:
    bundle = tmp_path / "inspected.modelbundle"
    mb.pack(sources, bundle, overwrite=True, **options)
    answer = inspect(bundle)
    made.check_answer("inspect", answer.to_json())
    return answer


def config_file(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(json.dumps(config))
    return path


def test_identity_and_sizes(tmp_path: Path) -> None:
    source = made.model_h5(tmp_path / "net.h5")
    answer = answer_for(tmp_path, source, name="A name", metadata={"by": {"who": "me"}})
    document = answer.to_json()
    assert answer.digest == mb.open(tmp_path / "inspected.modelbundle").digest
    assert (answer.title, answer.layout, document["version"]) == ("A name", "archive", "1.0-draft")
    assert document["metadata"] == {"by": {"who": "me"}}
    assert answer.sizes.sources == source.stat().st_size
    assert answer.sizes.composed == 0
    assert answer.sizes.stored > answer.sizes.sources


def test_directory_layout(tmp_path: Path) -> None:
    mb.pack(made.model_h5(tmp_path / "net.h5"), tmp_path / "folder", directory=True)
    answer = inspect(tmp_path / "folder")
    assert (answer.layout, answer.title) == ("directory", "net")


def test_layers_stand_in_the_order_of_the_graph(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, made.model_h5(tmp_path / "net.h5"))
    assert [(layer.name, layer.class_name) for layer in answer.layers] == [
        ("first", "Dense"),
        ("another", "Dense"),
    ]
    first = answer.layers[0]
    assert (first.tensors, first.parameters, first.bytes) == (2, 2 * 3 + 3, 36)
    assert first.dtypes == ("float32",)
    assert answer.parameters.count == 2 * 3 + 3 + 3 * 4 + 4


def test_layers_without_a_graph_stand_by_name(tmp_path: Path) -> None:
    arrays = {"b.1.w": np.ones(2, "f4"), "b.0.w": np.ones(3, "f2"), "b.0.v": np.ones(1, "i8"),
              "alone": np.ones((), "f4"), "x/y/w": np.ones((0, 5), "f4")}  # fmt: skip
    answer = inspect(made.pack_arrays(tmp_path / "b.modelbundle", arrays))
    layers = {layer.name: (layer.parameters, layer.bytes) for layer in answer.layers}
    assert layers == {"": (1, 4), "b.0": (4, 14), "b.1": (2, 8), "x/y": (0, 0)}
    assert list(layers) == sorted(layers)
    assert answer.layers[1].dtypes == ("float16", "int64")
    assert {total.name: (total.tensors, total.elements) for total in answer.dtypes} == {
        "float16": (1, 3), "float32": (3, 3), "int64": (1, 1)}  # fmt: skip


def test_shared_bytes_are_counted_once(tmp_path: Path) -> None:
    twice = np.arange(100, dtype="f4")
    arrays = {"a/w": twice, "b/w": twice, "c/w": np.ones(100, "f4")}
    answer = inspect(made.pack_arrays(tmp_path / "b.modelbundle", arrays))
    assert [layer.parameters for layer in answer.layers] == [100] * 3
    assert (answer.parameters.count, answer.parameters.trainable) == (200, 0)


def test_optimizer_state_is_no_layer(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, made.model_h5(tmp_path / "net.h5", trained=True))
    assert [layer.name for layer in answer.layers] == ["first", "another"]
    roles = {total.name: total.tensors for total in answer.roles}
    assert roles["optimizer"] == 2
    assert answer.missing == ("no graph: Keras builds the model from its config",)


def test_only_weights(tmp_path: Path) -> None:
    bundle = made.pack_arrays(tmp_path / "w.modelbundle", {"w": np.ones(3, "f4")})
    assert inspect(bundle).missing == (
        "no architecture: only weights",
        "no optimizer state",
        "no training configuration",
    )


@pytest.mark.parametrize("words", [None, ["a", "b"]])
def test_a_lookup_without_its_vocabulary(tmp_path: Path, words: list[str] | None) -> None:
    lookup = {"class_name": "StringLookup", "config": {"name": "words", "vocabulary": words}}
    config = made.sequential(lookup, made.dense("first", 3, 2))
    answer = answer_for(tmp_path, config_file(tmp_path / "net.json", config))
    sentence = "no vocabulary of `words`: it comes back empty"
    assert (sentence in answer.missing) == (words is None)


def test_only_a_config(tmp_path: Path) -> None:
    config = made.sequential(made.dense("first", 3, 2))
    del config["config"]["layers"][0]["config"]["batch_input_shape"]
    answer = answer_for(tmp_path, config_file(tmp_path / "net.json", config))
    assert answer.layers == answer.dtypes == ()
    assert "no weights: only the architecture" in answer.missing
    assert any(text.startswith("no parameter shapes") for text in answer.missing)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["Scale"], "no graph: the custom layer `Scale` needs its class"),
        (["A", "B"], "no graph: the custom layers `A` and `B` need their classes"),
        (
            [f"C{n}" for n in range(8)],
            "no graph: the custom layers `C0`, `C1`, `C2`, `C3`, `C4`, `C5` and 2 more "
            "need their classes",
        ),
    ],
)
def test_custom_layers(tmp_path: Path, names: list[str], sentence: str) -> None:
    layers = [made.dense(f"layer_{n}", 2, 2, name) for n, name in enumerate(names)]
    answer = answer_for(tmp_path, config_file(tmp_path / "net.json", made.sequential(*layers)))
    assert sentence in answer.missing
    assert "no graph: Keras builds the model from its config" not in answer.missing


def test_custom_objects_have_module_and_registered_name(tmp_path: Path) -> None:
    layer = {"module": "my.layers", "class_name": "Scale", "registered_name": "Mine>Scale",
             "config": {"name": "scale", "trainable": True}}  # fmt: skip
    config = {"module": "keras", "class_name": "Sequential", "registered_name": None,
              "config": {"name": "net", "trainable": True, "layers": [layer]}}  # fmt: skip
    answer = answer_for(tmp_path, config_file(tmp_path / "net.json", config))
    (custom,) = answer.to_json()["requirements"]["customObjects"]
    assert (custom["registeredName"], custom["className"], custom["module"]) == (
        "Mine>Scale", "Scale", "my.layers")  # fmt: skip
    assert any(hazard.kind == "module" for hazard in answer.hazards)


def test_custom_functions(tmp_path: Path) -> None:
    layer = made.dense("first", 2, 2)
    layer["config"]["activation"] = "my_swish"
    answer = answer_for(tmp_path, config_file(tmp_path / "n.json", made.sequential(layer)))
    assert "no graph: the custom function `my_swish` needs its code" in answer.missing


def test_hazards(tmp_path: Path) -> None:
    code = {"name": "lambda", "trainable": True, "function": ["4wEAAAA=", None, None],
            "function_type": "lambda"}  # fmt: skip
    config = made.sequential({"class_name": "Lambda", "config": code})
    answer = answer_for(tmp_path, config_file(tmp_path / "net.json", config))
    assert {(hazard.layer, hazard.kind) for hazard in answer.hazards} == {("lambda", "lambda")}


def test_weights_in_one_of_two_sources(tmp_path: Path) -> None:
    config = config_file(tmp_path / "net.json", made.sequential(made.dense("first", 3, 2)))
    answer = answer_for(tmp_path, config, made.model_h5(tmp_path / "net.h5"))
    assert "weights only in `net.h5`" in answer.missing


def test_weights_that_one_source_alone_holds(tmp_path: Path) -> None:
    model = made.model_h5(tmp_path / "net.h5")
    weights = {"first": made.layer_weights(3, 2, 1)}
    other = made.write_h5(tmp_path / "part.h5", None, weights)
    answer = answer_for(tmp_path, model, other)
    assert "2 of 4 weights only in `net.h5`" in answer.missing
    assert [part.id for part in answer.parts if part.derived_from is None] == ["net.h5", "part.h5"]


def test_who_wrote_it(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, made.model_h5(tmp_path / "net.h5"))
    assert answer.parts[0].written_by == "Keras 2.15.0 on tensorflow"
    assert [part.kind for part in answer.parts] == ["hdf5", "keras.config"]


def test_tensor_rows(tmp_path: Path) -> None:
    path = made.pack_arrays(tmp_path / "b.modelbundle", {"a/w": np.ones((2, 3), "f4")})
    with mb.open(path) as bundle:
        (row,) = tensor_rows(bundle)
        made.check_answer("inspect", {**inspect(bundle).to_json(), "tensors": [row]})
        data = bundle.file(row["file"]).read(row["offset"], row["length"])
    assert (row["name"], row["shape"], row["names"]) == ("a/w", [2, 3], {"safetensors": "a/w"})
    assert np.frombuffer(data, "f4").tolist() == [1.0] * 6


def test_names_tell_layers() -> None:
    names = {"a/b/kernel": "a/b", "a.b.weight": "a.b", "a.b/c.d": "a.b", "alone": "", "": ""}
    assert {name: layer_of(name) for name in names} == names


@pytest.mark.parametrize(
    "topology",
    [None, 3, [], {"layers": 7}, {"layers": [1, {"name": 5, "path": ["x"]}, {"class": {}}]}],
)
def test_a_strange_topology_costs_only_the_order(topology: Any) -> None:
    assert LayerOrder([topology]).find("a/b")[1] is None


def test_deep_topologies_need_no_recursion() -> None:
    topology: dict[str, Any] = {"name": "innermost", "class": "Dense"}
    for _ in range(5000):
        topology = {"layers": [topology]}
    assert LayerOrder([topology]).find("innermost") == (5000, "Dense")


def test_parts_of_a_layer_stand_where_it_stands() -> None:
    layers = [{"path": "b", "class": "LSTM"}, {"path": "a", "class": "Dense"}]
    order = LayerOrder([{"layers": layers}])
    assert order.find("b/lstm_cell") == (1, None)
    assert order.find("a") == (2, "Dense")
    assert order.find("c/b") == (float("inf"), None)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_trained_keras_model(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    wide, narrow = (keras.layers.Dense(n, name=name) for n, name in ((8, "wide"), (2, "narrow")))
    layers = [keras.layers.Input((4,)), wide, keras.layers.BatchNormalization(name="norm"), narrow]
    model = keras.Sequential(layers, name="trained")
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 2)), verbose=0)
    model.save(tmp_path / "net.keras")
    answer = answer_for(tmp_path, tmp_path / "net.keras")
    assert [layer.name for layer in answer.layers] == ["wide", "norm", "narrow"]
    assert answer.parameters.count == model.count_params()
    assert answer.parameters.non_trainable == 16
    assert sum(layer.non_trainable for layer in answer.layers) == 16
    assert {total.name: total.tensors for total in answer.roles}["optimizer"] >= 2 * 6
    assert answer.missing == ("no graph: Keras builds the model from its config",)
