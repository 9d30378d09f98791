"""The interpreter against JAX itself, and its noise against real float32 arithmetic."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from modelbundle.golden.exactness import Exactness, quantum
from modelbundle.golden.noise import response
from modelbundle.golden.tolerance import PROFILES, judge, sigma
from modelbundle.golden.trace import RandomGraphError, Visitor, evaluate

jax = pytest.importorskip("jax")
jnp, lax = jax.numpy, jax.lax

pytestmark = pytest.mark.frameworks


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """64-bit types, for these tests only."""
    with jax.enable_x64(True):
        yield


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def rms(function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Channels of the only output of a function."""
    program = jax.make_jaxpr(function)(*arguments)
    golden = np.asarray(function(*arguments))
    return dict(response(program, arguments, [golden], 0).channels[0].values)


@jax.custom_jvp
def twice(x: Any) -> Any:
    return 2.0 * x


twice.defjvp(lambda primals, tangents: (twice(*primals), 2.0 * tangents[0]))

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "jit": jax.jit(jnp.sin),
    "scan": lambda x: lax.scan(lambda c, r: (c + jnp.tanh(r), c * r), x[0], x)[1],
    "scan backwards": lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x, reverse=True)[1],
    "scan of nothing": lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x[:0])[0],
    "fori": lambda x: lax.fori_loop(0, 5, lambda i, c: c * 1.5 + i, x),
    "while": lambda x: lax.while_loop(lambda c: c.sum() < 100.0, lambda c: c + 1.0, x),
    "cond": lambda x: lax.cond(x[0, 0] > 0, jnp.cos, jnp.exp, x),
    "switch": lambda x: lax.switch(7, [jnp.cos, jnp.exp, jnp.sin], x),
    "custom_jvp": lambda x: twice(x) + jax.nn.relu(x) + jax.nn.silu(x),
    "remat": jax.checkpoint(jnp.sin),
    "convolution": lambda x: lax.conv(x[None, None], x[None, None, :2, :2], (1, 1), "SAME"),
    "windows": lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 1), "SAME"),
    "sort": lambda x: jnp.sort(x, axis=0) + lax.top_k(x, 4)[0],
    "gather": lambda x: x[jnp.array([2, 0, 1, 1])] + jnp.take(x, 1, axis=0),
    "scatter": lambda x: jnp.asarray(x).at[jnp.array([0, 0, 1])].add(x[:3]),
    "cumulative": lambda x: jnp.cumsum(x, 0) + jnp.cumprod(x, 1) + lax.cummax(x),
    "fft": lambda x: jnp.abs(jnp.fft.rfft2(x))[:, :3],
    "special": lambda x: jax.scipy.special.erf(x) + jax.nn.gelu(x) + jnp.log1p(x * x) + x**3,
    "constants": lambda x: x + jnp.arange(4, dtype=jnp.float32) / 3,
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_evaluation_is_that_of_jax(name: str) -> None:
    function, x = PROGRAMS[name], normal(4, 4)
    found = evaluate(jax.make_jaxpr(function)(x), [x], Visitor())[0]
    assert found.dtype in (np.float64, np.complex128)
    rounded = name == "constants"  # which JAX itself computes in float32
    np.testing.assert_allclose(found, function(x), rtol=1e-14, atol=1e-7 if rounded else 1e-15)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_operation_is_modelled(name: str) -> None:
    function, x = PROGRAMS[name], normal(4, 4)
    golden = np.asarray(evaluate(jax.make_jaxpr(function)(x), [x], Visitor())[0])
    found = response(jax.make_jaxpr(function)(x), [x], [golden], 0)
    assert found.unmodelled == ()
    assert all(np.isfinite(values).all() for values in found.channels[0].values.values())


def test_an_unknown_operation_is_named() -> None:
    x = normal(3, 3) + 5 * np.eye(3)
    program = jax.make_jaxpr(jnp.linalg.cholesky)(x @ x.T)
    golden = np.asarray(jnp.linalg.cholesky(x @ x.T))
    assert "cholesky" in response(program, [x @ x.T], [golden], 0).unmodelled


def test_narrow_programs_are_widened() -> None:
    x = normal(3, 3)
    program = jax.make_jaxpr(lambda y: (y @ y).astype(jnp.bfloat16).astype(jnp.float32))(
        np.float32(x)
    )
    found = evaluate(program, [x], Visitor())[0]
    np.testing.assert_allclose(found, x @ x, rtol=1e-14)


def test_random_numbers_are_refused() -> None:
    program = jax.make_jaxpr(lambda x: x + jax.random.normal(jax.random.key(0), (3,)))(normal(3))
    with pytest.raises(RandomGraphError, match="random"):
        evaluate(program, [normal(3)], Visitor())


def test_exact_operations_have_no_noise() -> None:
    def moved(x: Any) -> Any:
        return jnp.where(x > 0, jnp.max(x), -x.T[::-1]).reshape(16)[:9]

    found = rms(moved, normal(4, 4))
    assert not any(found[name].any() for name in ("st", "ab", "acc", "mm"))
    assert found["wt"].all()


def test_one_rounding() -> None:
    """U(-1, 1) has a root mean square of 1/sqrt(3)."""
    x = np.full(5000, 3.0)
    assert rms(lambda x: x + 1.0, x)["st"].mean() == pytest.approx(4 / np.sqrt(3), rel=0.02)
    assert rms(jnp.tanh, x)["ab"].mean() == pytest.approx(1 / np.sqrt(3), rel=0.02)


def test_accumulators() -> None:
    """u·sqrt(K·(S²/3 + V/6))."""
    a, b = normal(40, 30), normal(30, 50, seed=1)
    expected = np.sqrt(30 * ((a @ b) ** 2 / 3 + (a * a) @ (b * b) / 6))
    ratio = rms(jnp.matmul, a, b)["acc"] / expected
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1, rel=0.05)
    total = rms(lambda x: x.sum(axis=1), a)["acc"]
    wanted = np.sqrt(30 * (a.sum(1) ** 2 / 3 + (a * a).sum(1) / 6))
    assert np.sqrt(np.mean((total / wanted) ** 2)) == pytest.approx(1, rel=0.2)


def test_float32_is_within_and_lower_precision_is_not() -> None:
    a, b = np.float32(normal(20, 200)), np.float32(normal(200, 20, seed=1))
    program = jax.make_jaxpr(lambda a, b: jnp.tanh(a @ b / 10))(a, b)
    wide_a, wide_b = a.astype(float), b.astype(float)
    golden = np.tanh(wide_a @ wide_b / 10)
    answer = response(program, [a, b], [golden], 0).channels[0]
    assert judge(np.tanh(a @ b / np.float32(10)), golden, answer, PROFILES["float32"]).passed
    narrow = np.tanh(_tf32(a) @ _tf32(b) / np.float32(10))
    assert not judge(narrow, golden, answer, PROFILES["float32"]).passed
    assert judge(narrow, golden, answer, PROFILES["tf32"]).passed


def _tf32(x: Any) -> Any:
    """Rounded to 11 significant bits."""
    bits = x.view(np.uint32) + np.uint32(1 << 12)
    return (bits & ~np.uint32((1 << 13) - 1)).view(np.float32)


def test_decisions() -> None:
    x = np.array([[1.0, 1.0 + 2.0**-24, 0.0], [3.0, 1.0, 2.0]])
    program = jax.make_jaxpr(lambda x: jnp.argmax(x * 1.1, axis=1))(x)
    found = response(program, [x], [np.array([1, 0])], 0)
    assert found.decided[0] is not None
    assert found.decided[0].tolist() == [False, True]


_PROCESS = """
import hashlib, jax, numpy as np
jax.config.update("jax_enable_x64", True)
from modelbundle.golden.noise import response
x = np.linspace(-2, 2, 64).reshape(8, 8)
f = lambda x: jax.numpy.tanh(x @ x).sum(axis=0)
values = response(jax.make_jaxpr(f)(x), [x], [np.asarray(f(x))], 7).channels[0].values
print(hashlib.sha256(b"".join(values[k].tobytes() for k in sorted(values))).hexdigest())
"""


def test_processes_draw_the_same_noise() -> None:
    command = [sys.executable, "-c", _PROCESS]
    found = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]
    assert found[0] == found[1]
    assert len(found[0].strip()) == hashlib.sha256().digest_size * 2


def test_quantum() -> None:
    assert quantum(np.array([0.75, -6.0, 0.0])) == 0.25
    assert quantum(np.array([0.1])) < 2.0**-50
    assert quantum(np.zeros(3)) == np.inf


def exact(function: Callable[..., Any], *arguments: Any) -> str:
    visitor = Exactness()
    evaluate(jax.make_jaxpr(function)(*arguments), arguments, visitor)
    return visitor.reason


def test_exactness() -> None:
    whole = np.arange(-8.0, 8.0).reshape(4, 4)
    assert exact(lambda x: jax.nn.relu(x @ x + 0.5), whole) == ""
    assert exact(lambda x: x.mean(axis=0), whole) == ""
    assert exact(lambda x: x @ x, whole * 0.125) == ""
    assert "dot_general" in exact(lambda x: x @ x, whole * 0.1)
    assert "dot_general" in exact(lambda x: x @ x, whole * 2.0**11 + 1)
    assert "div" in exact(lambda x: x / 3, whole)
    assert "tanh" in exact(jnp.tanh, whole)


def test_sigma_of_a_chain_covers_float32() -> None:
    """Forty layers in float32, many times: the ratios stay near 1."""
    weights = [normal(16, 16, seed=n) / 4 for n in range(40)]

    def chain(x: Any) -> Any:
        for weight in weights:
            x = jnp.tanh(x @ jnp.asarray(weight, x.dtype))
        return x

    x = np.float32(normal(8, 16))
    golden = np.asarray(chain(x.astype(float)))
    answer = response(jax.make_jaxpr(chain)(x.astype(float)), [x], [golden], 0).channels[0]
    ratio = (np.asarray(chain(x)) - golden) / sigma(
        answer, PROFILES["float32"], np.isfinite(golden)
    )
    assert 0.05 < float(np.sqrt(np.mean(ratio**2))) < 3
