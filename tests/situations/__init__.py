"""Whole situations that would pass with a wrong figure, made from the demo: a row each."""
