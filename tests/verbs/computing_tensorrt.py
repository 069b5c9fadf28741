"""The fake TensorRT of the agent's tests with an engine that computes: ONNX Runtime behind it.

Tests copy this file to `tensorrt.py`, beside the fake as `fake_tensorrt.py`. A plan is the ONNX
file itself with a line of JSON before it; the profile names every convolution, an int8 one with a
reformat of its own.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
from typing import Any

import numpy as np
import onnxruntime as ort

fake: Any = importlib.import_module("fake_tensorrt")
globals().update({name: value for name, value in vars(fake).items() if name[0] != "_"})
__version__ = fake.__version__

_TYPES = {"tensor(float)": ("FLOAT", np.float32), "tensor(float16)": ("HALF", np.float16)}
_models: dict[int, bytes] = {}


class OnnxParser(fake.OnnxParser):  # type: ignore[misc]
    def __init__(self, network: Any, log: Any) -> None:
        super().__init__(network, log)
        self._network = network

    def parse_from_file(self, path: str) -> bool:
        with open(path, "rb") as stream:  # noqa: PTH123
            _models[id(self._network)] = stream.read()
        return bool(super().parse_from_file(path))


class Builder(fake.Builder):  # type: ignore[misc]
    def build_serialized_network(self, network: Any, config: Any) -> Any:
        super().build_serialized_network(network, config)
        head = json.dumps({"flags": config.flags, "network": network.flags})
        return fake.HostMemory(head.encode() + b"\n" + _models[id(network)])


class Engine:
    num_layers = 1
    device_memory_size_v2 = 4096

    def __init__(self, plan: bytes) -> None:
        head, _, model = plan.partition(b"\n")
        self.flags = json.loads(head.decode())["flags"]
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.outputs = {value.name: value for value in self.session.get_outputs()}
        self.tensors = {**self.inputs, **self.outputs}
        self.num_io_tensors = len(self.tensors)

    def create_execution_context(self) -> Any:
        return Context(self)

    def create_engine_inspector(self) -> Any:
        return fake.Inspector()

    def get_tensor_name(self, index: int) -> str:
        return str(list(self.tensors)[index])

    def get_tensor_mode(self, name: str) -> Any:
        return fake.TensorIOMode.INPUT if name in self.inputs else fake.TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> Any:
        return list(self.tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        return fake.DataType[_TYPES[self.tensors[name].type][0]]


class Context:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.addresses: dict[str, int] = {}
        self.profiler: Any = None

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return name in self._engine.tensors

    def execute_async_v3(self, stream: int) -> bool:
        engine = self._engine
        fed = {}
        for name, value in engine.inputs.items():
            dtype = _TYPES[value.type][1]
            given = np.empty(value.shape, dtype)
            ctypes.memmove(given.ctypes.data, self.addresses[name], given.nbytes)
            fed[name] = given
        found = engine.session.run(list(engine.outputs), fed)
        for name, array in zip(engine.outputs, found, strict=True):
            whole = np.ascontiguousarray(array)
            ctypes.memmove(self.addresses[name], whole.ctypes.data, whole.nbytes)
        if self.profiler is not None:
            for name in os.environ.get("FAKE_LAYERS", "").split():
                self.profiler.report_layer_time(f"{name} + PWN(act)", 0.5)
                if "INT8" in engine.flags:
                    self.profiler.report_layer_time(f"Reformatting CopyNode for {name}", 0.25)
        return True


class Runtime:
    def __init__(self, log: Any) -> None:
        self._log = log

    def deserialize_cuda_engine(self, plan: Any) -> Engine:
        return Engine(bytes(plan))
