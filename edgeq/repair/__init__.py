"""Repairs: a model that means the same and loses less when it is quantized."""
