"""Blocks of the quantized network trained until they put out what the float ones do."""
