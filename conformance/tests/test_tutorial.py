"""The reader of TUTORIAL.md passes the cases that the tutorial says, step by step."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from modelbundle_conformance import cli

TEXT = (Path(__file__).resolve().parents[1] / "TUTORIAL.md").read_text("utf-8")
MODULES = ["-MJSON::PP", "-MDigest::SHA", "-e", "1"]
STEPS = [["files", "answer"], ["files", "tensors"]]


def part(name: str) -> str:
    (found,) = re.findall(rf"^```perl part={name}\n(.*?)^```$", TEXT, re.M | re.S)
    return found


def consoles() -> list[list[str]]:
    fences = re.findall(r"^```console\n(.*?)^```$", TEXT, re.M | re.S)
    return [fence.splitlines() for fence in fences]


@pytest.fixture(scope="module")
def perl() -> str:
    found = shutil.which("perl")
    if not found or subprocess.run([found, *MODULES], capture_output=True, check=False).returncode:
        pytest.skip("Perl with JSON::PP and Digest::SHA is not here")
    return found


def test_it_is_twenty_lines() -> None:
    assert sum(len(part(name).splitlines()) for name in STEPS[0]) <= 20


@pytest.mark.parametrize("step", [0, 1])
def test_each_step_passes_what_it_says(
    perl: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], step: int
) -> None:
    tool = tmp_path / "tool.pl"
    tool.write_text("".join(map(part, STEPS[step])), "utf-8")
    prompt, shown = consoles()[step]
    words = shlex.split(prompt.removeprefix("$ modelbundle-conformance "))
    words[words.index("perl tool.pl")] = f"{perl} {tool}"
    assert cli.main([*words, "--jobs", "2"]) == cli.OK
    (line,) = capsys.readouterr().out.splitlines()
    assert line.rsplit(";", 1)[0] == shown.rsplit(";", 1)[0]
