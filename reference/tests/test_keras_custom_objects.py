"""Classes and functions of somebody else: given, listed when missing, never found by themselves."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_states import assert_same

import modelbundle as mb
from modelbundle.core.findings import BundleError, UnsupportedError

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`"),
]


class Scale(keras.layers.Layer):
    """A layer with a weight and a tuple among its arguments."""

    def __init__(self, span: tuple[int, int] = (0, 1), **options: Any) -> None:
        super().__init__(**options)
        self.span = span

    def build(self, shape: Any) -> None:
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")
        self.built = True

    def call(self, x: Any) -> Any:
        return x * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "span": self.span}


def doubled(x: Any) -> Any:
    return 2 * x


def spread(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


GIVEN = {"Scale": Scale, "doubled": doubled, "spread": spread}


def model() -> Any:
    found = keras.Sequential(
        [
            keras.Input((3,)),
            Scale((2, 5), name="scale"),
            keras.layers.Dense(2, activation=doubled, name="dense"),
        ],
        name="net",
    )
    found.compile("sgd", loss=spread)
    found.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return found


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    target = model()
    path = tmp_path_factory.mktemp("custom") / "net.modelbundle"
    mb.pack(target, path)
    return target, path


@pytest.fixture(autouse=True)
def unregistered() -> Iterator[None]:
    before = dict(keras.saving.get_custom_objects())
    yield
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(before)


def test_requirements_list_them(packed: tuple[Any, Path]) -> None:
    names = {item.class_name for item in mb.open(packed[1]).manifest.requirements.custom_objects}
    assert names == set(GIVEN)


def test_all_that_is_missing_comes_at_once(packed: tuple[Any, Path]) -> None:
    with pytest.raises(BundleError) as raised:
        mb.open(packed[1]).to_keras()
    text = str(raised.value)
    assert {finding.rule for finding in raised.value.findings} == {"SEC-03"}
    assert all(name in text for name in GIVEN)
    assert "custom_objects" in text and "graph=True" in text


def test_a_function_called_as_an_operation_of_keras(tmp_path: Path) -> None:
    def absolute(x: Any) -> Any:
        return keras.ops.abs(x) + 1

    target = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=absolute)])
    mb.pack(target, tmp_path / "m.modelbundle")
    bundle = mb.open(tmp_path / "m.modelbundle")
    (needed,) = bundle.manifest.requirements.custom_objects
    assert (needed.class_name, needed.module) == ("absolute", __name__)
    with pytest.raises(BundleError, match=r"SEC-03.*absolute"):
        bundle.to_keras()
    found = bundle.to_keras(custom_objects={"absolute": absolute})
    x = np.ones((2, 3), "float32")
    assert np.array_equal(found(x), target(x))


def test_without_compile_its_functions_are_not_missed(packed: tuple[Any, Path]) -> None:
    given = {"Scale": Scale, "doubled": doubled}
    found = mb.open(packed[1]).to_keras(custom_objects=given, compile=False)
    assert not found.compiled
    x = np.ones((2, 3), "float32")
    assert np.array_equal(found(x), packed[0](x))


@pytest.mark.parametrize("way", ["argument", "scope", "registered"])
def test_three_ways_to_give_them(way: str, packed: tuple[Any, Path]) -> None:
    bundle = mb.open(packed[1])
    if way == "argument":
        found = bundle.to_keras(custom_objects=GIVEN)
    elif way == "scope":
        with keras.saving.custom_object_scope(GIVEN):
            found = bundle.to_keras()
    else:
        keras.saving.get_custom_objects().update(GIVEN)
        found = bundle.to_keras()
    assert_same(packed[0], found)
    assert found.get_layer("scale").span == (2, 5)
    assert found.loss is spread


def test_registered_by_package(tmp_path: Path) -> None:
    registered = keras.saving.register_keras_serializable("pack")(type("Own", (Scale,), {}))
    target = keras.Sequential([keras.Input((3,)), registered(name="own")])
    mb.pack(target, tmp_path / "m.modelbundle")
    bundle = mb.open(tmp_path / "m.modelbundle")
    assert_same(target, bundle.to_keras())
    keras.saving.get_custom_objects().clear()
    with pytest.raises(BundleError, match="pack>Own"):
        bundle.to_keras()


def test_clone_has_the_architecture_alone(packed: tuple[Any, Path]) -> None:
    found = mb.open(packed[1]).clone(custom_objects=GIVEN)
    assert not found.compiled
    assert [w.shape for w in found.weights] == [w.shape for w in packed[0].weights]
    assert not np.array_equal(found.get_layer("dense").kernel, packed[0].get_layer("dense").kernel)


def lambda_model() -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1, name="plus")])


def test_bytecode_of_a_lambda_runs_only_when_allowed(tmp_path: Path) -> None:
    mb.pack(lambda_model(), tmp_path / "m.modelbundle")
    bundle = mb.open(tmp_path / "m.modelbundle")
    with pytest.raises(BundleError, match="plus") as raised:
        bundle.to_keras()
    assert raised.value.findings[0].rule == "SEC-04"
    found = bundle.to_keras(allow_unsafe=True)
    assert np.array_equal(found(np.ones((1, 3))), np.full((1, 3), 2.0))


def test_a_lambda_layer_of_a_given_function(tmp_path: Path) -> None:
    target = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(doubled, name="twice")])
    mb.pack(target, tmp_path / "m.modelbundle")
    found = mb.open(tmp_path / "m.modelbundle").to_keras(custom_objects={"doubled": doubled})
    assert np.array_equal(found(np.ones((1, 3))), np.full((1, 3), 2.0))


def test_configs_of_keras_2_are_unsupported(tmp_path: Path) -> None:
    config = {
        "class_name": "Sequential",
        "keras_version": "2.15.0",
        "config": {
            "name": "old",
            "layers": [
                {
                    "class_name": "Dense",
                    "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3]},
                }
            ],
        },
    }
    (tmp_path / "old.json").write_text(json.dumps(config))
    mb.pack(tmp_path / "old.json", tmp_path / "m.modelbundle")
    with pytest.raises(UnsupportedError, match="RST-04"):
        mb.open(tmp_path / "m.modelbundle").to_keras()


def plain() -> dict[str, Any]:
    """The config of a model that nothing is wrong with."""
    return {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {
            "name": "net",
            "trainable": True,
            "layers": [
                layer("InputLayer", {"batch_shape": [None, 3], "dtype": "float32", "name": "x"}),
                layer("Dense", {"name": "dense", "units": 2, "trainable": True}),
            ],
            "build_input_shape": [None, 3],
        },
    }


def layer(name: str, config: dict[str, Any], module: str = "keras.layers") -> dict[str, Any]:
    return {"module": module, "class_name": name, "registered_name": None, "config": config}


def function(name: str, module: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def evil(name: str, module: str, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "registered_name": name, "config": config}


SYSTEM = function("system", "os")
"""Objects that must not be resolved, called or opened, and where they hide."""

HOSTILE: dict[str, dict[str, Any]] = {
    "function": SYSTEM,
    "class": evil("Popen", "subprocess", args=["touch", "owned"]),
    "get_file": function("get_file", "keras.utils"),
    "get_file as a class": evil("get_file", "keras.utils", origin="file:///etc/passwd"),
    "load_model": function("load_model", "keras.saving"),
    "load_img": evil("load_img", "keras.utils", path="/etc/passwd"),
    "unsafe": function("enable_unsafe_deserialization", "keras.config"),
    "inner module": evil("File", "keras.src.utils.file_utils", path="/etc/passwd"),
    "module to import": evil("Thing", "keras_hub.evil"),
    "module of keras to import": evil("Dense", "keras.src.evil", units=1),
    "built-in name elsewhere": evil("Dense", "evil_module", units=1),
    "registered name": {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": "evil>Dense",
        "config": {"units": 1},
    },
    "type spec": {
        "class_name": "__typespec__",
        "spec_name": "system",
        "module": "os",
        "config": [],
        "registered_name": None,
    },
    "lambda": {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None,
                                                       "closure": None}},
    "lambda value": {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}},
    "saved model": layer("TFSMLayer", {"name": "t", "filepath": "/etc"}),
    "pickle": layer("TorchModuleWrapper", {"name": "t", "module": "gASV"}, "keras.utils"),
    "vocabulary": layer("StringLookup", {"name": "s", "vocabulary": "/etc/passwd"}),
}  # fmt: skip


def in_a_layer(item: Any) -> dict[str, Any]:
    config = plain()
    config["config"]["layers"][1]["config"]["activation"] = item
    return config


def in_a_list(item: Any) -> dict[str, Any]:
    config = plain()
    config["config"]["layers"][1]["config"]["kernel_initializer"] = {"a": [1, [item]]}
    return config


def in_a_wrapper(item: Any) -> dict[str, Any]:
    config = plain()
    inner = layer("Dense", {"name": "inner", "units": 1, "kernel_regularizer": item})
    wrapper = layer("TimeDistributed", {"name": "wrapper", "trainable": True, "layer": inner})
    config["config"]["layers"].insert(1, wrapper)
    return config


def as_a_layer(item: Any) -> dict[str, Any]:
    config = plain()
    config["config"]["layers"].insert(1, item)
    return config


def in_compile(item: Any) -> dict[str, Any]:
    config = plain()
    config["compile_config"] = {"optimizer": "sgd", "loss": item, "metrics": [[item]]}
    return config


def in_a_call(item: Any) -> dict[str, Any]:
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 3], "dtype": "float32", "keras_history": ["x", 0, 0]},
    }
    call = {"args": [tensor], "kwargs": {"training": item}}
    dense = layer("Dense", {"name": "dense", "units": 2, "trainable": True})
    source = layer("InputLayer", {"batch_shape": [None, 3], "dtype": "float32", "name": "x"})
    layers = [
        {**source, "name": "x", "inbound_nodes": []},
        {**dense, "name": "dense", "inbound_nodes": [call]},
    ]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["dense", 0, 0]]}
    return {
        **plain(),
        "class_name": "Functional",
        "config": {"name": "net", "trainable": True, "layers": layers, **ends},
    }


PLACES = (in_a_layer, in_a_list, in_a_wrapper, in_compile, in_a_call)

WATCH = """
import json, os, sys
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import keras, modelbundle as mb
from modelbundle.core.findings import BundleError
import modelbundle.keras.restore
keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).compile("sgd", "mse")
from modelbundle.sources.keras.builtins import kinds
kinds("Dense")  # reads the table
seen, watching, root = [], False, sys.argv[1]
OPENING = {"open", "os.open"}
def hook(event, args):
    if not watching:
        return
    if event in OPENING and str(args[0]).startswith(root):
        return
    if event in OPENING or event.split(".")[0] in ("subprocess", "socket", "shutil", "marshal",
            "pickle", "urllib", "exec", "ctypes") or event in ("import", "os.system", "compile"):
        seen.append(event + repr(args)[:200])
sys.addaudithook(hook)
answers = {}
for case in sorted(os.listdir(root)):
    bundle = mb.open(os.path.join(root, case))
    seen.clear()
    watching = True
    try:
        bundle.to_keras()
        answer = "built"
    except BundleError as error:
        answer = ",".join(sorted({f.rule for f in error.findings}))
    except Exception as error:
        answer = "error " + repr(error)[:300]
    watching = False
    answers[case] = [answer, list(seen)]
print("ANSWERS" + json.dumps(answers))
"""


def test_nothing_hostile_is_resolved_imported_opened_or_run(tmp_path: Path) -> None:
    root = tmp_path / "bundles"
    root.mkdir()
    cases = [(name, place) for name in HOSTILE for place in PLACES]
    cases += [(name, as_a_layer) for name, item in HOSTILE.items() if "name" in item["config"]]
    for number, (name, place) in enumerate(cases):
        source = tmp_path / f"{number}.json"
        source.write_text(json.dumps(place(copy.deepcopy(HOSTILE[name]))))
        mb.pack(source, root / f"{number:03} {name} {place.__name__}")
    out = subprocess.run(
        [sys.executable, "-c", WATCH, str(root)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
    )  # fmt: skip
    assert "ANSWERS" in out.stdout, out.stderr[-2000:]
    answers = json.loads(out.stdout.split("ANSWERS")[1])
    assert len(answers) == len(cases) > 90
    wrong = {
        case: answer
        for case, answer in answers.items()
        if answer[1] or not set(answer[0].split(",")) <= {"SEC-03", "SEC-04"}
    }
    assert wrong == {}


def test_a_tag_hides_nothing(tmp_path: Path) -> None:
    """A tagged dictionary of a captured model becomes an object only when it is decoded."""
    from modelbundle.keras.custom_objects import check_harmless, check_resolvable
    from modelbundle.sources.keras import exact_values

    hidden = {"class_name": "__dict__", "items": list(map(list, SYSTEM.items()))}
    config = exact_values.decode(in_a_layer({"class_name": "__tuple__", "items": [hidden]}))
    findings = [*check_resolvable(config, "model/config.json", {})]
    assert any("os" in finding.found for finding in findings)
    assert not [*check_harmless(plain(), "c")] and not [*check_resolvable(plain(), "c", {})]
