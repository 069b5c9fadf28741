"""Quantization: arithmetic, placement rules, decisions, the plan."""
