"""TensorRT on the board's GPU: an engine that `build` made here."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import BAD_ARTIFACT, BAD_JOB, ENGINE, AgentError
from ..vision.detections import Output
from .base import DeviceRuntime, InputSpec, LoadedModel
from .parts.cuda import Cuda, load_cuda
from .parts.inspector import inspect, make_profiler
from .parts.tensorrt_module import Messages, converted, import_module, make_log

if TYPE_CHECKING:
    from pathlib import Path

    from ..vision.arrays import Array

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
_IMAGE_DTYPES = ("float32", "float16", "uint8")
_BUILD_AGAIN = "build the engine again on this board"


class GpuTensor(NamedTuple):
    """An input or output: memory on the GPU, and pinned memory of the host as an array."""

    name: str
    host: Array
    host_address: int
    device_address: int


class TensorRtEngine(LoadedModel):
    """An engine with its buffers; see `base.LoadedModel`.

    `last_gpu_ms` is what the GPU took for the last inference, without the copies.
    """

    name = "tensorrt"

    def __init__(self, trt: Any, cuda: Cuda, plan: bytes, where: str) -> None:
        self.version = str(trt.__version__)
        self.last_gpu_ms: float | None = None
        self._trt, self.cuda, self._where = trt, cuda, where
        self._messages = Messages()
        self._log = make_log(trt, self._messages)
        if hasattr(trt, "init_libnvinfer_plugins"):
            trt.init_libnvinfer_plugins(self._log, "")
        used_bytes = cuda.used_bytes()
        # TensorRT needs the runtime for as long as the engine lives.
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise self._failed("cannot be loaded")
        self.context = self._new_context()
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        is_input = [self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT for n in names]
        tensors = [self._tensor(name) for name in names]
        self._inputs = [tensor for tensor, given in zip(tensors, is_input) if given]
        self._outputs = [tensor for tensor, given in zip(tensors, is_input) if not given]
        self._address(self.context)
        self._stream = cuda.stream()
        self._start, self._stop = cuda.event(), cuda.event()
        self._loaded_bytes = cuda.used_bytes() - used_bytes
        self.input = _input_of(self._inputs, where)
        self._graph: int | None = None

    def run(self, tensor: Array) -> list[Output]:
        """See `base.LoadedModel`; AgentError (engine or out-of-memory) when inference fails."""
        self._infer(self.context, tensor)
        self.last_gpu_ms = self.cuda.elapsed_ms(self._start, self._stop)
        # The buffers are used again by the next inference.
        return [Output(output.name, output.host.copy()) for output in self._outputs]

    def use_graph(self, tensor: Array) -> None:
        """Launch what an inference does on the GPU as one CUDA graph from now on."""
        # Outside of a capture first: TensorRT sets things up in the first one.
        self._infer(self.context, tensor)
        self.cuda.begin_capture(self._stream)
        is_put = self.context.execute_async_v3(self._stream)
        graph = self.cuda.end_capture(self._stream)
        if not is_put:
            self.cuda.destroy_graph(graph)
            raise self._failed("cannot be captured in a CUDA graph")
        self._graph = graph

    def facts(self) -> dict[str, Any]:
        """Bytes of the GPU's memory for activations, and for all of it; layers as they became."""
        # 8.5 has the one, 11 only the other.
        newer = "device_memory_size_v2"
        size = newer if hasattr(self._engine, newer) else newer[:-3]
        return {
            "device_memory_bytes": int(getattr(self._engine, size)),
            "gpu_memory_used_bytes": self._loaded_bytes,
            "num_layers": int(self._engine.num_layers),
            "layers": inspect(self._trt, self._engine, self.context),
        }

    def layer_times(self, tensor: Array, passes: int = 10) -> list[dict[str, Any]]:
        """Mean milliseconds of each layer over some passes of their own, in the engine's order.

        With a context of its own: a profiler makes every inference wait for each layer.
        """
        context = self._new_context()
        self._address(context)
        profiler = make_profiler(self._trt)
        context.profiler = profiler
        self._infer(context, tensor)
        profiler.times_ms.clear()
        for _ in range(passes):
            self._infer(context, tensor)
        return [{"layer": name, "ms": ms / passes} for name, ms in profiler.times_ms.items()]

    def close(self) -> None:
        """Give everything back; the engine cannot be used any more."""
        if self._graph is not None:
            self.cuda.destroy_graph(self._graph)
        self._graph = None
        self.context = self._engine = self._runtime = None
        for tensor in (*self._inputs, *self._outputs):
            self.cuda.free(tensor.device_address)
            self.cuda.free_host(tensor.host_address)
        self._inputs, self._outputs = [], []
        for event in (self._start, self._stop):
            self.cuda.destroy_event(event)
        self.cuda.destroy_stream(self._stream)

    def _infer(self, context: Any, tensor: Array) -> None:
        cuda, stream = self.cuda, self._stream
        given = self._inputs[0]
        if tensor.shape != given.host.shape or tensor.dtype != given.host.dtype:
            what = f"the tensor is {list(tensor.shape)} {tensor.dtype}, the engine takes "
            what += f"{list(given.host.shape)} {given.host.dtype}"
            raise AgentError(ENGINE, self._where, f"inference failed: {what}", _BUILD_AGAIN)
        np.copyto(given.host, tensor)
        cuda.upload(given.device_address, given.host_address, given.host.nbytes, stream)
        cuda.record(self._start, stream)
        if self._graph is not None and context is self.context:
            cuda.launch(self._graph, stream)
        elif not context.execute_async_v3(stream):
            raise self._failed("inference failed")
        cuda.record(self._stop, stream)
        for output in self._outputs:
            cuda.download(output.host_address, output.device_address, output.host.nbytes, stream)
        cuda.synchronize(stream)

    def _new_context(self) -> Any:
        context = self._engine.create_execution_context()
        if context is None:
            raise self._failed("has no memory for its activations")
        return context

    def _address(self, context: Any) -> None:
        for tensor in (*self._inputs, *self._outputs):
            if not context.set_tensor_address(tensor.name, tensor.device_address):
                raise self._failed(f"does not take the tensor '{tensor.name}'")

    def _tensor(self, name: str) -> GpuTensor:
        shape = tuple(self._engine.get_tensor_shape(name))
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in _DTYPES or any(side < 0 for side in shape):
            what = f"tensor '{name}' is {kind} {list(shape)}, which cannot be read here"
            remedy = "export the model with fixed sizes, in float32 or float16"
            raise AgentError(BAD_ARTIFACT, self._where, what, remedy)
        dtype = np.dtype(_DTYPES[kind])
        size_bytes = max(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, 1)
        address = self.cuda.malloc_host(size_bytes)
        memory = memoryview((ctypes.c_uint8 * size_bytes).from_address(address))
        count = int(np.prod(shape, dtype=np.int64))
        host = np.frombuffer(memory, dtype, count).reshape(shape)
        return GpuTensor(name, host, address, self.cuda.malloc(size_bytes))

    def _failed(self, what: str) -> AgentError:
        return converted(self._where, what, self._messages.last())


def load(engine_path: Path, threads: int, graph_optimization: str = "all") -> TensorRtEngine:
    """The engine on the first GPU; `threads` is for engines on the CPU. See `base.load`."""
    if graph_optimization != "all":
        what = "'disabled' is not for TensorRT, which never computes a graph as it is written"
        raise AgentError(BAD_JOB, "graph_optimization", what, "simulate the plan with onnxruntime")
    trt = import_module("tensorrt")
    cuda = load_cuda()
    try:
        return TensorRtEngine(trt, cuda, engine_path.read_bytes(), engine_path.name)
    except (AgentError, MemoryError):
        raise
    except Exception as exc:
        reason = f"{type(exc).__name__}: {exc}"
        raise converted(engine_path.name, "cannot be loaded", reason) from exc


def _input_of(inputs: list[GpuTensor], where: str) -> InputSpec:
    if len(inputs) != 1 or inputs[0].host.dtype.name not in _IMAGE_DTYPES:
        found = ", ".join(f"{tensor.name} {tensor.host.dtype}" for tensor in inputs)
        what = f"has the inputs {found}; one image of float, float16 or uint8 is expected"
        remedy = "export the model with the image as its only input"
        raise AgentError(BAD_ARTIFACT, where, what, remedy)
    return InputSpec(inputs[0].name, inputs[0].host.shape, inputs[0].host.dtype.name)


RUNTIME = DeviceRuntime(load, is_built_here=True)
