"""What the agent uses of TensorRT, in a few lines of Python, with faults on demand.

Tests copy this file to `tensorrt.py` in a folder on the path. FAKE_TENSORRT names what it does:
abort, hang, grow, refuse (parser errors), nothing (no engine), old (as 8.5: no monitor, no node
names, no strong typing), new (as 11: no flags), slow (a second a build). FAKE_PID is a file for the
process's number, FAKE_LOG one that gets a line a build. A plan is JSON, and an inference doubles
the first element of the input.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from enum import IntEnum
from typing import Any, Dict, List, Optional

__version__ = os.environ.get("FAKE_VERSION", "10.3.0")
MODE = os.environ.get("FAKE_TENSORRT", "")
SHAPES: Dict[str, Any] = {
    "images": ["FLOAT", [1, 3, 64, 64]],
    "output0": ["FLOAT", [1, 4, 10]],
    "output1": ["HALF", [1, 3, 16, 16]],
}
SHAPES.update(json.loads(os.environ.get("FAKE_SHAPES", "{}")))
SIZES = {"FLOAT": 4, "HALF": 2, "INT32": 4, "BF16": 2}


def enumeration(name: str, *names: str) -> Any:
    return IntEnum(name, {key: value for value, key in enumerate(names)})


DataType = enumeration("DataType", *SIZES)
TensorIOMode = enumeration("TensorIOMode", "NONE", "INPUT", "OUTPUT")
MemoryPoolType = enumeration("MemoryPoolType", "WORKSPACE")
ProfilingVerbosity = enumeration("ProfilingVerbosity", "LAYER_NAMES_ONLY", "DETAILED")
LayerInformationFormat = enumeration("LayerInformationFormat", "ONELINE", "JSON")
Severity = enumeration("Severity", "INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
_FLAGS = ["TF32", "REFIT"] if MODE == "new" else ["TF32", "FP16", "INT8"]
BuilderFlag = enumeration("BuilderFlag", *_FLAGS)
_CREATION = {"old": ["EXPLICIT_BATCH"], "new": ["STRONGLY_TYPED"]}
NetworkDefinitionCreationFlag = enumeration(
    "NetworkDefinitionCreationFlag", *_CREATION.get(MODE, ["EXPLICIT_BATCH", "STRONGLY_TYPED"])
)


class ILogger:
    def log(self, severity: Any, text: str) -> None:
        raise NotImplementedError


class IProfiler:
    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError


if MODE != "old":

    class IProgressMonitor:
        def phase_start(self, name: str, parent: Optional[str], steps: int) -> None:
            raise NotImplementedError

        def step_complete(self, name: str, step: int) -> bool:
            raise NotImplementedError

        def phase_finish(self, name: str) -> None:
            raise NotImplementedError


class HostMemory:
    """Bytes that are handed out as TensorRT does, through the buffer protocol of an array."""

    def __new__(cls, content: bytes) -> Any:
        return (ctypes.c_char * len(content)).from_buffer_copy(content)


class ParserError:
    def __init__(self, index: int, name: str, operator: str, text: str) -> None:
        self._index, self._text = index, text
        if MODE != "old":
            self.node_name = lambda: name
            self.node_operator = lambda: operator

    def node(self) -> int:
        return self._index

    def desc(self) -> str:
        return self._text


class Tensor:
    def __init__(self, name: str, shape: List[int]) -> None:
        self.name, self.shape = name, shape


class Network:
    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.num_inputs = 1

    def get_input(self, index: int) -> Tensor:
        return Tensor("images", SHAPES["images"][1])


class OnnxParser:
    def __init__(self, network: Network, log: ILogger) -> None:
        self._log, self._errors = log, []  # type: ignore[var-annotated]

    def parse_from_file(self, path: str) -> bool:
        with open(path, "rb") as stream:  # noqa: PTH123
            stream.read()
        self._log.log(Severity.VERBOSE, "Parsing node: /model.7/conv/Conv [QLinearConv]")
        if MODE in ("refuse", "old-refuse") or os.environ.get("FAKE_REFUSE"):
            self._errors = [
                ParserError(7, "/model.7/conv/Conv", "QLinearConv", "no importer\n registered"),
                ParserError(9, "bias_dq", "DequantizeLinear", "int32 is not allowed"),
            ]
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        error: ParserError = self._errors[index]
        return error


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> Any:
        return HostMemory(self.content + b"measured.")


class BuilderConfig:
    def __init__(self) -> None:
        self.flags: List[str] = []
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.progress_monitor: Any = None
        self._cache: Optional[TimingCache] = None

    def set_memory_pool_limit(self, pool: Any, size_bytes: int) -> None:
        assert pool == MemoryPoolType.WORKSPACE and size_bytes > 0

    def set_flag(self, flag: Any) -> None:
        self.flags.append(flag.name)

    def create_timing_cache(self, content: bytes) -> TimingCache:
        return TimingCache(bytes(content))

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        is_taken = not cache.content.startswith(b"damaged")
        if is_taken:
            self._cache = cache
        return is_taken

    def get_timing_cache(self) -> Optional[TimingCache]:
        return self._cache


class Builder:
    def __init__(self, log: ILogger) -> None:
        self._log = log

    def create_network(self, flags: int) -> Network:
        return Network(flags)

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig()

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> Any:
        for variable, text in (("FAKE_PID", f"{os.getpid()}"), ("FAKE_LOG", "built\n")):
            if variable in os.environ:
                with open(os.environ[variable], "a") as stream:  # noqa: PTH123
                    stream.write(text)
        os.write(1, b"TensorRT greets on standard output\n")
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start("Building", None, 2)
            monitor.phase_start("Timing", "Building", 2)
            monitor.step_complete("Timing", 0)
            monitor.phase_finish("Timing")
            monitor.step_complete("Building", 0)
        if MODE == "abort":
            os.write(2, b"terminate called after throwing an instance of 'nvinfer1::Bad'\n")
            os.abort()
        if MODE == "killed":
            os.kill(os.getpid(), 9)
        if MODE == "hang":
            time.sleep(600)
        if MODE == "grow":
            self._log.log(Severity.ERROR, "Requested amount of GPU memory: out of memory")
            return None
        if MODE == "nothing":
            self._log.log(Severity.ERROR, "Could not find any implementation for node X")
            return None
        if MODE == "raise":
            raise TypeError("factory function returned nullptr")
        plan = {"flags": config.flags, "network": network.flags, "shapes": SHAPES}
        return HostMemory(json.dumps(plan).encode())


class Context:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.addresses: Dict[str, int] = {}
        self.profiler: Any = None

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return name in self._engine.shapes

    def execute_async_v3(self, stream: int) -> bool:
        if os.environ.get("FAKE_INFERENCE"):
            return False
        first = ctypes.c_float.from_address(self.addresses["images"]).value
        for name, (kind, shape) in self._engine.shapes.items():
            if name != "images":
                fill(self.addresses[name], kind, shape, first * 2)
        if self.profiler is not None:
            self.profiler.report_layer_time("conv", 0.5)
            self.profiler.report_layer_time("head", 0.25)
        return True


def fill(address: int, kind: str, shape: List[int], value: float) -> None:
    import numpy as np

    values = np.full(shape, value, {"FLOAT": np.float32, "HALF": np.float16}[kind])
    ctypes.memmove(address, values.ctypes.data, values.nbytes)


class Inspector:
    execution_context: Any = None

    def get_engine_information(self, form: Any) -> str:
        assert form == LayerInformationFormat.JSON
        return json.dumps({"Layers": [{"Name": "conv"}, {"Name": "head"}], "Bindings": []})


class Engine:
    num_layers = 2

    def __init__(self, plan: Dict[str, Any]) -> None:
        self.shapes = plan["shapes"]
        self.num_io_tensors = len(self.shapes)
        setattr(self, "device_memory_size" + ("" if MODE == "old" else "_v2"), 4096)

    def create_execution_context(self) -> Optional[Context]:
        return None if os.environ.get("FAKE_CONTEXT") else Context(self)

    def create_engine_inspector(self) -> Inspector:
        return Inspector()

    def get_tensor_name(self, index: int) -> str:
        return str(list(self.shapes)[index])

    def get_tensor_mode(self, name: str) -> Any:
        return TensorIOMode.INPUT if name == "images" else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> List[int]:
        shape: List[int] = self.shapes[name][1]
        return shape

    def get_tensor_dtype(self, name: str) -> Any:
        return DataType[self.shapes[name][0]]


class Runtime:
    def __init__(self, log: ILogger) -> None:
        self._log = log

    def deserialize_cuda_engine(self, plan: Any) -> Optional[Engine]:
        try:
            return Engine(json.loads(bytes(plan).decode()))
        except ValueError:
            self._log.log(Severity.ERROR, "Serialization assertion magicTag failed")
            return None
