"""Engines that fail, for the tests of how a process is supervised."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from modelbundle.bundle import Bundle
from modelbundle.core.manifest import Signature
from modelbundle.engines.engine import Arrays, Description, Session, Setup


class FakeSession:
    def __init__(self, act: Callable[[Arrays], Arrays]) -> None:
        self.run = act

    def describe(self) -> Description:
        return Description("fake", "1", "cpu:0", "float32")


class FakeEngine:
    name = "fake"
    extra = "fake"

    def __init__(self, act: Callable[[Arrays], Arrays]) -> None:
        self._act = act

    def available(self) -> str | None:
        return None

    def can_run(self, bundle: Bundle, signature: Signature) -> str | None:
        return None

    def prepare(self, bundle: Bundle, signature: Signature, setup: Setup) -> Session:
        return FakeSession(self._act)


def echo(inputs: Arrays) -> Arrays:
    print("printed by python")
    os.write(1, b"printed by a library\n")
    os.system("echo printed by a child")
    return {"y": inputs["x"]}


def crash(inputs: Arrays) -> Arrays:
    os.write(2, b"about to fall\n")
    ctypes.string_at(0)
    return {}


def leave(inputs: Arrays) -> Arrays:
    os._exit(3)


def hang(inputs: Arrays) -> Arrays:
    time.sleep(600)
    return {}


def raise_error(inputs: Arrays) -> Arrays:
    raise ZeroDivisionError("by nothing")


def flood(inputs: Arrays) -> Arrays:
    line = b"x" * (1 << 16)
    for _ in range(1000):
        os.write(1, line)
    return {"y": inputs["x"]}


def hoard(inputs: Arrays) -> Arrays:
    kept = []
    while True:
        kept.append(np.ones(1 << 22))
        time.sleep(0.01)


def garble(inputs: Arrays) -> Arrays:
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            continue
    os._exit(0)


def other_dtype(inputs: Arrays) -> Arrays:
    return {"y": np.asarray(inputs["x"], np.float64)}


def nothing(inputs: Arrays) -> Arrays:
    return {}


def linger(inputs: Arrays) -> Arrays:
    """A child that outlives its parent, holding its pipes."""
    if os.fork() == 0:
        time.sleep(600)
    sys.stderr.flush()
    return {"y": inputs["x"]}


ECHO, CRASH, LEAVE, HANG = map(FakeEngine, (echo, crash, leave, hang))
RAISE, FLOOD, HOARD, GARBLE = map(FakeEngine, (raise_error, flood, hoard, garble))
OTHER, NOTHING, LINGER = map(FakeEngine, (other_dtype, nothing, linger))
