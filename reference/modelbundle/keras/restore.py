"""A Keras model from a bundle, as it was: no random numbers, variables bound by name.

Steps: find the config; hold what it names against what may be resolved; build the model without
values; pair every variable with the tensor of its name, one to one; read, verify and assign;
compile, and do the same with what training keeps. No variable is left without a value.

    model = to_keras(bundle)
    model.fit(x, y)          # goes on where training stopped
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from modelbundle.bundle import Bundle
from modelbundle.core.findings import BundleError, settle
from modelbundle.keras import beside, legacy, names_beside
from modelbundle.keras.asset_loading import load_assets
from modelbundle.keras.assigning import assign
from modelbundle.keras.building import as_made, build, initialise, surroundings, uncollected
from modelbundle.keras.compiling import build_late, compile_model
from modelbundle.keras.custom_objects import check_harmless, check_resolvable, given
from modelbundle.keras.pairing import ROLES, TRAINING, WEIGHTS, pair
from modelbundle.keras.saved import Saved, find
from modelbundle.keras.variables import layers, owned


def to_keras(
    bundle: Bundle,
    component: str | None = None,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    allow_unsafe: bool = False,
    compile: bool = True,  # Keras calls it so
    dtype_policy: Any = None,
) -> Any:
    """The Keras model or layer of a bundle, with its weights and the state of its training.

    `custom_objects` maps names to the classes and functions that are not Keras's own; those in an
    enclosing `keras.saving.custom_object_scope` or registered with
    `keras.saving.register_keras_serializable` are found too. `allow_unsafe` lets bytecode of the
    bundle run and files that it names be opened. `compile` restores optimizer, loss, metrics and
    their state. `dtype_policy` stands in for the global policy that was in force when the model
    was captured; it decides where a layer has none of its own.

    On Torch, a Dropout without a seed takes its numbers from Torch's own generator, which no model
    holds: training goes on bit for bit only where such layers have a seed.

    Raises `BundleError`: RST-01 for no config or several, RST-02 where names do not bind one to
    one, RST-03 for another shape or dtype, SEC-03 for classes or functions that are missing,
    SEC-04 for code that would run, TEN-10 for a damaged tensor; `UnsupportedError` (RST-04) for a
    config of Keras 1 or 2. Raises `RuntimeError` where Keras cannot build what the config says.
    """
    _import_keras()
    saved = find(bundle, component)
    known = given(custom_objects)
    _vet(saved, known, allow_unsafe, compile)
    with _scope(saved, known, dtype_policy), uncollected():
        target = build(lambda: _made(saved, known, allow_unsafe))
        _restore_flags(target, saved)
        beside.put_back_settings(target, saved.facts)
        load_assets(target, saved)
        _fill(target, saved, ROLES - TRAINING)
        if compile:
            _compile(target, saved, known, allow_unsafe)
            beside.put_back_optimizers(target, saved.facts)
            _fill(target, saved, TRAINING)
    _finish(target)
    return target


def clone(
    bundle: Bundle,
    component: str | None = None,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    allow_unsafe: bool = False,
    dtype_policy: Any = None,
) -> Any:
    """The architecture alone: fresh weights, not compiled. Raises as `to_keras` does."""
    _import_keras()
    saved = find(bundle, component)
    known = given(custom_objects)
    _vet(saved, known, allow_unsafe, training=False)
    with _scope(saved, known, dtype_policy):
        target = _made(saved, known, allow_unsafe)
        _restore_flags(target, saved)
        beside.put_back_settings(target, saved.facts)
        load_assets(target, saved)
    return target


def _import_keras() -> None:
    try:
        import keras  # noqa: F401
    except ImportError as error:
        raise ImportError("restoring models needs Keras: pip install modelbundle[keras]") from error
    legacy.register()


def _vet(saved: Saved, known: Mapping[str, Any], allow_unsafe: bool, training: bool) -> None:
    """Raise for all that may not be resolved, at once; nothing of the config has run before."""
    config = saved.config()
    if not training and isinstance(config, dict):
        config.pop("compile_config", None)
    looked_at = [config, dict(saved.training)] if training else [config]
    findings = [*check_resolvable(looked_at, saved.place, known)]
    if not allow_unsafe:
        findings += check_harmless(config, saved.place)
        findings += check_harmless(looked_at[1:], saved.training_place, layers=False)
    settle(findings)


@contextmanager
def _scope(saved: Saved, known: Mapping[str, Any], dtype_policy: Any) -> Iterator[None]:
    """The global settings of the capture, and the custom objects in scope."""
    import keras

    facts = saved.facts
    policy = facts.get("dtype_policy") if dtype_policy is None else dtype_policy
    if isinstance(policy, Mapping):
        policy = keras.dtype_policies.deserialize(dict(policy))
    floatx, image_data_format = facts.get("floatx"), facts.get("image_data_format")
    with (
        surroundings(dtype_policy=policy, floatx=floatx, image_data_format=image_data_format),
        keras.saving.custom_object_scope(dict(known)),
    ):
        yield


def _made(saved: Saved, known: Mapping[str, Any], allow_unsafe: bool) -> Any:
    from keras.src.saving.serialization_lib import ObjectSharingScope

    config = saved.config()
    config.pop("compile_config", None)
    known = {**known, **names_beside.give(config, known)}
    with ObjectSharingScope():
        return _resolve(config, saved, known, allow_unsafe)


def _resolve(config: Any, saved: Saved, known: Mapping[str, Any], allow_unsafe: bool) -> Any:
    """A serialised object of a vetted config; raises `RuntimeError` where Keras cannot make it."""
    import keras

    deserialize = keras.saving.deserialize_keras_object
    if isinstance(config, dict) and "class_name" in config and "module" not in config:
        deserialize = _deserialize_legacy
    try:
        return deserialize(config, custom_objects=dict(known), safe_mode=not allow_unsafe)
    except BundleError:
        raise
    except Exception as error:
        written = saved.component.properties.get("keras_version") or saved.facts.get(
            "keras_version"
        )
        versions = f"Keras {keras.__version__}, the config is of {written or 'an unknown version'}"
        raise RuntimeError(f"{saved.place}: Keras cannot build it ({versions}): {error}") from error


def _deserialize_legacy(config: Any, custom_objects: Any, safe_mode: bool) -> Any:
    """As Keras 3 reads the config in a whole model in HDF5, where classes have no modules."""
    from keras.src.legacy.saving.saving_options import keras_option_scope
    from keras.src.legacy.saving.saving_utils import model_from_config
    from keras.src.saving.serialization_lib import SafeModeScope

    with keras_option_scope(use_legacy_config=True), SafeModeScope(safe_mode):
        return model_from_config(config, custom_objects=custom_objects)


def _restore_flags(target: Any, saved: Saved) -> None:
    """Which layers were frozen, where the capture noted it."""
    if not saved.captured:
        return
    frozen = set(saved.facts.get("frozen", ()))
    for path, layer in layers(target).items():
        if layer._trainable != (path not in frozen):
            layer._trainable = path not in frozen
            for variable in layer._trainable_variables:
                variable.trainable = layer._trainable


def _compile(target: Any, saved: Saved, known: Mapping[str, Any], allow_unsafe: bool) -> None:
    from keras.src.saving.serialization_lib import ObjectSharingScope

    def resolve(value: Any) -> Any:
        return _resolve(value, saved, known, allow_unsafe)

    if hasattr(target, "compile_from_config"):
        with ObjectSharingScope():
            kept = sum(tensor.role == "optimizer" for tensor in saved.tensors())
            served = _served(target, saved)
            compile_model(target, saved.training, resolve, served, kept)
            _in_order(target, served)
            states = (t for t in saved.tensors() if t.role == "metric")
            build_late(target, {tensor.name: tensor.shape for tensor in states})


def _served(target: Any, saved: Saved) -> list[Any]:
    """The variables that the optimizer has slots for; none where those are all that is trained."""
    by_name = {item.name: item.variable for item in owned(target, training=False)}
    if told := saved.training.get("trained"):
        return [by_name[name] for name in told if name in by_name]
    slots = (t for t in saved.names("keras").values() if t.role == "optimizer")
    names = dict.fromkeys(slot.attributes["of"] for slot in slots if "of" in slot.attributes)
    found = [by_name[name] for name in names if name in by_name]
    trained = {id(variable) for variable in target.trainable_variables}
    return [] if {id(variable) for variable in found} == trained else found


def _in_order(target: Any, served: Sequence[Any]) -> None:
    """Bring the weights of each layer into the order of the optimizer, as far as it has them.

    A layer that is quantised before it is built makes them in another order than one after.
    """
    order = {id(variable): number for number, variable in enumerate(served)}
    for layer in layers(target).values():
        own = layer._trainable_variables
        numbers = [order.get(id(variable), -1) for variable in own]
        if -1 not in numbers and numbers != sorted(numbers):
            own[:] = sorted(own, key=lambda variable: order[id(variable)])


def _fill(target: Any, saved: Saved, roles: frozenset[str]) -> None:
    """Give the variables of some roles their values; raises with all that does not bind, before.

    An optimizer takes variables that have values, so theirs come first.
    """
    items = [item for item in owned(target) if item.role in roles]
    pairs = pair(target, items, saved, roles)
    with as_made(layers(target).values()):
        assign(saved.bundle, [(item.variable, tensor) for item, tensor in pairs])
        initialise(item.variable for item in items)
    for item, tensor in pairs if saved.captured else ():
        if tensor.role in WEIGHTS and item.role != tensor.role:
            item.variable.trainable = tensor.role == "trainable"


def _finish(target: Any) -> None:
    """What layers do once their variables have values: constants from them, lists of Torch's."""
    import keras

    for layer in layers(target).values():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
        if keras.backend.backend() == "torch" and layer.built:
            layer._post_build()
        mode = getattr(layer, "quantization_mode", None)
        if mode in ("gptq", "awq"):  # what is saved in these modes is always calibrated
            setattr(layer, f"is_{mode}_calibrated", True)
