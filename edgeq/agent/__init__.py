"""The program that travels to the device: probe, verify, bench, predict, and serve for all of it.

Standard library, numpy and OpenCV only, Python 3.8 and later; an engine is imported where it is
used. The host imports the same letterbox, decode and RLE, so that figures of host and device
differ only by the engine. Nothing here imports edgeq: on the device the package is called `agent`.
"""
