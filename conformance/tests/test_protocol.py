"""The examples of PROTOCOL.md do what the text says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelbundle_conformance import cli, expected_failures
from modelbundle_conformance.cases import Suite
from modelbundle_conformance.plan import Selection, plan
from modelbundle_conformance.runner import Run, Setup
from modelbundle_conformance.running import array_of

CONFORMANCE = Path(__file__).resolve().parents[1]
TEXT = (CONFORMANCE / "PROTOCOL.md").read_text("utf-8")
FILTERS = ("archive/plain", "archive/manifest-name", "archive/byte-after", "directory/plain")
EXPECTED = {"archive/plain": "pass", "archive/manifest-name": "pass",
            "archive/byte-after": "fail", "directory/plain": "unsupported"}  # fmt: skip


def fences(kind: str) -> list[str]:
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.mark.parametrize(
    ("name", "kind", "command", "persistent"),
    [
        ("tool.sh", "sh file=tool.sh", "sh", False),
        ("tool.py", "python file=tool.py", sys.executable, True),
    ],
)
def test_the_examples_pass_what_they_say(
    suite: Suite, tmp_path: Path, *, name: str, kind: str, command: str, persistent: bool
) -> None:
    (text,) = fences(kind)
    assert len(text.splitlines()) <= 18
    (tmp_path / name).write_text(text)
    run = Run(suite, Setup([command, str(tmp_path / name)], persistent))
    results = run.execute(plan(suite, Selection(("Validator",), "core", FILTERS)), lambda r: None)
    found = {result.item.case.id: result.score.status for result in results}
    assert {id: found[id] for id in FILTERS} == EXPECTED
    assert run.hello.name == "first steps"


def test_the_console_shows_what_happens(tmp_path: Path) -> None:
    (text,) = fences("console")
    prompt, *shown = text.splitlines()
    tool = tmp_path / "tool.sh"
    tool.write_text(fences("sh file=tool.sh")[0])
    line = prompt.removeprefix("$ ").replace("./tool.sh", f"sh {tool}")
    done = subprocess.run(
        line, shell=True, cwd=CONFORMANCE, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == shown


def test_the_lines_are_an_exchange(tmp_path: Path) -> None:
    (text,) = fences("json lines")
    lines = text.splitlines()
    bundle = CONFORMANCE / "cases" / "archive" / "plain" / "bundle.modelbundle"
    asked = "".join(f"{line}\n" for line in lines[::2])
    asked = asked.replace("/tmp/case/bundle.modelbundle", str(bundle))
    (tool,) = fences("python file=tool.py")
    done = subprocess.run(
        [sys.executable, "-c", tool], input=asked, capture_output=True, text=True, check=True
    )
    assert list(map(json.loads, done.stdout.splitlines())) == list(map(json.loads, lines[1::2]))


def test_the_commands_are_understood() -> None:
    for line in "".join(fences("sh")).splitlines():
        if line.startswith("modelbundle-conformance"):
            cli._parser().parse_args(re.findall(r'"[^"]*"|\S+', line)[1:])


def test_the_list_of_expected_failures_is_one(suite: Suite, tmp_path: Path) -> None:
    (text,) = fences("json")
    (tmp_path / "list.json").write_text(text)
    assert len(expected_failures.load(tmp_path / "list.json", suite.cases)) == 1


def test_what_is_stated_can_be_written(tmp_path: Path) -> None:
    adapter = CONFORMANCE / "implementations" / "reference" / "adapter.py"
    (tmp_path / "spec.json").write_text(fences("json spec")[0])
    (tmp_path / "net.bin").write_bytes(bytes(8))
    words = [sys.executable, str(adapter), "write", "spec.json", "out.modelbundle", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["verdict"] == "accept"


def test_requests_and_answers_of_run_are_as_shown(suite: Suite, tmp_path: Path) -> None:
    case = suite.cases["run/dense"]
    shown = json.loads(fences("json request")[0])
    (vector, *_) = case.vectors
    assert {key: shown[key] for key in case.arguments} == case.arguments
    assert shown["inputs"][0]["length"] == len(vector.inputs[0].data)
    (output,) = json.loads(fences("json answer")[0])["outputs"]
    (tmp_path / output["file"]).write_bytes(bytes(output["length"]))
    assert array_of(output, tmp_path).shape == vector.outputs[0].shape
