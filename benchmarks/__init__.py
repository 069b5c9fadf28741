"""What edgeq costs beside its peers and beside plain inference: `python -m benchmarks`."""
