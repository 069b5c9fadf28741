"""Which integers ONNX Runtime gets, by target and by what the CPU has."""

from __future__ import annotations

from typing import Any

import pytest

from edgeq.device.connection import host
from edgeq.errors import InputError
from edgeq.records.answers import Probe
from edgeq.runtimes import runtime
from edgeq.spec import target
from edgeq.spec.target import Target
from tests.cpu import cpu_class

from .. import probes

ENGINE = runtime("onnxruntime")


def board(**fields: Any) -> Target:
    return target.load("local").model_copy(update={"name": "board", **fields})


def probe(arch: str, *flags: str) -> Probe:
    return probes.probe(arch=arch, cpu={"flags": flags, "cores_available": 4})


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni"])
def test_x86_with_vnni_gets_uint8_activations_and_8_bit_weights(flag: str) -> None:
    placement, note = ENGINE.placement(board(), probe("x86_64", "sse2", flag))
    assert (placement.activation_type, placement.weight_bits) == ("uint8", 8)
    assert "with VNNI" in note


def test_x86_without_vnni_gets_7_bit_weights_and_says_so() -> None:
    placement, note = ENGINE.placement(board(), probe("x86_64", "sse2", "avx2"))
    assert (placement.activation_type, placement.weight_bits) == ("uint8", 7)
    assert "without VNNI" in note
    assert "7-bit weights" in note


def test_arm_gets_int8_activations() -> None:
    placement, note = ENGINE.placement(board(), probe("aarch64", "asimd", "asimddp"))
    assert (placement.activation_type, placement.weight_bits) == ("int8", 8)
    assert "aarch64" in note


def test_cpu_whose_flags_cannot_be_read_counts_as_one_without() -> None:
    unread = probes.probe(arch="x86_64")
    assert ENGINE.placement(board(), unread)[0].weight_bits == 7


@pytest.mark.parametrize("stated", ["int8", "uint8"])
@pytest.mark.parametrize("bits", [None, 7, 8])
def test_what_the_target_states_needs_no_probe(stated: str, bits: int | None) -> None:
    placement, note = ENGINE.placement(board(activation_type=stated, weight_bits=bits), None)
    assert (placement.activation_type, placement.weight_bits) == (stated, bits or 8)
    assert note == ""


def test_weight_bits_of_the_target_win_over_the_probe() -> None:
    placement, _ = ENGINE.placement(board(weight_bits=8), probe("x86_64", "sse2"))
    assert placement.weight_bits == 8


def test_nothing_to_probe_is_a_clear_error() -> None:
    with pytest.raises(InputError, match="target board: activation type has to be probed; state"):
        ENGINE.placement(board(), None)


def test_probe_of_this_machine_is_understood() -> None:
    placement, note = ENGINE.placement(board(), host().probe())
    assert placement.activation_type == ("int8" if cpu_class() == "ARM" else "uint8")
    assert placement.weight_bits == (7 if cpu_class() == "AVX2 only" else 8)
    assert note
