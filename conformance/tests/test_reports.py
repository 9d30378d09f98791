"""Reports, what is made of them, and the command line."""

import ast
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modelbundle_conformance import cli, report
from modelbundle_conformance.cases import Suite, UsageError
from modelbundle_conformance.junit import junit
from modelbundle_conformance.page import page

HOSTILE = '</script><img src=x onerror=alert(1)> "&\x1b[31m'
ACCEPTS_ALL = """
import sys
sys.exit(0 if sys.argv[1] == "validate" else 64)
"""


@pytest.fixture
def accepts(tmp_path: Path) -> str:
    path = tmp_path / "tool.py"
    path.write_text(ACCEPTS_ALL)
    return f"{sys.executable} -I -S {path}"


def result(case: str = "archive/plain", status: str = "pass", **more: Any) -> dict[str, Any]:
    return {"role": "Validator", "operation": "validate", "case": case, "level": "core",
            "required": True, "rules": ["ARC-01"], "expected": "accept", "status": status,
            "detail": "", **more}  # fmt: skip


@pytest.fixture
def made(suite: Suite) -> Callable[..., dict[str, Any]]:
    def make(*results: dict[str, Any], name: str = "tool", **more: Any) -> dict[str, Any]:
        who = {"name": name, "version": "1", "language": "Go", "command": "tool"}
        run = {"implementation": who, "protocol": "process", "roles": ["Validator"],
               "level": "core", "filters": [], "seconds": 1.5,
               "counts": {"executed": len(results)}, "results": list(results), **more}  # fmt: skip
        return report.build(suite, [run])

    return make


def test_a_run_writes_everything(accepts: str, tmp_path: Path, suite: Suite) -> None:
    out = tmp_path / "out"
    arguments = ["run", "--tool", accepts, "--class", "Validator", "--filter", "json/truncated"]
    assert cli.main([*arguments, "--report", str(out)]) == cli.FAILED
    value = json.loads((out / "report.json").read_text())
    report.check(value, suite)
    found = {row["case"]: row["status"] for row in value["runs"][0]["results"]}
    assert found == {"archive/plain": "pass", "json/truncated": "fail"}
    assert {path.name for path in out.iterdir()} == {"report.json", "junit.xml", "report.html"}


def test_nothing_executed_is_no_result(accepts: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["run", "--tool", accepts, "--class", "Validator", "--filter", "archive/plain"]
    arguments += ["--unsupported", "archive", "--report", str(out)]
    assert cli.main(arguments) == cli.NO_RESULT
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--tool", "no-such-command-anywhere"],
        ["run", "--tool", "'"],
        ["run", "--tool", "true", "--filter", "nothing"],
        ["run", "--tool", "true", "--persistent", "--filter", "archive/plain"],
        ["run", "--tool", "true", "--expected-failures", "/nonexistent"],
        ["report", "/nonexistent", "--output", "out"],
        ["--suite", "/nonexistent", "list"],
    ],
)
def test_usage_errors_are_no_result(arguments: list[str]) -> None:
    assert cli.main(arguments) == cli.NO_RESULT


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--class", "Copier", "--filter", "copy/flipped"]) == cli.OK
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["Copier", "copy", "accept", "copy/plain-to-directory"],
        ["Copier", "copy", "reject", "copy/flipped"],
    ]


def test_reports_are_joined(made: Callable[..., Any], tmp_path: Path, suite: Suite) -> None:
    for name, status in (("one", "pass"), ("two", "crash")):
        cli.write(made(result(status=status), name=name), tmp_path / name)
    out = tmp_path / "both"
    given = [str(tmp_path / "one"), str(tmp_path / "two" / "report.json")]
    assert cli.main(["report", *given, "--output", str(out)]) == cli.FAILED
    joined = json.loads((out / "report.json").read_text())
    assert [run["implementation"]["name"] for run in joined["runs"]] == ["one", "two"]
    assert not list(out.glob("badge*"))
    other = made(result())
    other["suite"] = {"cases": 1, "digest": "sha256:" + 64 * "0"}
    with pytest.raises(UsageError):
        report.merge(suite, [made(result()), other])


@pytest.mark.parametrize(
    ("change", "earned"),
    [
        ({}, True),
        ({"status": "fail"}, False),
        ({"status": "xfail"}, False),
        ({"status": "unsupported"}, False),
        ({"status": "unsupported", "required": False}, True),
        ({"status": "fail", "required": False}, False),
    ],
)
def test_a_badge_is_earned(
    made: Callable[..., Any], tmp_path: Path, change: dict[str, Any], earned: bool
) -> None:
    cli.write(made(result()), tmp_path)
    cli.write(made(result(), result("archive/rich", **change)), tmp_path)
    badges = list(tmp_path.glob("badge-*.svg"))
    assert bool(badges) == earned
    assert not badges or ET.parse(badges[0]).getroot().tag.endswith("svg")
    cli.write(made(result(), filters=["archive"]), tmp_path)
    assert not list(tmp_path.glob("badge-*.svg"))


def test_the_schema_refuses_a_report_of_nothing(made: Callable[..., Any], suite: Suite) -> None:
    with pytest.raises(report.InvalidReport):
        report.check(made(counts={"executed": 0}), suite)
    with pytest.raises(report.InvalidReport):
        report.check(made(), suite)
    with pytest.raises(report.InvalidReport):
        report.check(made(result(status="maybe")), suite)


def test_junit_holds_every_result(made: Callable[..., Any]) -> None:
    statuses = ["pass", "fail", "xpass", "xfail", "unsupported", "crash", "timeout", "unresolvable"]
    rows = [result(f"archive/{status}", status, detail=HOSTILE) for status in statuses]
    (suite,) = ET.fromstring(junit(made(*rows)))
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "8", "failures": "2", "errors": "3", "skipped": "2"}
    assert [len(case) for case in suite] == [0, *[1] * 7]


class Outline(HTMLParser):
    """What a page consists of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.rows += any(name == "data-statuses" for name, _ in attrs)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_stands_alone(made: Callable[..., Any]) -> None:
    text = page(made(result(), result("json/nan", "fail", detail=HOSTILE), name=HOSTILE))
    outline = Outline()
    outline.feed(text)
    assert outline.links == []
    assert {"img", "link", "iframe"}.isdisjoint(outline.tags)
    assert outline.rows == 2
    assert text.count("</script>") == 1
    assert "http" not in text and "@import" not in text and "url(" not in text
    assert '<html lang="en">' in text and "<label>" in text and 'scope="col"' in text


def test_the_runner_does_not_know_the_reference() -> None:
    for path in Path(cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", ())]
            names += [getattr(node, "module", "") or ""]
            assert not any(name.split(".")[0] == "modelbundle" for name in names), path


def load_check(**more: Any) -> dict[str, Any]:
    output = {"name": "y", "outcome": "pass", "decisions": 0, "max_ratio": 2.5, "rms_ratio": 0.5}
    row = {"component": "net", "signature": "f", "vector": "v", "grade": "verified",
           "engine": "onnx", "version": "1.20", "device": "cpu", "precision": "float32",
           "status": "pass", "outputs": [output | more]}  # fmt: skip
    idle = {**row, "engine": "stablehlo", "status": "not run", "reason": "no jax", "outputs": []}
    return {"digest": "sha256:" + 64 * "0", "ok": True, "ran": True, "rows": [row, idle]}


@pytest.mark.parametrize(
    ("more", "status", "shown"),
    [
        ({}, cli.OK, 'class="within"'),
        ({"outcome": "fail", "max_ratio": "Infinity", "reason": HOSTILE}, cli.FAILED, "beyond"),
    ],
)
def test_engines_are_shown(
    tmp_path: Path, suite: Suite, more: dict[str, Any], status: int, shown: str
) -> None:
    (tmp_path / "answer.json").write_text(json.dumps(load_check(**more)))
    arguments = ["report", "--load-check", str(tmp_path / "answer.json"), "--output"]
    assert cli.main([*arguments, str(tmp_path / "out")]) == status
    value = json.loads((tmp_path / "out" / "report.json").read_text())
    report.check(value, suite)
    assert [row["outcome"] for row in value["engines"]] == [more.get("outcome", "pass"), "not run"]
    text = (tmp_path / "out" / "report.html").read_text()
    (drawing,) = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.S)]
    assert len(drawing.findall("circle")) == 2 and shown in text
    assert "<script" not in text and "<img" not in text and "no jax" in text


def test_what_is_no_load_check(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(json.dumps({"rows": []}))
    arguments = ["report", "--load-check", str(tmp_path / "answer.json"), "--output", "out"]
    assert cli.main(arguments) == cli.NO_RESULT
    assert cli.main(["report", "--output", "out"]) == cli.NO_RESULT


def test_measures_of_a_runner_are_shown(made: Callable[..., Any], suite: Suite) -> None:
    measure = {"vector": "c#s v", "output": "y", "engine": "onnx 1", "device": "cpu:0",
               "precision": "float32", "outcome": "fail", "reason": "far off",
               "max_ratio": "inf", "rms_ratio": 4.0}  # fmt: skip
    value = made(result("run/dense", "fail", measures=[measure]))
    report.check(value, suite)
    text = page(value)
    assert "<h2>Engines</h2>" in text and text.count('class="beyond"') == 2 and "far off" in text
    value["runs"][0]["results"][0]["measures"][0]["max_ratio"] = -1
    with pytest.raises(report.InvalidReport):
        report.check(value, suite)
