"""A program traced by JAX, evaluated operation by operation in float64 under a visitor's eyes.

`evaluate` walks a jaxpr: calls, scans, loops and branches are descended into, every other
operation is executed as it stands, with float32 and narrower widened to float64. The visitor sees
the operands and the results of each operation and may change them; it draws its noise or its
conclusions there. Needs JAX with 64-bit types enabled.

    evaluate(jax.make_jaxpr(f)(x), [x], Visitor())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Value = Any
"""A JAX array, or a number."""

_CALLS = frozenset(
    {
        "jit", "pjit", "closed_call", "core_call", "call", "remat", "remat2", "checkpoint",
        "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin",
    }
)  # fmt: skip
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""Under which of its parameters a call has what it calls."""

_DTYPES = ("new_dtype", "preferred_element_type", "dtype", "out_dtype")

RANDOM = frozenset(
    {
        "random_bits", "random_gamma", "rng_bit_generator", "rng_uniform", "threefry2x32",
        "random_seed", "random_wrap",
    }
)  # fmt: skip
"""Operations that give other values each time: no golden vector can hold them."""


class RandomGraphError(ValueError):
    """The program draws random numbers; the message names the operation."""


class Visitor:
    """Sees every operation and changes nothing."""

    def entering(self, values: list[Value]) -> list[Value]:
        """What the program is to work on, given its arguments or its constants."""
        return values

    def operands(self, name: str, values: list[Value], params: Mapping[str, Any]) -> list[Value]:
        """What operation `name` is to work on, given what it would."""
        return values

    def results(
        self, name: str, operands: list[Value], params: Mapping[str, Any], results: list[Value]
    ) -> list[Value]:
        """What goes on from operation `name`, given what it computed."""
        return results


def evaluate(program: Any, arguments: Sequence[Value], visitor: Visitor) -> list[Value]:
    """Results of a ClosedJaxpr; raises `RandomGraphError` at an operation of `RANDOM`."""
    constants = visitor.entering([widened(value) for value in program.consts])
    given = visitor.entering([widened(value) for value in arguments])
    return _Walk(visitor).run(program.jaxpr, constants, given)


def widened(value: Value) -> Value:
    """A value with float32 and narrower as float64, complex64 as complex128."""
    import jax.numpy as jnp

    wide = _wide(getattr(value, "dtype", None))
    return value if wide is None else jnp.asarray(value, wide)


def _wide(dtype: Any) -> Any:
    """The wide type for a narrow one; None where `dtype` is none of them."""
    import jax.numpy as jnp

    if dtype is None or not jnp.issubdtype(dtype, jnp.inexact):
        return None
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return None if dtype == np.complex128 else np.complex128
    return None if dtype == np.float64 else np.float64


class _Walk:
    """One evaluation."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    def run(
        self, jaxpr: Any, constants: Sequence[Value], arguments: Sequence[Value]
    ) -> list[Value]:
        """Results of an open jaxpr."""
        from jax.extend.core import Literal

        values: dict[Any, Value] = dict(zip(jaxpr.constvars, constants, strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> Value:
            return widened(atom.val) if isinstance(atom, Literal) else values[atom]

        for equation in jaxpr.eqns:
            results = self._step(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _closed(self, closed: Any, arguments: Sequence[Value]) -> list[Value]:
        """Results of a body, which is a closed or an open jaxpr."""
        if hasattr(closed, "consts"):
            return self.run(closed.jaxpr, [widened(value) for value in closed.consts], arguments)
        return self.run(closed, (), arguments)

    def _step(self, equation: Any, values: list[Value]) -> list[Value]:
        name, params = equation.primitive.name, equation.params
        if name in _CALLS:
            body = next(params[key] for key in _BODIES if key in params)
            return self._closed(body, values)
        if name in RANDOM:
            raise RandomGraphError(f"the program draws random numbers ({name})")
        descend = {"scan": self._scan, "while": self._while, "cond": self._cond}.get(name)
        return descend(params, values) if descend else self._operation(equation, values)

    def _operation(self, equation: Any, values: list[Value]) -> list[Value]:
        name, primitive = equation.primitive.name, equation.primitive
        params = {key: _wide_param(key, value) for key, value in equation.params.items()}
        operands = self._visitor.operands(name, values, equation.params)
        results = primitive.bind(*operands, **params)
        listed = list(results) if primitive.multiple_results else [results]
        return self._visitor.results(name, operands, {**params, "_bind": primitive.bind}, listed)

    def _scan(self, params: Mapping[str, Any], values: list[Value]) -> list[Value]:
        import jax.numpy as jnp

        constants, rest = _split(values, params["num_consts"])
        carry, sequences = _split(rest, params["num_carry"])
        length = params["length"]
        rows: list[list[Value]] = []
        order = range(length)[::-1] if params["reverse"] else range(length)
        for at in order:
            step = [sequence[at] for sequence in sequences]
            carry, row = _split(
                self._closed(params["jaxpr"], [*constants, *carry, *step]), len(carry)
            )
            rows.append(row)
        if params["reverse"]:
            rows.reverse()
        if not rows:
            shapes = params["jaxpr"].out_avals[len(carry) :]
            return [*carry, *(jnp.zeros((0, *s.shape), _wide(s.dtype) or s.dtype) for s in shapes)]
        return [*carry, *(jnp.stack(column) for column in zip(*rows, strict=True))]

    def _while(self, params: Mapping[str, Any], values: list[Value]) -> list[Value]:
        test, rest = _split(values, params["cond_nconsts"])
        constants, carry = _split(rest, params["body_nconsts"])
        while bool(self._closed(params["cond_jaxpr"], [*test, *carry])[0]):
            carry = self._closed(params["body_jaxpr"], [*constants, *carry])
        return carry

    def _cond(self, params: Mapping[str, Any], values: list[Value]) -> list[Value]:
        chosen = min(max(int(values[0]), 0), len(params["branches"]) - 1)
        return self._closed(params["branches"][chosen], values[1:])


def _split(values: Sequence[Value], count: int) -> tuple[list[Value], list[Value]]:
    return list(values[:count]), list(values[count:])


def _wide_param(key: str, value: Any) -> Any:
    wide = _wide(value) if key in _DTYPES and value is not None else None
    return value if wide is None else np.dtype(wide)
