"""Topologies: one graph whatever the dialect, and one that can be run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import keras_corpus
import pytest

from modelbundle.core.findings import BundleError
from modelbundle.sources.keras import topology
from modelbundle.sources.keras.config import config_component
from modelbundle.sources.keras.values import Values

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "schemas" / "topology.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

frameworks = pytest.mark.frameworks


def graph(config: Any) -> dict[str, Any]:
    """The topology of a config, checked against the schema and for what the schema cannot say."""
    data = config.encode() if isinstance(config, str) else json.dumps(config).encode()
    files, _, _ = config_component("c.json", data, derived_from=None, path="c.json")
    made: dict[str, Any] = json.loads(files[0].blob.read(0, files[0].blob.size))
    VALIDATOR.validate(made)
    check(made)
    return made


def check(record: dict[str, Any]) -> None:
    """Every tensor comes from a node before it, and every tag points at something."""
    tags = json.dumps(record["config"])
    for place in range(len(record.get("sublayers", []))):
        assert f'{{"$layer": {place}}}' in tags
    for inner in (*record.get("sublayers", []), *record.get("layers", [])):
        check(inner)
    if "nodes" not in record:
        return
    names = [layer["name"] for layer in record["layers"]]
    assert len(set(names)) == len(names)
    made: set[tuple[str, int]] = set()
    for node in record["nodes"]:
        assert node["layer"] in names
        assert {(t["layer"], t["node"]) for t in node["inputs"]} <= made
        made.add((node["layer"], node["node"]))
        arguments = json.dumps([node["args"], node["kwargs"]])
        for place in range(len(node["inputs"])):
            assert f'{{"$tensor": {place}}}' in arguments
    assert len(made) == len(record["nodes"])
    for end in (*record["inputs"], *record["outputs"]):
        assert (end["layer"], end["node"]) in made


def edges(record: dict[str, Any]) -> list[Any]:
    """Calls with what feeds them, which must not depend on the dialect."""
    return [
        (node["layer"], node["node"], [tuple(t.values()) for t in node["inputs"]])
        for node in record["nodes"]
    ]


def layer(name: str, *calls: Any, **config: Any) -> dict[str, Any]:
    inner = {"name": name, "trainable": True, "units": 2, **config}
    return {"class_name": "Dense", "config": inner, "name": name, "inbound_nodes": list(calls)}


def source(name: str = "x") -> dict[str, Any]:
    config = {"name": name, "batch_input_shape": [None, 4], "dtype": "float32"}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def functional(*layers: Any, outputs: Any, inputs: Any = None) -> dict[str, Any]:
    config = {
        "name": "m",
        "layers": list(layers),
        "input_layers": inputs or [["x", 0, 0]],
        "output_layers": outputs,
    }
    return {"class_name": "Model", "config": config}


@frameworks
@pytest.mark.filterwarnings("ignore")
class TestRealModels:
    @pytest.fixture(scope="module", params=["keras", "tf_keras"])
    def library(self, request: Any) -> Any:
        return pytest.importorskip(request.param)

    def test_every_config_has_a_sound_graph(self, library: Any) -> None:
        for text in keras_corpus.written(library).values():
            graph(text)

    @pytest.mark.parametrize(
        "name", ["shared_and_nested", "several_inputs", "wrapped", "application"]
    )
    def test_both_dialects_give_one_graph(self, name: str) -> None:
        made = [
            graph(keras_corpus.written(pytest.importorskip(library))[f"{name}/json"])
            for library in ("keras", "tf_keras")
        ]
        for first, second in zip(*(_models(record) for record in made), strict=True):
            assert sorted(edges(first)) == sorted(edges(second))
            assert first["inputs"] == second["inputs"]
            assert first["outputs"] == second["outputs"]
            if name != "application":  # Keras 3 says that the model takes a list of one
                assert first["input_structure"] == second["input_structure"]
            for mine, other in zip(first["layers"], second["layers"], strict=True):
                for key in ("name", "path", "class", "module", "custom", "batch_shape"):
                    assert mine.get(key) == other.get(key), (mine["path"], key)

    def test_calls_are_those_of_the_model(self, library: Any) -> None:
        """Counts every call against the model's own nodes."""
        for name in ("shared_and_nested", "attention", "plain_functions", "application"):
            model = keras_corpus.models(library)[name]
            made = graph(keras_corpus.written(library)[f"{name}/json"])
            config = json.loads(keras_corpus.written(library)[f"{name}/config"])
            counted = {
                item["name"]: max(1, len(item["inbound_nodes"])) for item in config["layers"]
            }
            found: dict[str, int] = {}
            for node in made["nodes"]:
                found[node["layer"]] = found.get(node["layer"], 0) + 1
            assert found == counted
            assert len(made["inputs"]) == len(model.inputs)
            assert [t["layer"] for t in made["outputs"]] == [_producer(t) for t in model.outputs]

    def test_a_topology_is_enough_to_run_the_model(self, library: Any) -> None:
        """Calls the model's layers as the nodes say and compares what comes out."""
        import numpy as np

        for name in ("shared_and_nested", "several_inputs", "attention"):
            model = keras_corpus.models(library)[name]
            made = graph(keras_corpus.written(library)[f"{name}/json"])
            values = [
                np.random.default_rng(n).normal(size=[2, *t.shape[1:]]).astype("float32")
                for n, t in enumerate(model.inputs)
            ]
            fed = dict(zip([t.name.split(":")[0] for t in model.inputs], values, strict=True))
            expected = model(_as_called(model, made, fed))
            flat = _flat(expected)
            for mine, theirs in zip(_run(model, made, fed), flat, strict=True):
                assert np.allclose(np.asarray(mine), np.asarray(theirs)), name

    def test_the_hdf5_config_gives_the_same_graph(self, library: Any, tmp_path: Path) -> None:
        import h5py

        model = keras_corpus.models(library)["shared_and_nested"]
        model.save(tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "r") as file:
            text = file.attrs["model_config"]
        other = graph(keras_corpus.written(library)["shared_and_nested/json"])
        assert edges(graph(text)) == edges(other)


def _models(record: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*record.get("sublayers", []), *record.get("layers", [])]
    nested = [model for item in inner for model in _models(item)]
    return [record, *nested] if "nodes" in record else nested


def _producer(tensor: Any) -> str:
    history = tensor._keras_history
    return str((history.operation if hasattr(history, "operation") else history.layer).name)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [item for key in sorted(value) for item in _flat(value[key])]
    return [x for v in value for x in _flat(v)] if isinstance(value, (list, tuple)) else [value]


def _as_called(model: Any, made: dict[str, Any], fed: dict[str, Any]) -> Any:
    return _filled(made["input_structure"], [fed[t["layer"]] for t in made["inputs"]])


def _filled(value: Any, tensors: list[Any]) -> Any:
    if isinstance(value, list):
        return [_filled(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    return {key: _filled(item, tensors) for key, item in value.items()}


def _run(model: Any, made: dict[str, Any], fed: dict[str, Any]) -> list[Any]:
    results: dict[tuple[str, int], list[Any]] = {}
    for node in made["nodes"]:
        tensors = [results[t["layer"], t["node"]][t["tensor"]] for t in node["inputs"]]
        if not tensors:
            results[node["layer"], node["node"]] = [fed[node["layer"]]]
            continue
        args, kwargs = _filled(node["args"], tensors), _filled(node["kwargs"], tensors)
        called = model.get_layer(node["layer"])(*args, **kwargs)
        results[node["layer"], node["node"]] = _flat(called)
    return [results[t["layer"], t["node"]][t["tensor"]] for t in made["outputs"]]


class TestSequential:
    def test_is_a_chain(self) -> None:
        config = {"name": "s", "layers": [source(), layer("a"), layer("b")]}
        made = graph({"class_name": "Sequential", "config": config})
        assert edges(made) == [("x", 0, []), ("a", 0, [("x", 0, 0)]), ("b", 0, [("a", 0, 0)])]
        assert made["outputs"] == [{"layer": "b", "node": 0, "tensor": 0}]
        assert made["output_structure"] == {"$tensor": 0}

    def test_gets_the_input_that_it_implies(self) -> None:
        first = layer("a", batch_input_shape=[None, 7])
        made = graph({"class_name": "Sequential", "config": {"name": "s", "layers": [first]}})
        implied = made["layers"][0]
        assert (implied["name"], implied["class"], implied["implied"]) == (
            "a_input",
            "InputLayer",
            True,
        )
        assert implied["batch_shape"] == [None, 7]
        assert made["inputs"] == [{"layer": "a_input", "node": 0, "tensor": 0}]

    def test_of_keras_1_is_a_list(self) -> None:
        bare = [{"class_name": "Dense", "config": {"name": n, "output_dim": 2}} for n in "ab"]
        made = graph({"class_name": "Sequential", "keras_version": "1.0.8", "config": bare})
        assert [item["name"] for item in made["layers"]] == ["a_input", "a", "b"]
        assert made["dialect"] == "keras1"

    def test_without_layers(self) -> None:
        made = graph({"class_name": "Sequential", "config": {"name": "s", "layers": []}})
        assert (made["nodes"], made["inputs"], made["output_structure"]) == ([], [], None)

    def test_may_use_one_layer_twice(self) -> None:
        config = {"name": "s", "layers": [source(), layer("a"), layer("a")]}
        made = graph({"class_name": "Sequential", "config": config})
        assert edges(made)[-1] == ("a", 1, [("a", 0, 0)])

    def test_may_not_give_two_layers_one_name(self) -> None:
        config = {"name": "s", "layers": [layer("a"), layer("a", units=3)]}
        with pytest.raises(BundleError, match="KCF-01"):
            graph({"class_name": "Sequential", "config": config})


class TestCalls:
    """The forms that Keras 1 and 2 have written."""

    def test_of_keras_1(self) -> None:
        made = graph(functional(source(), layer("a", [["x", 0, 0]]), outputs=[["a", 0, 0]]))
        assert edges(made)[1] == ("a", 0, [("x", 0, 0)])
        assert made["nodes"][1]["args"] == [{"$tensor": 0}]

    def test_with_several_inputs_and_arguments(self) -> None:
        call = [["x", 0, 0, {"mask": ["y", 0, 0], "training": False}], ["y", 0, 0, {}]]
        made = graph(
            functional(
                source(), source("y"), layer("a", call),
                inputs=[["x", 0, 0], ["y", 0, 0]], outputs=[["a", 0, 0]],
            )
        )  # fmt: skip
        node = made["nodes"][-1]
        assert node["args"] == [[{"$tensor": 0}, {"$tensor": 1}]]
        assert node["kwargs"] == {"mask": {"$tensor": 2}, "training": False}

    def test_of_functions(self) -> None:
        slices = {"start": None, "stop": 2, "step": None}
        op = {**layer("t", ["x", 0, 0, {"slice_spec": [slices], "y": ["x", 0, 0]}])}
        op["class_name"] = "SlicingOpLambda"
        concat = {**layer("c", [["t", 0, 0, {"axis": -1}]]), "class_name": "TFOpLambda"}
        made = graph(functional(source(), op, concat, outputs=[["c", 0, 0]]))
        assert made["nodes"][1]["args"] == [{"$tensor": 0}]
        assert made["nodes"][1]["kwargs"] == {"slice_spec": [slices], "y": {"$tensor": 1}}
        assert made["nodes"][2]["args"] == [[{"$tensor": 0}]]

    def test_with_constants(self) -> None:
        call = [["_CONSTANT_VALUE", -1, [1.5, 2.5], {}], ["x", 0, 0, {}]]
        made = graph(functional(source(), layer("a", call), outputs=[["a", 0, 0]]))
        assert made["nodes"][1]["args"] == [[[1.5, 2.5], {"$tensor": 0}]]

    def test_in_dictionaries(self) -> None:
        call = {"b": ["x", 0, 0, {}], "a": ["x", 0, 0, {}]}
        made = graph(
            functional(
                source(), layer("a", call), inputs={"in": ["x", 0, 0]}, outputs={"o": ["a", 0, 0]}
            )
        )
        assert made["nodes"][1]["args"] == [{"a": {"$tensor": 0}, "b": {"$tensor": 1}}]
        assert made["input_structure"] == {"in": {"$tensor": 0}}

    def test_text_that_looks_like_a_reference_is_text(self) -> None:
        call = [["x", 0, 0, {"label": ["nobody", 0, 0]}]]
        made = graph(functional(source(), layer("a", call), outputs=[["a", 0, 0]]))
        assert made["nodes"][1]["kwargs"] == {"label": ["nobody", 0, 0]}

    def test_are_in_an_order_that_runs(self) -> None:
        made = graph(
            functional(
                layer("b", [["a", 0, 0, {}]], [["b", 0, 0, {}]]),
                layer("a", [["x", 0, 0, {}]]),
                source(),
                outputs=[["b", 1, 0]],
            )
        )
        assert [(n["layer"], n["node"]) for n in made["nodes"]] == [
            ("x", 0), ("a", 0), ("b", 0), ("b", 1),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("calls", "outputs"),
        [
            ([[["nobody", 0, 0, {}]]], [["a", 0, 0]]),
            ([[["x", 0, 3, {}]]], [["a", 0, 0]]),
            ([[["x", 0, -1, {}]]], [["a", 0, 0]]),
            ([[["a", 0, 0, {}]]], [["a", 0, 0]]),
            ([[["x", 0, 0, {}]]], [["a", 1, 0]]),
            ([[["x", 0, 0, {}]]], [["a", 0, 10**30]]),
            ([[["x", 0, 0, {}]]], [["b", 0, 0]]),
            ([[["x", 0, 0, {}]]], [["_CONSTANT_VALUE", -1, 2]]),
            ([{"args": [{"class_name": "__keras_tensor__", "config": {
                "keras_history": ["nobody", 0, 0]}}], "kwargs": {}}], [["a", 0, 0]]),
        ],
    )  # fmt: skip
    def test_to_what_does_not_exist(self, calls: Any, outputs: Any) -> None:
        with pytest.raises(BundleError) as caught:
            graph(functional(source(), layer("a", *calls), outputs=outputs))
        assert caught.value.findings[0].rule == "KCF-03"

    @pytest.mark.parametrize(
        "calls",
        [
            [3],
            ["x"],
            [[3]],
            [[["x", 0]]],
            [[["x", "0", 0]]],
            [{"args": 3, "kwargs": {}}],
            [{"args": [], "kwargs": []}],
            [{"args": [{"class_name": "__keras_tensor__"}], "kwargs": {}}],
        ],
    )
    def test_that_are_malformed(self, calls: Any) -> None:
        with pytest.raises(BundleError) as caught:
            graph(functional(source(), layer("a", *calls), outputs=[["a", 0, 0]]))
        assert caught.value.findings[0].rule == "KCF-01"
        assert "#/config/layers/1/inbound_nodes/0" in caught.value.findings[0].place


class TestValues:
    @pytest.mark.parametrize(
        ("value", "encoded"),
        [
            (float("nan"), {"$float": "NaN"}),
            (float("inf"), {"$float": "Infinity"}),
            (float("-inf"), {"$float": "-Infinity"}),
            (-0.0, {"$float": "-0"}),
            (0.5, 0.5),
            (True, True),
            (2**53 - 1, 2**53 - 1),
            (2**53, {"$int": "9007199254740992"}),
            ({"$a": 1, "b": 2}, {"$$a": 1, "b": 2}),
            ({"class_name": "__tuple__", "items": [1, 2]}, {"$tuple": [1, 2]}),
            ({"class_name": "TensorShape", "items": [None, 2]}, {"$tuple": [None, 2]}),
            ({"class_name": "__bytes__", "config": {"value": "a"}}, {"$bytes": "a"}),
            ({"class_name": "__ellipsis__", "config": {}}, {"$ellipsis": True}),
            ({"class_name": "__slice__", "config": {"start": 1, "stop": None, "step": 2}},
             {"$slice": [1, None, 2]}),
            ({"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}},
             {"$array": {"value": [1.0], "dtype": "float32"}}),
            ({"class_name": "__lambda__", "config": {"value": "4w"}}, {"$lambda": {"value": "4w"}}),
            ({"class_name": "TypeSpec", "type_spec": "tf.TensorSpec"},
             {"$typespec": {"type_spec": "tf.TensorSpec"}}),
        ],
    )  # fmt: skip
    def test_have_one_form(self, value: Any, encoded: Any) -> None:
        made = Values().encode([value])
        assert made == [encoded]
        topology.dump({"values": made}, "c.json")

    def test_layers_inside_a_config_become_sublayers(self) -> None:
        inner = {"class_name": "LSTM", "config": {"name": "l", "units": 2, "trainable": True}}
        made = graph({"class_name": "Bidirectional", "config": {"name": "b", "layer": inner}})
        assert made["config"]["layer"] == {"$layer": 0}
        sublayer = made["sublayers"][0]
        assert (sublayer["slot"], sublayer["path"], sublayer["class"]) == ("layer", "l", "LSTM")

    def test_policies_have_names(self) -> None:
        policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "bfloat16"}}
        quantized = {
            "module": "keras.dtype_policies",
            "class_name": "QuantizedDTypePolicy",
            "config": {"mode": "int8", "source_name": "float32"},
        }
        for dtype, name in ((policy, "bfloat16"), (quantized, "int8_from_float32")):
            assert graph({**layer("a", dtype=dtype), "inbound_nodes": []})["dtype"] == name


class TestSchema:
    @pytest.mark.parametrize(
        "change",
        [
            lambda t: t.pop("topology"),
            lambda t: t.pop("nodes"),
            lambda t: t.update(surprise=1),
            lambda t: t.update(form="layer"),
            lambda t: t["layers"][0].update(surprise=1),
            lambda t: t["layers"][0].pop("name"),
            lambda t: t["layers"][1]["config"].update(units={"$float": "1"}),
            lambda t: t["layers"][1]["config"].update(units={"$odd": 1}),
            lambda t: t["layers"][1]["config"].update(units={"$tuple": [], "$int": "1"}),
            lambda t: t["nodes"][0].update(node=-1),
            lambda t: t["nodes"][0]["inputs"].append(["x", 0, 0]),
            lambda t: t["outputs"][0].pop("tensor"),
        ],
    )
    def test_rejects_a_change(self, change: Any) -> None:
        made = graph(functional(source(), layer("a", [["x", 0, 0]]), outputs=[["a", 0, 0]]))
        change(made)
        assert not VALIDATOR.is_valid(made)
