"""What two Keras objects hold, compared bit for bit under the names of `variables.owned`."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelbundle.keras.variables import owned


def state(target: Any, *, rng: bool = True) -> dict[str, tuple[str, str, bytes]]:
    """Role, dtype and bytes of every variable; `rng` includes the state of random generators."""
    return {
        item.name: (item.role, str(item.variable.dtype), values(item.variable).tobytes())
        for item in owned(target)
        if rng or item.role != "rng"
    }


def values(variable: Any) -> np.ndarray:
    """The value of a variable of any backend."""
    from keras import ops

    return np.asarray(ops.convert_to_numpy(variable.value))


def assert_same(first: Any, second: Any, *, rng: bool = True) -> None:
    """Fail unless both own variables of the same names, roles, dtypes and bytes."""
    one, two = state(first, rng=rng), state(second, rng=rng)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
