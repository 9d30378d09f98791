"""JUnit XML from a report, as CI systems read it.

text = junit(report)
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from modelbundle_conformance.cases import Json
from modelbundle_conformance.scoring import BAD

_ERRORS = ("crash", "timeout", "unresolvable")
_SKIPPED = ("unsupported", "xfail")


def junit(report: Json) -> str:
    """One test suite for each implementation and role, one test case for each result."""
    root = ET.Element("testsuites", name="modelbundle conformance")
    for run in report["runs"]:
        for role in run["roles"]:
            _suite(root, run, role)
    if "exchange" in report:
        _exchange(root, report["exchange"])
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _exchange(root: ET.Element, found: Json) -> None:
    """The matrix as results of the roles that took part."""
    rows = [("Writer", "write", row) for row in found["writes"]]
    rows += [("Reader", f"read.{row['writer']}", row) for row in found["reads"]]
    for each in found["implementations"]:
        for role, operation in sorted({(role, operation) for role, operation, _ in rows}):
            who = "writer" if role == "Writer" else "reader"
            own = [{**row, "role": role, "operation": f"{operation}.{row['layout']}"}
                   for what, how, row in rows
                   if (what, how, row.get(who)) == (role, operation, each["name"])]  # fmt: skip
            if own:
                of = f" of {operation.removeprefix('read.')}" if role == "Reader" else ""
                run = {"implementation": each, "results": own}
                _suite(root, run, role, f"{each['name']} {role}{of}, matrix")


def _suite(root: ET.Element, run: Json, role: str, name: str = "") -> None:
    results = [result for result in run["results"] if result["role"] == role]
    statuses = [result["status"] for result in results]
    suite = ET.SubElement(
        root, "testsuite",
        name=_text(name or f"{run['implementation']['name']} {role}"),
        tests=str(len(results)),
        failures=str(sum(status in BAD and status not in _ERRORS for status in statuses)),
        errors=str(sum(status in _ERRORS for status in statuses)),
        skipped=str(sum(status in _SKIPPED for status in statuses)),
        time=f"{sum(result.get('seconds', 0) for result in results):.3f}",
    )  # fmt: skip
    for result in results:
        _case(suite, result)


def _case(suite: ET.Element, result: Json) -> None:
    area, name = result["case"].split("/")
    case = ET.SubElement(
        suite, "testcase", classname=f"{result['role']}.{result['operation']}.{area}", name=name,
        time=f"{result.get('seconds', 0):.3f}",
    )  # fmt: skip
    status = result["status"]
    kind = ("error" if status in _ERRORS else "skipped" if status in _SKIPPED
            else "failure" if status in BAD else "")  # fmt: skip
    if kind:
        ET.SubElement(case, kind, message=_text(f"{status}: {result['detail']}"))


def _text(text: str) -> str:
    """`text` without what XML cannot hold."""
    return "".join(c if c.isprintable() else " " for c in text)
