"""Which packages a device needs and has, where one of two will do."""

from __future__ import annotations

import pytest

from edgeq.records.answers import Probe
from edgeq.runtimes import runtime
from edgeq.runtimes.presence import Presence, presence
from edgeq.spec import target as targets

from .. import probes

BOARD = targets.load("raspberry-pi-5:litert")
HERE = targets.load("local:litert")


def probe(python: str = "3.11.2", broken: dict[str, str] | None = None, **found: str) -> Probe:
    """What the agent tells of a device with numpy and OpenCV."""
    names = ("onnxruntime", "tensorrt", "ai_edge_litert", "tflite_runtime")
    packages = {"numpy": "1.26.4", "cv2": "4.11.0", **dict.fromkeys(names), **found}
    notes = {f"packages.{name}": reason for name, reason in (broken or {}).items()}
    return probes.probe(python={"version": python}, packages=packages, not_readable=notes)


def engine(seen: Probe, target: targets.Target = BOARD) -> Presence:
    *_, last = presence(runtime("litert"), target, seen)
    return last


def test_either_package_will_do_and_the_newer_is_used() -> None:
    assert engine(probe(ai_edge_litert="2.3.0")) == Presence("ai-edge-litert", "2.3.0")
    assert engine(probe(tflite_runtime="2.14.0")) == Presence("tflite-runtime", "2.14.0")
    both = probe(ai_edge_litert="2.3.0", tflite_runtime="2.14.0")
    assert engine(both).name == "ai-edge-litert"


@pytest.mark.parametrize(
    ("python", "name"), [("3.8.10", "tflite-runtime"), ("3.10.12", "ai-edge-litert")]
)
def test_missing_is_what_setup_would_bring(python: str, name: str) -> None:
    remedy = "run: edgeq targets setup"
    assert engine(probe(python)) == Presence(name, None, "not installed", remedy)


def test_broken_packages_are_named_with_their_reasons() -> None:
    reasons = {"tflite_runtime": "numpy.core failed", "ai_edge_litert": "libc too old"}
    newer = engine(probe(broken=reasons))
    assert newer.lack == "broken (libc too old; tflite-runtime: numpy.core failed)"
    del reasons["ai_edge_litert"]
    older = engine(probe("3.8.10", reasons))
    assert (older.name, older.lack) == ("tflite-runtime", "broken (numpy.core failed)")


def test_this_machine_gets_it_by_an_extra_of_edgeq() -> None:
    assert engine(probe(), HERE).remedy == "run: pip install 'edgeq[litert]'"
    lacking = probe(numpy="", ai_edge_litert="2.3.0")
    first, *_ = presence(runtime("litert"), HERE, lacking)
    assert (first.name, first.remedy) == ("numpy", "run: edgeq targets setup")


def test_other_engines_take_the_one_package_they_have() -> None:
    found = list(presence(runtime("onnxruntime"), BOARD, probe(onnxruntime="1.23.2")))
    assert [(one.name, one.version) for one in found] == [
        ("numpy", "1.26.4"),
        ("opencv-python-headless", "4.11.0"),
        ("onnxruntime", "1.23.2"),
    ]
    # numpy<1.24 is numpy all the same.
    old = probe("3.8.10", numpy="")
    assert next(iter(presence(runtime("tensorrt"), BOARD, old))).lack == "not installed"


@pytest.mark.parametrize(
    ("python", "wanted"),
    [
        ((3, 8), ["numpy<2", "opencv-python-headless", "tflite-runtime"]),
        ((3, 9), ["numpy<2", "opencv-python-headless", "tflite-runtime"]),
        ((3, 10), ["numpy", "opencv-python-headless", "ai-edge-litert"]),
        ((3, 14), ["numpy", "opencv-python-headless", "ai-edge-litert"]),
    ],
)
def test_requirements_by_python(python: tuple[int, int], wanted: list[str]) -> None:
    assert runtime("litert").requirements(python) == wanted
