"""A comparison as JUnit's XML, which CI systems show: a test for each metric."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from edgeq.errors import DeviceError
from edgeq.report.terminal.printable import printable

if TYPE_CHECKING:
    from edgeq.records.comparison import Compared, Comparison


def render(*boards: Comparison | DeviceError) -> str:
    """A suite a board: 'worse' is a failure, 'cannot tell' is skipped, with the reason.

    A board that failed is an error.
    """
    root = ElementTree.Element("testsuites")
    for found in boards:
        root.append(_failed(found) if isinstance(found, DeviceError) else _suite(found))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def _suite(found: Comparison) -> ElementTree.Element:
    names = [metric.outcome for metric in found.metrics]
    counts = {"failures": names.count("worse"), "skipped": names.count("cannot tell")}
    told = {"tests": len(names), "errors": 0, **counts, "time": f"{found.measured_s:.3f}"}
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": _clean(f"edgeq compare, {found.target} on {found.device}"),
            "hostname": _clean(found.device),
            "timestamp": found.created_at.replace(tzinfo=None).isoformat(timespec="seconds"),
            **{name: str(value) for name, value in told.items()},
        },
    )
    _properties(
        suite,
        {
            "run": found.id,
            "a": f"{found.a.named} {found.a.artifact_id}",
            "b": f"{found.b.named} {found.b.artifact_id}",
            "emulated": str(found.emulated).lower(),
        },
    )
    for metric in found.metrics:
        _case(suite, found, metric)
    return suite


def _failed(error: DeviceError) -> ElementTree.Element:
    told = {"tests": "1", "errors": "1", "failures": "0", "skipped": "0"}
    name = _clean(f"edgeq compare, {error.where}")
    suite = ElementTree.Element("testsuite", {"name": name, **told})
    names = {"classname": "edgeq.compare", "name": _clean(error.where)}
    case = ElementTree.SubElement(suite, "testcase", names)
    ElementTree.SubElement(case, "error", {"message": _clean(str(error))})
    return suite


def _case(suite: ElementTree.Element, found: Comparison, metric: Compared) -> None:
    # CI systems take tests of one name for one test, whatever suite they are in.
    name = _clean(f"edgeq.compare.{found.target} on {found.device}")
    case = ElementTree.SubElement(suite, "testcase", {"classname": name, "name": metric.metric})
    figures: dict[str, object] = {"a": metric.a, "b": metric.b, "unit": metric.unit}
    if metric.change is not None:
        change = metric.change
        figures |= {"change": change.estimate, "low": change.low, "high": change.high}
    figures |= {"limit": metric.limit, "outcome": metric.outcome}
    _properties(case, {key: str(value) for key, value in figures.items() if value is not None})
    if metric.outcome == "worse":
        said = ", ".join(f"{key} {value}" for key, value in figures.items())
        ElementTree.SubElement(case, "failure", {"message": _clean(f"worse: {said}")})
    elif metric.outcome == "cannot tell":
        message = f"cannot tell: {metric.reason}".rstrip(": ")
        ElementTree.SubElement(case, "skipped", {"message": _clean(message)})


def _properties(parent: ElementTree.Element, told: dict[str, str]) -> None:
    group = ElementTree.SubElement(parent, "properties")
    for name, value in told.items():
        ElementTree.SubElement(group, "property", {"name": name, "value": _clean(value)})


def _clean(text: str) -> str:
    """What XML may hold."""
    return printable(text).replace("\ufffe", "?").replace("\uffff", "?")
