"""Gauges beside a bench: power, memory, clocks, and whether it was steady."""
