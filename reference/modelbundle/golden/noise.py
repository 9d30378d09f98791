"""How a program answers to rounding: noise at the level of operations (spec: Golden vectors).

For each channel of `tolerance.CHANNELS` the program runs `RUNS` times in float64 with random
noise; what is kept is the root-mean-square change of each output element per unit roundoff. Moving
data, comparing, choosing and taking a maximum are exact and get no noise. The noise comes from a
counter-based generator with the key (seed, channel, run): the same in every process.

    response(program, arguments, y64, seed=0).channels[0].values["st"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbundle.golden.tolerance import CHANNELS, Channels, Real
from modelbundle.golden.trace import Value, Visitor, evaluate

RUNS = 16
"""Runs a channel: a root mean square of 16 is within 18% of the true one (one sigma)."""

AMPLITUDES = {"st": 2.0**-24, "ab": 2.0**-24, "acc": 2.0**-24, "mm": 2.0**-11, "wt": 2.0**-11}
"""Unit roundoff u of the noise itself: that of the precision which the channel stands for."""

DECISION_AMPLITUDE = 16 * 2.0**-24
"""Noise under which a discrete output has to keep its value to count as decided."""

CONTRACTIONS = frozenset({"dot_general", "conv_general_dilated", "ragged_dot_general"})

APPROXIMATED = frozenset({"tanh", "logistic", "erf", "erfc", "log1p", "expm1", "sin", "cos"})
"""Functions that engines approximate with an absolute error."""

EXACT = frozenset(
    {
        "abs", "and", "argmax", "argmin", "bitcast_convert_type", "broadcast_in_dim", "ceil",
        "clamp", "complex", "concatenate", "conj", "convert_element_type", "copy", "copy_p",
        "cummax", "cummin", "device_put", "dynamic_slice", "dynamic_update_slice", "empty2",
        "eq", "eq_to", "expand_dims", "floor", "gather", "ge", "gt", "imag", "iota", "is_finite",
        "le", "le_to", "lt", "lt_to", "max", "min", "name", "ne", "neg", "nextafter", "not",
        "optimization_barrier", "or", "pad", "real", "reduce_and", "reduce_max", "reduce_min",
        "reduce_or", "reduce_window_max", "reduce_window_min", "reduce_xor", "reshape", "rev",
        "round", "scatter", "scatter_max", "scatter_min", "select_and_gather_add", "select_n",
        "sharding_constraint", "shift_left", "shift_right_arithmetic", "shift_right_logical",
        "sign", "slice", "sort", "split", "squeeze", "stop_gradient", "top_k", "transpose", "xor",
    }
)  # fmt: skip
"""Operations without rounding."""

ROUNDING = frozenset(
    {
        "acos", "acosh", "add", "add_any", "asin", "asinh", "atan", "atan2", "atanh", "cbrt",
        "cosh", "cumlogsumexp", "cumprod", "cumsum", "div", "exp", "exp2", "fft", "integer_pow",
        "log", "mul", "pow", "reduce_precision", "reduce_prod", "reduce_sum", "reduce_window_sum",
        "rem", "rsqrt", "scatter-add", "scatter_add", "sinh", "sqrt", "square", "sub", "tan",
        *APPROXIMATED, *CONTRACTIONS,
    }
)  # fmt: skip
"""Operations whose rounding is modelled; all others that give floats round once, and are named."""


def squares(name: str, operands: Sequence[Value], params: Mapping[str, Any]) -> Value:
    """V, the sum of the squared terms of a contraction or sum."""
    bind = params["_bind"]
    given = {key: value for key, value in params.items() if key != "_bind"}
    if name == "fft":
        return (abs(operands[0]) ** 2).sum(axis=_fft_axes(operands[0], params), keepdims=True)
    if name in ("scatter-add", "scatter_add"):
        return bind(operands[0] ** 2, operands[1], operands[2] ** 2, **given)
    return bind(*(operand * operand for operand in operands), **given)


def _fft_terms(operands: Sequence[Value], params: Mapping[str, Any]) -> float:
    """The depth of a fast transform, whose error grows with the logarithm of its length."""
    length = prod(operands[0].shape[axis] for axis in _fft_axes(operands[0], params))
    return max(float(np.log2(max(length, 1))), 1.0)


def _kernel_terms(operands: Sequence[Value], params: Mapping[str, Any]) -> float:
    kernel = operands[1].shape
    return float(prod(kernel) / max(kernel[params["dimension_numbers"].rhs_spec[0]], 1))


def _scatter_terms(operands: Sequence[Value], params: Mapping[str, Any]) -> float:
    return float(1 + prod(operands[2].shape) / max(prod(operands[0].shape), 1))


_Terms = Callable[[Sequence[Value], Mapping[str, Any]], float]

TERMS: dict[str, _Terms] = {
    "dot_general": lambda x, p: prod(x[0].shape[at] for at in p["dimension_numbers"][0][0]),
    "ragged_dot_general": lambda x, _: x[0].shape[-1],
    "conv_general_dilated": _kernel_terms,
    "reduce_sum": lambda x, p: prod(x[0].shape[at] for at in p["axes"]),
    "cumsum": lambda x, p: x[0].shape[p["axis"]],
    "reduce_window_sum": lambda _, p: prod(p["window_dimensions"]),
    "scatter-add": _scatter_terms,
    "scatter_add": _scatter_terms,
    "fft": _fft_terms,
}
"""K, how many terms each result of a contraction or sum has."""


def _fft_axes(operand: Value, params: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(range(operand.ndim - len(params["fft_lengths"]), operand.ndim))


class Noise(Visitor):
    """Injects the noise of `channels`, each with unit roundoff `amplitude`."""

    def __init__(
        self, channels: Sequence[str], amplitude: float, random: np.random.Generator
    ) -> None:
        self._channels = frozenset(channels)
        self._u = amplitude
        self._random = random
        self.unmodelled: set[str] = set()
        """Operations met whose rounding is not modelled."""

    def entering(self, values: list[Value]) -> list[Value]:
        """Weights and inputs, rounded for `wt`."""
        return list(map(self.rounded, values)) if "wt" in self._channels else values

    def operands(self, name: str, values: list[Value], params: Mapping[str, Any]) -> list[Value]:
        """Operands of contractions, rounded for `mm`."""
        if name in CONTRACTIONS and "mm" in self._channels:
            return [self.rounded(value) for value in values]
        return values

    def results(
        self, name: str, operands: list[Value], params: Mapping[str, Any], results: list[Value]
    ) -> list[Value]:
        """Results with the noise of their operation."""
        if name in EXACT or not any(map(_is_inexact, results)):
            return results
        if name not in ROUNDING:
            self.unmodelled.add(name)
        if "acc" in self._channels and name in TERMS:
            results = [self._accumulated(name, operands, params, results[0])]
        if "ab" in self._channels and name in APPROXIMATED:
            results = [y + self._u * self._uniform(y.shape) for y in results]
        if "st" in self._channels:
            results = [self.rounded(y) for y in results]
        return results

    def rounded(self, value: Value) -> Value:
        """`value` times 1 + u·U(-1, 1); what is no float stays."""
        if not _is_inexact(value):
            return value
        if np.iscomplexobj(value):
            parts = self._uniform(value.shape) + 1j * self._uniform(value.shape)
            return value + self._u * abs(value) * parts
        return value * (1 + self._u * self._uniform(value.shape))

    def _accumulated(
        self, name: str, operands: Sequence[Value], params: Mapping[str, Any], total: Value
    ) -> Value:
        """A sum plus u·sqrt(K·(S²/3 + V/6))·N(0, 1): any order of adding, and drift."""
        import jax.numpy as jnp

        variance = abs(total) ** 2 / 3 + squares(name, operands, params) / 6
        spread = self._u * jnp.sqrt(TERMS[name](operands, params) * variance)
        noise = spread * self._random.standard_normal(total.shape, np.float32)
        return total + jnp.where(jnp.isfinite(noise), noise, 0.0)

    def _uniform(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        return 2.0 * self._random.random(shape, np.float32).astype(np.float64) - 1.0


def _is_inexact(value: Value) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and dtype.kind in "fc"


@dataclass(frozen=True)
class Response:
    """How the outputs of a program answer, one item an output.

    A float output has channels. Of any other, `decided` marks the elements that noise of
    `DECISION_AMPLITUDE` never changed; for float outputs it is None.
    """

    channels: tuple[Channels, ...]
    decided: tuple[NDArray[np.bool_] | None, ...]
    unmodelled: tuple[str, ...]
    """Operations that were met and whose rounding is not modelled."""


def response(
    program: Any, arguments: Sequence[Value], golden: Sequence[NDArray[Any]], seed: int
) -> Response:
    """Run `program` under the noise of every channel; `golden` are its outputs without noise.

    `seed` is from 0 to 2^64 - 1. Raises `trace.RandomGraphError`.
    """
    study = _Study(program, arguments, golden, seed)
    by_channel = {name: study.rms(name) for name in CHANNELS}
    channels = tuple(
        Channels({name: by_channel[name][at] for name in CHANNELS} if _is_inexact(y) else {})
        for at, y in enumerate(golden)
    )
    return Response(channels, study.decided(), tuple(sorted(study.unmodelled)))


class _Study:
    """The noisy runs of one program."""

    def __init__(
        self,
        program: Any,
        arguments: Sequence[Value],
        golden: Sequence[NDArray[Any]],
        seed: int,
    ) -> None:
        self._program = program
        self._arguments = arguments
        self._golden = golden
        self._seed = seed
        self.unmodelled: set[str] = set()

    def rms(self, channel: str) -> list[Real]:
        """Root-mean-square change of each output per unit roundoff; zeros for discrete ones."""
        u = AMPLITUDES[channel]
        sums = [np.zeros(y.shape) for y in self._golden]
        for outputs in self._runs(channel, (channel,), u):
            for at, y in enumerate(self._golden):
                if _is_inexact(y):
                    sums[at] += _squared_change(outputs[at], y)
        return [np.sqrt(total / RUNS) / u for total in sums]

    def decided(self) -> tuple[NDArray[np.bool_] | None, ...]:
        """Where discrete outputs keep their values; None for float outputs."""
        kept = {
            at: np.ones(y.shape, bool) for at, y in enumerate(self._golden) if not _is_inexact(y)
        }
        if kept:
            for outputs in self._runs("decisions", ("st", "ab", "acc"), DECISION_AMPLITUDE):
                for at in kept:
                    kept[at] &= outputs[at] == self._golden[at]
        return tuple(map(kept.get, range(len(self._golden))))

    def _runs(
        self, name: str, channels: Sequence[str], amplitude: float
    ) -> Iterator[list[NDArray[Any]]]:
        number = (*CHANNELS, "decisions").index(name)
        for run in range(RUNS):
            random = np.random.Generator(np.random.Philox(key=[self._seed, number << 32 | run]))
            noise = Noise(channels, amplitude, random)
            yield list(map(np.asarray, evaluate(self._program, self._arguments, noise)))
            self.unmodelled |= noise.unmodelled


def _squared_change(noisy: NDArray[Any], golden: NDArray[Any]) -> Real:
    """Squared change of each element; 0 where the golden value is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        change: Real = np.abs(noisy - golden) ** 2
    return np.where(np.isfinite(golden), change, 0.0)
