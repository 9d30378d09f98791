"""Keras configs as sources: forms, schemas, requirements, hazards and refusals."""

from __future__ import annotations

import copy
import json
import random
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import keras_corpus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbundle.core.blobs import BytesBlob
from modelbundle.core.findings import BundleError
from modelbundle.core.limits import LIMITS
from modelbundle.sources.artifact import Tree
from modelbundle.sources.keras.builtins import is_builtin, is_function, kinds
from modelbundle.sources.keras.config import config_component, read, recognise
from modelbundle.sources.keras.requirements import HAZARDS, hazards, survey

SCHEMAS = Path(__file__).parents[2] / "schemas"

frameworks = pytest.mark.frameworks


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(name: str, value: Any) -> list[str]:
    return [error.message[:300] for error in validator(name).iter_errors(value)]


def tree(text: str | bytes, root: str = "net.json") -> Tree:
    data = text.encode() if isinstance(text, str) else text
    return Tree(root, {root: BytesBlob(data)})


def component(value: Any, **arguments: Any) -> Any:
    arguments = {"derived_from": None, "path": "c.json", **arguments}
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return config_component("c.json", data, **arguments)


def refused(data: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        component(data)
    return caught.value.findings[0].rule


DENSE = {"class_name": "Dense", "config": {"name": "d", "trainable": True, "units": 2}}
SEQUENTIAL = {"class_name": "Sequential", "config": {"name": "s", "layers": [DENSE]}}


def sequential(*layers: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


class TestForms:
    @pytest.mark.parametrize(
        ("value", "form", "dialect"),
        [
            (SEQUENTIAL, "sequential", "keras2"),
            ({**SEQUENTIAL, "keras_version": "2.4.0"}, "sequential", "keras2"),
            ({"class_name": "Sequential", "config": [DENSE]}, "sequential", "keras1"),
            ([DENSE], "sequential", "keras1"),
            (SEQUENTIAL["config"], "sequential", "keras2"),
            (DENSE, "layer", "keras2"),
            (DENSE["config"], "layer", "keras2"),
            ({**DENSE, "module": "keras.layers", "registered_name": None}, "layer", "keras3"),
            ({"class_name": "Net", "config": {}, "keras_version": "2.9"}, "subclassed", "keras2"),
            ({"class_name": "Model", "config": {"name": "m"}}, "subclassed", "keras2"),
        ],
    )  # fmt: skip
    def test_are_recognised(self, value: Any, form: str, dialect: str) -> None:
        source = tree(json.dumps(value))
        assert recognise(source)
        found = read(source).components[0].properties
        assert (found["form"], found["dialect"]) == (form, dialect)

    def test_versions_and_names_are_told(self) -> None:
        value = {**SEQUENTIAL, "keras_version": "1.2.2", "backend": "theano"}
        _, found, _ = component(value)
        assert found.properties == {
            "dialect": "keras1",
            "form": "sequential",
            "name": "s",
            "keras_version": "1.2.2",
            "backend": "theano",
            "parameters_need_build": True,
        }

    def test_a_custom_class_of_an_artifact_is_a_model(self) -> None:
        value = {"class_name": "Net", "config": {"name": "n"}}
        _, found, _ = component(value, derived_from="net.h5", path=None)
        assert found.properties["form"] == "subclassed"

    @pytest.mark.parametrize(
        "text",
        [
            '{"weight_map": {}}',
            '{"metadata": {"total_size": 1}}',
            "[1, 2]",
            "",
            "\x89HDF",
            "{",
            '"a"',
        ],
    )
    def test_other_files_are_not_recognised(self, text: str) -> None:
        assert not recognise(tree(text))

    def test_several_files_are_not_recognised(self) -> None:
        assert not recognise(Tree("d", {"d/a": BytesBlob(b"{}"), "d/b": BytesBlob(b"{}")}))


class TestFiles:
    def test_of_a_config_alone(self) -> None:
        text = json.dumps(SEQUENTIAL)
        artifact = read(tree(text))
        assert [(f.path, f.role) for f in artifact.files] == [
            ("net.json", "source"),
            ("net.json.derived/topology.json", "derived"),
        ]
        assert artifact.components[0].id == "net.json"
        assert artifact.components[0].kind == "keras.config"
        assert artifact.components[0].files == tuple(f.path for f in artifact.files)
        assert artifact.requirements.layers == {"Sequential", "Dense"}

    def test_of_an_extracted_config(self) -> None:
        text = json.dumps(SEQUENTIAL).encode()
        files, found, _ = config_component("net.h5", text, derived_from="net.h5")
        assert [f.path for f in files] == [
            "net.h5.derived/config.json",
            "net.h5.derived/topology.json",
        ]
        assert files[0].blob.read(0, files[0].blob.size) == text
        assert (found.id, found.derived_from) == ("net.h5.derived/config.json", "net.h5")

    def test_of_a_member(self) -> None:
        path = "net.keras.members/config.json"
        text = json.dumps(SEQUENTIAL).encode()
        files, found, _ = config_component("net.keras", text, derived_from="net.keras", path=path)
        assert [f.path for f in files] == ["net.keras.derived/topology.json"]
        assert (found.id, found.files[0]) == (path, path)

    def test_are_the_same_each_time(self) -> None:
        shared = {"class_name": "Sequential", "config": {"name": "s", "layers": [
            {**DENSE, "shared_object_id": 140114983323600}]}}  # fmt: skip
        other = json.loads(json.dumps(shared).replace("140114983323600", "139000000000000"))
        first, second = (component(value)[0][0].blob.data for value in (shared, other))
        assert first == second


@frameworks
@pytest.mark.filterwarnings("ignore")
class TestRealConfigs:
    @pytest.mark.parametrize("name", ["keras", "tf_keras"])
    def test_follow_the_schema_and_are_read(self, name: str) -> None:
        library = pytest.importorskip(name)
        schema = "keras_config.keras3" if name == "keras" else "keras_config.keras2"
        written = keras_corpus.written(library)
        assert len(written) > 60
        for label, text in written.items():
            assert recognise(tree(text)), label
            artifact = read(tree(text))
            assert errors(schema, json.loads(text)) == [], label
            data = artifact.files[1].blob.read(0, artifact.files[1].blob.size)
            assert errors("topology", json.loads(data)) == [], label
            properties = artifact.components[0].properties
            if label.split("/")[0] not in ("custom", "subclassed"):
                assert artifact.requirements.custom_objects == frozenset(), label
                assert "hazards" not in properties, (label, properties)

    @pytest.mark.parametrize("name", ["keras", "tf_keras"])
    def test_custom_objects_are_found(self, name: str) -> None:
        library = pytest.importorskip(name)
        found = read(tree(keras_corpus.written(library)["custom/json"]))
        by_name = {item.registered_name: item for item in found.requirements.custom_objects}
        assert set(by_name) == {f"zoo>Scale_{name}", "Shift", f"zoo>wave_{name}"}
        assert {item.component for item in by_name.values()} == {"net.json"}
        assert found.components[0].properties["non_finite"] is True

    @pytest.mark.parametrize("name", ["keras", "tf_keras"])
    def test_forms_are_told(self, name: str) -> None:
        written = keras_corpus.written(pytest.importorskip(name))
        for label, form in (
            ("shared_and_nested/json", "functional"),
            ("wrapped/json", "sequential"),
            ("wrapped/config", "sequential"),
            ("dense/layer", "layer"),
            ("dense/bare", "layer"),
        ):
            properties = read(tree(written[label])).components[0].properties
            assert properties["form"] == form, label
            if not label.startswith("dense"):  # one layer may have nothing that tells
                assert properties["dialect"] == ("keras3" if name == "keras" else "keras2"), label

    def test_every_layer_that_keras_exports_is_built_in(self) -> None:
        for name in ("keras", "tf_keras"):
            library = pytest.importorskip(name)
            exported = [n for n in dir(library.layers) if n[0].isupper() and n != "InputSpec"]
            classes = [n for n in exported if isinstance(getattr(library.layers, n), type)]
            assert [n for n in classes if not is_builtin(n, "keras.layers")] == []

    def test_the_table_is_current(self) -> None:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
        try:
            table = __import__("keras_builtins")
        finally:
            sys.path.pop(0)
        assert table.TARGET.read_text(encoding="utf-8") == table.render()


@frameworks
@pytest.mark.filterwarnings("ignore")
class TestSchemasReject:
    """Changes that would make a config unusable, each on a config that is right without it."""

    @pytest.fixture(params=["keras", "tf_keras"])
    def config(self, request: Any) -> tuple[str, Any]:
        library = pytest.importorskip(request.param)
        schema = "keras_config.keras3" if request.param == "keras" else "keras_config.keras2"
        return schema, json.loads(keras_corpus.written(library)["shared_and_nested/json"])

    @pytest.mark.parametrize(
        "change",
        [
            lambda c: c.pop("class_name"),
            lambda c: c.update(surprise=1),
            lambda c: c.update(class_name=5),
            lambda c: c["config"].update(layers={}),
            lambda c: c["config"].pop("output_layers"),
            lambda c: c["config"].update(input_layers=["x", -1, 0]),
            lambda c: c["config"].update(output_layers=[["x", 0]]),
            lambda c: c["config"]["layers"][0].pop("name"),
            lambda c: c["config"]["layers"][0].pop("inbound_nodes"),
            lambda c: c["config"]["layers"][0]["config"].pop("name"),
            lambda c: c["config"]["layers"][1]["config"].update(trainable="yes"),
            lambda c: c["config"]["layers"][1]["config"].update(units=-3),
            lambda c: c["config"]["layers"][1].update(extra=None),
            lambda c: c["config"]["layers"][1].update(inbound_nodes={}),
            lambda c: c["config"]["layers"][1]["inbound_nodes"].append("x"),
            lambda c: c["config"]["layers"][2]["config"].update(layers=[1]),
        ],
    )
    def test_a_change(self, config: tuple[str, Any], change: Any) -> None:
        schema, value = config
        assert errors(schema, value) == []
        changed = copy.deepcopy(value)
        change(changed)
        assert errors(schema, changed) != []

    def test_a_history_of_two(self) -> None:
        library = pytest.importorskip("keras")
        value = keras_corpus.written(library)["shared_and_nested/json"]
        changed = value.replace('"keras_history": ["x", 0, 0]', '"keras_history": ["x", 0]')
        assert changed != value
        assert errors("keras_config.keras3", json.loads(changed)) != []

    def test_the_other_dialect(self) -> None:
        for name, other in (("keras", "keras2"), ("tf_keras", "keras3")):
            library = pytest.importorskip(name)
            value = json.loads(keras_corpus.written(library)["shared_and_nested/json"])
            assert errors(f"keras_config.{other}", value) != []


class TestRequirements:
    def test_functions_by_name(self) -> None:
        config = {**DENSE["config"], "activation": "mine>wave", "kernel_initializer": "he_normal",
                  "kernel_regularizer": "odd", "bias_constraint": None}  # fmt: skip
        found = survey({"class_name": "Dense", "config": config}, "c").requirements.custom_objects
        assert {(i.registered_name, i.class_name) for i in found} == {
            ("mine>wave", "wave"),
            ("odd", "odd"),
        }

    def test_compiled_losses_and_metrics(self) -> None:
        compiled = {
            "loss": {"a": "mse", "b": "my_loss"},
            "metrics": [["acc", "my_metric"], None],
            "weighted_metrics": None,
            "optimizer": {"module": "mine", "class_name": "Sgd2", "config": {}},
        }
        found = survey({**SEQUENTIAL, "compile_config": compiled}, "c").requirements.custom_objects
        assert {(i.class_name, i.module) for i in found} == {
            ("my_loss", None),
            ("my_metric", None),
            ("Sgd2", "mine"),
        }

    def test_function_objects(self) -> None:
        def activation(module: str | None, name: str) -> Any:
            function = {"module": module, "class_name": "function", "config": name,
                        "registered_name": name}  # fmt: skip
            return {**DENSE, "config": {**DENSE["config"], "activation": function}}

        for module, name, custom in (
            ("builtins", "relu", False),
            ("keras.activations", "relu", False),
            ("builtins", "my_relu", True),
            ("mine", "relu", True),
            ("keras.utils", "get_file", True),
        ):
            found = survey(activation(module, name), "c").requirements.custom_objects
            assert bool(found) is custom, (module, name)

    def test_a_class_of_the_main_program_is_custom_whatever_its_name(self) -> None:
        value = {**DENSE, "module": None, "registered_name": "Dense"}
        found = survey(value, "c").requirements
        assert [i.class_name for i in found.custom_objects] == ["Dense"]
        assert found.layers == frozenset()

    def test_names_of_the_table(self) -> None:
        assert kinds("Merge") == {"layer"}
        assert is_function("glorot_uniform", None)
        assert not is_function("get_file", "keras.utils")
        assert not is_builtin("Dense", "torch.nn")


class TestHazards:
    @pytest.mark.parametrize(
        ("class_name", "config", "more", "kind"),
        [
            ("Lambda", {"function": ["4wEA", None, None], "function_type": "lambda"}, {}, "lambda"),
            ("Lambda", {"function": {"class_name": "__lambda__", "config": {"value": "4w"}}}, {},
             "lambda"),
            ("Dense", {}, {"module": "os", "registered_name": None}, "module"),
            ("get_file", {}, {"module": "keras.utils"}, "function"),
            ("Dense", {"activation": {"module": "keras.utils", "class_name": "function",
                                      "config": "get_file"}}, {}, "function"),
            ("Dense", {"activation": {"module": "builtins", "class_name": "function",
                                      "config": "eval"}}, {}, "function"),
            ("TFSMLayer", {"filepath": "/etc/model"}, {}, "path"),
            ("StringLookup", {"vocabulary": "/etc/passwd"}, {}, "path"),
            ("StringLookup", {"vocabulary": "http://169.254.169.254/"}, {}, "path"),
            ("Dense", {"note": "gs://bucket/x"}, {}, "path"),
            ("TorchModuleWrapper", {"module": "gAS="}, {}, "pickle"),
            ("TFOpLambda", {"function": "io.read_file"}, {}, "operation"),
            ("TensorFlowOpLayer", {"node_def": "AA=="}, {}, "operation"),
            ("Dense", {}, {"module": "keras.layers", "registered_name": "x>Dense"},
             "registered-name"),
        ],
    )  # fmt: skip
    def test_are_reported_and_carried(
        self, class_name: str, config: Any, more: Any, kind: str
    ) -> None:
        inner = {"name": "bad", "trainable": True, **config}
        value = sequential({"class_name": class_name, "config": inner, **more})
        found = component(value)[1].properties["hazards"]
        assert kind in {item["kind"] for item in found}
        assert {item["layer"] for item in found} == {"bad"}

    def test_a_clean_model_has_none(self) -> None:
        assert hazards(SEQUENTIAL) == []

    def test_are_bounded(self) -> None:
        layers = [
            {"class_name": f"C{n}", "module": "m", "config": {"name": f"l{n}"}} for n in range(500)
        ]
        found = hazards(sequential(*layers))
        assert len(found) == HAZARDS + 1
        assert found[-1] == {"layer": "", "kind": "more", "detail": "400 more"}


class TestRefusals:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b"null",
            b"7",
            b"[]",
            b"{}",
            b'{"class_name": "Dense"}',
            b'{"class_name": 5, "config": {}}',
            b'{"class_name": "", "config": {}}',
            b'{"class_name": "Dense", "config": 3}',
            b'{"class_name": "Dense", "class_name": "Lambda", "config": {"name": "a"}}',
            b'{"class_name": "Dense", "config": {"name": "a", "name": "b"}}',
            b'\xef\xbb\xbf{"class_name": "Dense", "config": {}}',
            b'{"class_name": "Dense", "config": {}} x',
            b'{"class_name": "Dense\xff", "config": {}}',
            b'{"class_name": "Dense", "config": {"name": "\\ud800"}}',
            b'{"class_name": "Dense", "config": {"units": ' + b"9" * 5000 + b"}}",
            b'{"class_name": "Sequential", "config": {"name": "s"}}',
            b'{"class_name": "Sequential", "config": {"name": "s", "layers": 3}}',
            b'{"class_name": "Sequential", "config": {"name": "s", "layers": [3]}}',
            b'{"class_name": "Adam", "config": {"learning_rate": 0.1}}',
        ],
    )
    def test_no_config(self, data: bytes) -> None:
        assert refused(data) == "KCF-01"

    @pytest.mark.parametrize(
        "data",
        [
            b"[" * 100_000,
            b'{"class_name": "Dense", "config": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
            b'{"class_name": "Dense", "config": {"a": [' + b"[]," * 1_000_000 + b"0]}}",
            b'{"class_name": "Dense", "config": {"a": "' + b"\\n" * 1_100_000 + b'"}}',
            b'{"class_name": "Dense", "config": {"a": ['
            + b"99999999999999999," * 140_000
            + b"0]}}",
            b'{"class_name": "Dense", "config": {"a": "' + b"a" * LIMITS.config_bytes + b'"}}',
            b'{"class_name": "Dense", "config": {"name": "' + b"n" * 5000 + b'"}}',
        ],
        ids=["arrays", "objects", "values", "escapes", "integers", "size", "name"],
    )
    def test_limits(self, data: bytes) -> None:
        assert refused(data) == "KCF-02"

    @pytest.mark.parametrize("depth", [LIMITS.json_depth, LIMITS.config_depth - 2])
    def test_a_topology_is_no_deeper_than_other_json(self, depth: int) -> None:
        def nested(levels: int) -> bytes:
            inner = b'{"a":' * levels + b"1" + b"}" * levels
            return b'{"class_name": "Dense", "config": {"name": "d", "x": ' + inner + b"}}"

        component(nested(LIMITS.json_depth - 2))
        assert refused(nested(depth)) == "KCF-02"

    def test_a_deep_caller_gets_a_finding(self) -> None:
        def call(depth: int) -> str:
            return call(depth - 1) if depth else refused(data)

        data = b'{"class_name": "Dense", "config": {"x": ' + b"[" * 490 + b"]" * 490 + b"}}"
        assert call(sys.getrecursionlimit() - 500) == "KCF-02"

    def test_models_in_models(self) -> None:
        value: Any = DENSE
        for number in range(LIMITS.config_layer_depth + 1):
            value = {
                "class_name": "Sequential",
                "config": {"name": f"s{number}", "layers": [value]},
            }
        assert refused(json.dumps(value).encode()) == "KCF-02"

    def test_brackets_in_strings_do_not_count(self) -> None:
        text = '[{"' * 1000 + '\\\\"'
        component({**DENSE, "config": {**DENSE["config"], "note": text}})

    def test_findings_name_the_place(self) -> None:
        with pytest.raises(BundleError) as caught:
            component(sequential(DENSE, {"class_name": "Dense", "config": "x"}))
        assert caught.value.findings[0].place == "c.json#/config/layers/1"


@pytest.fixture(scope="module")
def text() -> bytes:
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "x"},
         "name": "x", "inbound_nodes": []},
        {**DENSE, "name": "d", "inbound_nodes": [[["x", 0, 0, {}]]]},
        {**SEQUENTIAL, "name": "s", "inbound_nodes": [[["d", 0, 0, {"mask": None}]]]},
        {"class_name": "TFOpLambda", "name": "t", "config": {"name": "t", "function": "concat"},
         "inbound_nodes": [[["s", 1, 0, {"axis": -1}], ["d", 0, 0, {"y": ["x", 0, 0]}]]]},
    ]  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]],
              "output_layers": [["t", 0, 0]]}  # fmt: skip
    return json.dumps({"class_name": "Functional", "config": config}).encode()


class TestDamage:
    """Whatever the bytes, the answer is an artifact or a finding."""

    def answer(self, data: bytes) -> None:
        try:
            read(tree(data))
        except BundleError as error:
            assert error.findings[0].rule.startswith("KCF-")

    def test_truncated(self, text: bytes) -> None:
        read(tree(text))
        for end in range(0, len(text), 3):
            self.answer(text[:end])

    def test_flipped(self, text: bytes) -> None:
        dice = random.Random(7)
        for _ in range(3000):
            data = bytearray(text)
            for _ in range(dice.randint(1, 4)):
                data[dice.randrange(len(data))] = dice.choice(b'{}[],:"0-1exnull\\\x00\xff')
            self.answer(bytes(data))

    def test_values_replaced(self, text: bytes) -> None:
        dice = random.Random(8)
        values = [
            b"null",
            b"[]",
            b"{}",
            b'""',
            b'"a>"',
            b"-1",
            b"1e999",
            b"true",
            b'["x",0,0]',
            b"9" * 30,
        ]
        pieces = re.split(rb'("[^"]*"(?!\s*:)|\bnull\b|\d+)', text)
        for _ in range(2000):
            changed = list(pieces)
            changed[dice.randrange(0, len(pieces) // 2) * 2 + 1] = dice.choice(values)
            self.answer(b"".join(changed))

    @settings(max_examples=300, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["class_name", "config", "name", "layers", "inbound_nodes",
                                     "args", "kwargs", "input_layers", "output_layers", "dtype"]),
                    inner, max_size=5)
            ),
            max_leaves=20,
        )
    )  # fmt: skip
    def test_invented(self, value: Any) -> None:
        value = {"class_name": "Functional", "config": value}
        self.answer(json.dumps(value).encode("utf-8", "surrogatepass"))
