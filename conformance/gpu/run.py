"""The suite of a machine with a GPU: golden vectors, speed and loading, as one report.

    python conformance/gpu/run.py --device gpu:0

JAX and Torch have to be here, TensorFlow not; the rest is small, and can lie in `--packages`. The
bundles come from `prepare.py`. Exit status 0 where everything passed, 1 where something failed, 2
where the device, the bundles or an engine is not here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "conformance"), str(ROOT / "reference")]

from gpu import machine, report  # noqa: E402

ENGINES = ("keras-jax", "keras-torch", "stablehlo")
YES, NO, NO_ANSWER = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; its exit status."""
    given = _parser().parse_args(arguments)
    sys.path.append(str(given.packages))
    try:
        about = machine.describe(given.device)
    except machine.NoDeviceError as error:
        return _refuse(str(error))
    bundles = sorted(given.bundles.glob("*.modelbundle"))
    if not bundles:
        return _refuse(f"no bundles in {given.bundles}: make conformance-gpu-bundles, elsewhere")
    if missing := list(_missing()):
        return _refuse("; ".join(missing))
    found = measure(given, bundles, about)
    paths = report.write(found, given.reports, machine.slug(about["device"]["name"]))
    print(report.markdown(found))
    print(*paths, sep="\n")
    return YES if found["ok"] else NO


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The suite of a machine with a GPU.")
    build = ROOT / "build" / "gpu"
    parser.add_argument("--device", default="gpu:0", help="gpu:N, or cpu to try the suite itself")
    parser.add_argument("--bundles", type=Path, default=build / "bundles")
    parser.add_argument("--packages", type=Path, default=build / "packages")
    parser.add_argument("--reports", type=Path, default=ROOT / "conformance" / "reports")
    parser.add_argument("--engines", nargs="*", default=ENGINES)
    parser.add_argument("--repeats", type=int, default=50, help="runs for a latency")
    parser.add_argument("--load-mib", type=int, default=2048, help="size of the bundle to load")
    parser.add_argument("--no-large", action="store_true", help="leave ResNet50 out")
    return parser


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return NO_ANSWER


def _missing() -> Iterator[str]:
    """Why an engine is not available, each."""
    from modelbundle.engines import load

    for name in ENGINES:
        if (reason := load(name).available()) is not None:
            yield f"{name}: {reason}"


def measure(
    given: argparse.Namespace, bundles: Sequence[Path], about: dict[str, Any]
) -> dict[str, Any]:
    """Everything, one after another: the report."""
    from modelbundle.engines import Setup

    device = given.device
    setups = [Setup(device), *([] if device == "cpu" else [Setup(device, "tf32")])]
    checks = [row for path in bundles for row in _checked(path, given.engines, setups)]
    control = [] if device == "cpu" else [r for p in bundles for r in _tf32(p, given, device)]
    work = given.packages.parent
    work.mkdir(parents=True, exist_ok=True)
    large = [] if given.no_large else [_large(work / "resnet50.modelbundle")]
    speed = [row for path in (*bundles, *large) for row in _timed(path, given, setups)]
    ran = [row for row in checks if row["status"] != "not run"]
    return {
        **about,
        "ok": bool(ran) and not any(r["status"] == "fail" for r in ran)
        and not any("error" in r for r in speed),
        "tensorflow_loaded": any(row.get("tensorflow_loaded") for row in speed),
        "load_check": ran,
        "control": control,
        "speed": speed,
        "loading": list(_loading(work / "weights.modelbundle", given)),
    }  # fmt: skip


def _checked(path: Path, engines: Sequence[str], setups: Sequence[Any]) -> list[dict[str, Any]]:
    from modelbundle.bundle import open_bundle
    from modelbundle.golden.load_check import load_check

    _say(f"load-check {path.name}")
    with open_bundle(path) as bundle:
        found = load_check(
            bundle,
            engines=engines,
            devices=[setups[0].device],
            precisions=[setup.precision for setup in setups],
        )
    return [{"bundle": path.name, **row.to_json()} for row in found.rows]


def _tf32(path: Path, given: argparse.Namespace, device: str) -> Iterator[dict[str, Any]]:
    """What the check says of outputs in tf32 declared as float32; small sums may not show it."""
    from modelbundle.bundle import open_bundle
    from modelbundle.engines import Setup, open_session
    from modelbundle.engines.running import reason_against
    from modelbundle.golden.load_check import vectors_of
    from modelbundle.golden.verdict import judge_vector

    with open_bundle(path) as bundle:
        for signature, vector in vectors_of(bundle):
            if vector.exact:
                continue
            for engine in given.engines:
                if reason_against(bundle, signature, engine) is not None:
                    continue
                with open_session(bundle, signature, engine, Setup(device, "tf32")) as session:
                    outputs = session.run(vector.inputs).outputs
                judged = judge_vector(vector, outputs, "float32").values()
                failed = any(each.outcome == "fail" for each in judged)
                ratios = [each.max_ratio for each in judged if each.max_ratio is not None]
                yield {
                    "bundle": path.name,
                    "component": signature.component,
                    "engine": engine,
                    "outcome": "fail" if failed else "pass",
                    "max_ratio": max(ratios, default=None),
                }


def _timed(path: Path, given: argparse.Namespace, setups: Sequence[Any]) -> list[dict[str, Any]]:
    from gpu.speed import measure as measure_speed

    _say(f"speed {path.name}")
    return [
        row
        for setup in setups
        for engine in given.engines
        for row in measure_speed(path, engine, setup, given.repeats)
    ]


def _large(path: Path) -> Path:
    """ResNet50, made in a process that sees no GPU."""
    if not path.exists():
        _say("making ResNet50")
        script = ROOT / "conformance" / "gpu" / "large_model.py"
        _python([str(script), str(path)], {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"})
    return path


def _loading(path: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from gpu import loading

    _say(f"loading {given.load_mib} MiB")
    loading.make(path, given.load_mib)
    number = given.device.removeprefix("gpu:")
    chosen = {
        "CUDA_VISIBLE_DEVICES": "" if given.device == "cpu" else number,
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    for framework in ("jax", "torch"):
        script = str(ROOT / "conformance" / "gpu" / "loading.py")
        answer = _python([script, str(path), given.device, framework], chosen)
        yield json.loads(answer.splitlines()[-1])
    path.unlink()


def _python(arguments: Sequence[str], environment: dict[str, str]) -> str:
    """What a script of ours prints, with the modules of this process at hand."""
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        env={**os.environ, **environment, "PYTHONPATH": paths},
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
