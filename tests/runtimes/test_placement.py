"""Which integers ONNX Runtime gets, by target and by what the CPU has."""

from __future__ import annotations

from typing import Any

import pytest

from edgeq.device.connection import host
from edgeq.errors import InputError
from edgeq.quantization.neighbours import PAIR_LIMIT
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
    assert placement.pair_limit is None
    assert "with VNNI" in note


def test_x86_without_vnni_gets_bounded_pairs_and_says_so() -> None:
    placement, note = ENGINE.placement(board(), probe("x86_64", "sse2", "avx2"))
    assert (placement.activation_type, placement.weight_bits) == ("uint8", 8)
    assert placement.pair_limit == PAIR_LIMIT
    assert "without VNNI" in note
    assert "8-bit weights in steps of which no two neighbours saturate" in note


def test_arm_gets_int8_activations() -> None:
    placement, note = ENGINE.placement(board(), probe("aarch64", "asimd", "asimddp"))
    assert (placement.activation_type, placement.weight_bits) == ("int8", 8)
    assert placement.pair_limit is None
    assert "aarch64" in note


def test_cpu_whose_flags_cannot_be_read_counts_as_one_without() -> None:
    unread = probes.probe(arch="x86_64")
    assert ENGINE.placement(board(), unread)[0].pair_limit == PAIR_LIMIT


@pytest.mark.parametrize("stated", ["int8", "uint8"])
@pytest.mark.parametrize("bits", [None, 7, 8])
def test_what_the_target_states_needs_no_probe(stated: str, bits: int | None) -> None:
    placement, note = ENGINE.placement(board(activation_type=stated, weight_bits=bits), None)
    assert (placement.activation_type, placement.weight_bits) == (stated, bits or 8)
    assert note == ""


@pytest.mark.parametrize("bits", [7, 8])
def test_weight_bits_of_the_target_win_over_the_probe(bits: int) -> None:
    placement, note = ENGINE.placement(board(weight_bits=bits), probe("x86_64", "sse2"))
    assert (placement.weight_bits, placement.pair_limit) == (bits, None)
    assert note.endswith(f"{bits}-bit weights")


@pytest.mark.parametrize("flag", ["avx2", "avx_vnni"])
@pytest.mark.parametrize("bounded", [True, False])
def test_bounded_pairs_of_the_target_win_over_the_probe(flag: str, bounded: bool) -> None:
    expected = PAIR_LIMIT if bounded else None
    stated = board(bounded_pairs=bounded)
    assert ENGINE.placement(stated, probe("x86_64", flag))[0].pair_limit == expected
    without = stated.model_copy(update={"activation_type": "uint8"})
    assert ENGINE.placement(without, None)[0].pair_limit == expected


def test_nothing_to_probe_is_a_clear_error() -> None:
    with pytest.raises(InputError, match="target board: activation type has to be probed; state"):
        ENGINE.placement(board(), None)


def test_probe_of_this_machine_is_understood() -> None:
    placement, note = ENGINE.placement(board(), host().probe())
    assert placement.activation_type == ("int8" if cpu_class() == "ARM" else "uint8")
    assert placement.weight_bits == 8
    assert placement.pair_limit == (PAIR_LIMIT if cpu_class() == "AVX2 only" else None)
    assert note
