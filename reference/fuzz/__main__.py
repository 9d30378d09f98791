"""Run the targets one after another for a bounded time each, and say what was found."""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

from fuzz.seeds import Seeds
from fuzz.targets import TARGETS

FINDINGS = Path(__file__).parent / "findings"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "fuzz"
_ROW = "{:<16} {:>9} {:>7} {:>8}  {}"
_WHAT = r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*$|^.*libFuzzer: .*$"
_LIMITS = ("-timeout=5", "-rss_limit_mb=2048", "-max_len=131072")


def main() -> int:
    """Returns 1 where something was found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    arguments = parser.parse_args()
    print(_ROW.format("target", "inputs", "edges", "corpus", ""))
    crashes = [_run(name, arguments.seconds) for name in arguments.targets or TARGETS]
    return 1 if any(crashes) else 0


def _run(name: str, seconds: int) -> bool:
    """Fuzz one target; whether it failed."""
    corpus = CACHE / name
    corpus.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(exist_ok=True)
    for seed in TARGETS[name].seeds(Seeds(CACHE / "artifacts")):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    command = [sys.executable, "-m", "fuzz.worker", name, str(corpus), *_LIMITS]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={FINDINGS / name}-"]
    done = subprocess.run(
        [*command, "-print_final_stats=1"],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    inputs = re.findall(r"stat::number_of_executed_units: *(\d+)", done.stdout)
    edges = re.findall(r"cov: (\d+)", done.stdout)
    verdict = _verdict(done.stdout) if done.returncode else ""
    count = len(list(corpus.iterdir()))
    print(
        _ROW.format(
            name, *(found[-1] if found else "?" for found in (inputs, edges)), count, verdict
        )
    )
    sys.stdout.flush()
    return bool(done.returncode)


def _verdict(output: str) -> str:
    """Where the input is, and the last lines of what happened."""
    written = re.findall(r"Test unit written to (\S+)", output)
    what = re.findall(
        r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*$|^.*libFuzzer: .*$", output, re.M
    )
    return f"{written[-1] if written else 'FAILED'}: {what[0] if what else output[-2000:]}"


if __name__ == "__main__":
    sys.exit(main())
