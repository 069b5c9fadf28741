"""NVIDIA's own ONNX parser and builder, as TensorRT for RTX has them: neither needs a GPU."""

from __future__ import annotations

import importlib
import platform
from typing import Any

import pytest


def built(content: bytes) -> bytes | list[str]:
    """The engine of a serialized ONNX model, or why there is none."""
    if platform.machine() != "x86_64":
        pytest.skip("needs tensorrt-rtx, which is there for x86-64 only")
    trt = importlib.import_module("tensorrt_rtx")
    logger = Quiet(trt)
    builder = trt.Builder(logger)
    flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flag)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(content):
        return [parser.get_error(i).desc() for i in range(parser.num_errors)]
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    return logger.errors if engine is None else bytes(engine)


def accepts(content: bytes) -> bool:
    """Whether a model parses and builds."""
    return isinstance(built(content), bytes)


def Quiet(trt: Any) -> Any:  # noqa: N802  a class in all but its place
    """A logger that keeps errors for the test instead of printing them."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.ERROR:
                self.errors.append(message)

    return Logger()
