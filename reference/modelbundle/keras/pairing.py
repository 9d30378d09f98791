"""Each variable of a restored model with its tensor: by name, one to one, nothing left over.

A captured model names its tensors as `variables.owned` does, and everything must be there. Files
that Keras wrote name what they can; a variable of a class of somebody else is found where Keras
stored it (`layers/mine/vars/0`). They lack what Keras does not save: the state of metrics and
random generators, which then begin anew.

    pairs = pair(model, owned(model), find(bundle), ROLES)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelbundle.bundle import Tensor
from modelbundle.core.findings import MAX_FINDINGS, Finding, checks, clip, settle
from modelbundle.keras import stored_paths
from modelbundle.keras.saved import Saved
from modelbundle.keras.variables import Owned

WEIGHTS = frozenset({"trainable", "non-trainable"})
TRAINING = frozenset({"optimizer", "metric"})
ROLES = WEIGHTS | TRAINING | {"rng", "other"}

_MERGED = frozenset({"lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b"})
"""Variables whose effect Keras adds to the weights when it saves them, and does not save."""

Pairs = list[tuple[Owned, Tensor]]


def pair(target: Any, items: Sequence[Owned], saved: Saved, roles: frozenset[str]) -> Pairs:
    """Pairs for `items`; raises `BundleError` with all that does not bind (RST-02) or fit (RST-03).

    No tensor of `roles` may be left over. Variables that need no tensor are in no pair.
    """
    named = saved.names("keras")
    stored = {} if saved.captured else _stored(target, saved)
    pairs: Pairs = []
    lacking: list[Owned] = []
    for item in items:
        found = named.get(item.name) or named.get(item.variable.path)
        if found := found or next(iter(stored.get(id(item.variable), ())), None):
            pairs.append((item, found))
        else:
            lacking.append(item)
    left = _left(saved, stored, pairs, roles)
    held = {tensor.role for tensor in (*named.values(), *saved.names("hdf5").values())}
    settle(_check_names(saved, lacking, left, held))
    settle(_check_fit(pairs))
    return pairs


def _stored(target: Any, saved: Saved) -> dict[int, list[Tensor]]:
    """By variable, the tensors at the paths where Keras stores it."""
    tensors = saved.names("hdf5")
    found: dict[int, list[Tensor]] = {}
    for path, variable in stored_paths.variables(target).items():
        if path in tensors:
            found.setdefault(id(variable), []).append(tensors[path])
    return found


def _left(
    saved: Saved, stored: Mapping[int, Sequence[Tensor]], pairs: Pairs, roles: frozenset[str]
) -> list[Tensor]:
    """The tensors of `roles` that no variable has, less those that need none."""
    bound = {id(item.variable) for item, _ in pairs}
    used = {tensor.name for _, tensor in pairs}
    used |= {tensor.name for key in bound & stored.keys() for tensor in stored[key]}
    wanted = roles if saved.captured else roles - {"metric", "rng"}
    every = {t.name: t for t in saved.tensors()}
    return [t for name, t in sorted(every.items()) if name not in used and t.role in wanted]


@checks("RST-02")
def _check_names(
    saved: Saved, lacking: Sequence[Owned], left: Sequence[Tensor], roles: set[str]
) -> Iterator[Finding]:
    """Findings for variables without a tensor and tensors without a variable."""
    for item in lacking[:MAX_FINDINGS]:
        merged = not saved.captured and item.name.rpartition("/")[2] in _MERGED
        if item.role in WEIGHTS | roles and not merged:
            hint = "" if roles & WEIGHTS else "the bundle holds no weights: use clone()"
            expected = f"a tensor for the {item.role} variable {clip(item.name)}"
            yield Finding("RST-02", saved.place, expected, "none", hint)
    for tensor in left[:MAX_FINDINGS]:
        expected = f"a variable for the {tensor.role} tensor {clip(tensor.name)}"
        hint = "the model was not built as it was: see build() and get_build_config()"
        yield Finding("RST-02", saved.place, expected, "none", hint)


@checks("RST-03")
def _check_fit(pairs: Pairs) -> Iterator[Finding]:
    """Findings where a tensor has another shape or dtype than its variable."""
    for item, tensor in pairs:
        found = f"{tensor.dtype}{list(tensor.shape)}"
        expected = f"{item.variable._dtype}{list(item.variable.shape)}"
        if found != expected and not _is_state(item, tensor):
            yield Finding("RST-03", clip(item.name), expected, f"{found} in {clip(tensor.name)}")


def _is_state(item: Owned, tensor: Tensor) -> bool:
    """Whether it is a counter or a random generator's state of another backend, as it is.

    They are int64 on TensorFlow, uint32 or int32 elsewhere; a generator has a seed and a counter.
    """
    import numpy as np

    if (item.role != "rng" and tensor.shape) or tuple(item.variable.shape) != tuple(tensor.shape):
        return False
    values, wanted = tensor.numpy(), np.dtype(item.variable._dtype)
    if values.dtype.kind not in "iu" or wanted.kind not in "iu":
        return False
    return bool((values.astype(wanted).astype(object) == values.astype(object)).all())
