"""Is this recipe's model as good on the board as it has to be, and as it was? Copy and change."""

import pytest

MASK_AP = 0.2
FRAME_P50_MS = 500.0
PEAK_MEMORY_MIB = 1024


@pytest.mark.edgeq_feature("accuracy")
def test_accuracy(edgeq_deploy):
    assert edgeq_deploy.column("device").accuracy.mask.ap >= MASK_AP


def test_frame_latency(edgeq_measurement):
    assert edgeq_measurement.latency_ms(50, "frame") <= FRAME_P50_MS


def test_memory(edgeq_deploy):
    peak = edgeq_deploy.column("device").measurement.peak_rss_bytes
    assert peak <= PEAK_MEMORY_MIB * 2**20


@pytest.mark.parametrize("metric", ["frame", "peak memory", "size", "mask AP"])
def test_not_worse_than_the_baseline(edgeq_not_worse, metric):
    edgeq_not_worse(metric)
