"""The CUDA runtime through ctypes: memory, copies, streams, events, and what the GPU is.

JetPack has neither cuda-python nor pycuda; libcudart.so is there wherever TensorRT is.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_ulonglong, c_void_p
from typing import Any, NamedTuple, Sequence

from ...errors import ENGINE, MISSING_ENGINE, OUT_OF_MEMORY, AgentError

LIBRARIES = (
    "libcudart.so.13",
    "libcudart.so.12",
    "libcudart.so.11.0",
    "libcudart.so",
    # A session over SSH has no LD_LIBRARY_PATH.
    "/usr/local/cuda/lib64/libcudart.so",
)

# driver_types.h, cudaDeviceAttr and cudaMemcpyKind
_SM_COUNT, _CC_MAJOR, _CC_MINOR = 16, 75, 76
_TO_DEVICE, _TO_HOST = 1, 2
_NO_MEMORY = 2  # cudaErrorMemoryAllocation
_CAPTURE_THREAD_LOCAL = 1  # cudaStreamCaptureModeThreadLocal
_NAME_BYTES = 256
_PROPERTIES_BYTES = 1 << 14  # more than the structure has in any version

_HANDLE = POINTER(c_void_p)
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "cudaRuntimeGetVersion": (POINTER(c_int),),
    "cudaDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cudaMemGetInfo": (POINTER(c_size_t), POINTER(c_size_t)),
    "cudaMalloc": (_HANDLE, c_size_t),
    "cudaFree": (c_void_p,),
    "cudaMallocHost": (_HANDLE, c_size_t),
    "cudaFreeHost": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaStreamCreate": (_HANDLE,),
    "cudaStreamSynchronize": (c_void_p,),
    "cudaStreamDestroy": (c_void_p,),
    "cudaEventCreate": (_HANDLE,),
    "cudaEventRecord": (c_void_p, c_void_p),
    "cudaEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cudaEventDestroy": (c_void_p,),
}
# Only in some versions, or not needed by all.
_OPTIONAL: dict[str, tuple[Any, ...]] = {
    "cudaGetDeviceProperties": (c_void_p, c_int),
    "cudaGetDeviceProperties_v2": (c_void_p, c_int),
    "cudaStreamBeginCapture": (c_void_p, c_int),
    "cudaStreamEndCapture": (c_void_p, _HANDLE),
    # Not cudaGraphInstantiate, whose arguments changed with CUDA 12.
    "cudaGraphInstantiateWithFlags": (_HANDLE, c_void_p, c_ulonglong),
    "cudaGraphLaunch": (c_void_p, c_void_p),
    "cudaGraphExecDestroy": (c_void_p,),
    "cudaGraphDestroy": (c_void_p,),
}


class Gpu(NamedTuple):
    """The first GPU: its name, multiprocessors, and compute capability such as '8.7'."""

    name: str
    sm_count: int
    compute_capability: str


class Cuda:
    """The runtime library; what it refuses becomes an AgentError (engine or out-of-memory)."""

    def __init__(self, library: Any, name: str) -> None:
        self.library_name = name
        self._library = library
        try:
            _declare(library)
        except AttributeError as exc:
            what = f"is no CUDA runtime of version 11 or later ({exc})"
            raise AgentError(MISSING_ENGINE, name, what, _INSTALL) from exc

    def runtime_version(self) -> str:
        """The version of the library, such as '12.6'."""
        number = self._get("cudaRuntimeGetVersion", c_int).value
        return f"{number // 1000}.{number % 1000 // 10}"

    def gpu(self) -> Gpu:
        """What the first GPU is."""
        # The name comes first in the structure of every version, and nothing else of it is read.
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        newer = "cudaGetDeviceProperties_v2"
        self._call(newer if hasattr(self._library, newer) else newer[:-3], properties, 0)
        name = properties.raw[:_NAME_BYTES].partition(b"\0")[0].decode("utf-8", "replace")
        sm_count, major, minor = (
            self._get("cudaDeviceGetAttribute", c_int, attribute, 0).value
            for attribute in (_SM_COUNT, _CC_MAJOR, _CC_MINOR)
        )
        return Gpu(name, sm_count, f"{major}.{minor}")

    def used_bytes(self) -> int:
        """Bytes of the GPU's memory in use, by everybody; a Jetson's is the system's memory."""
        free, total = c_size_t(), c_size_t()
        self._call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return total.value - free.value

    def malloc(self, size_bytes: int) -> int:
        """The address of new memory on the GPU."""
        return self._new("cudaMalloc", max(size_bytes, 1))

    def free(self, address: int) -> None:
        """Give back memory on the GPU."""
        self._call("cudaFree", address)

    def malloc_host(self, size_bytes: int) -> int:
        """The address of new memory of the host that is never paged out, so that copies overlap."""
        return self._new("cudaMallocHost", max(size_bytes, 1))

    def free_host(self, address: int) -> None:
        """Give back memory of `malloc_host`."""
        self._call("cudaFreeHost", address)

    def upload(self, device: int, host: int, size_bytes: int, stream: int) -> None:
        """Copy from the host to the GPU, in the stream's order."""
        self._call("cudaMemcpyAsync", device, host, size_bytes, _TO_DEVICE, stream)

    def download(self, host: int, device: int, size_bytes: int, stream: int) -> None:
        """Copy from the GPU to the host, in the stream's order."""
        self._call("cudaMemcpyAsync", host, device, size_bytes, _TO_HOST, stream)

    def stream(self) -> int:
        """A new stream."""
        return self._new("cudaStreamCreate")

    def synchronize(self, stream: int) -> None:
        """Wait until all that is in the stream is done."""
        self._call("cudaStreamSynchronize", stream)

    def destroy_stream(self, stream: int) -> None:
        """Give back a stream."""
        self._call("cudaStreamDestroy", stream)

    def event(self) -> int:
        """A new event."""
        return self._new("cudaEventCreate")

    def record(self, event: int, stream: int) -> None:
        """Have the event tell when the GPU gets to this place of the stream."""
        self._call("cudaEventRecord", event, stream)

    def elapsed_ms(self, start: int, stop: int) -> float:
        """Milliseconds between two events that have come to pass."""
        return float(self._get("cudaEventElapsedTime", c_float, start, stop).value)

    def destroy_event(self, event: int) -> None:
        """Give back an event."""
        self._call("cudaEventDestroy", event)

    def begin_capture(self, stream: int) -> None:
        """Note what is put into the stream from now on, instead of doing it."""
        self._call("cudaStreamBeginCapture", stream, _CAPTURE_THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        """What was noted, as a graph to `launch`."""
        graph = self._get("cudaStreamEndCapture", c_void_p, before=(stream,))
        try:
            return int(self._get("cudaGraphInstantiateWithFlags", c_void_p, graph, 0).value or 0)
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        """Put all of a graph into the stream at once."""
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Give back a graph."""
        self._call("cudaGraphExecDestroy", graph)

    def _new(self, function: str, *arguments: Any) -> int:
        return int(self._get(function, c_void_p, *arguments).value or 0)

    def _get(self, function: str, kind: Any, *arguments: Any, before: Sequence[Any] = ()) -> Any:
        value = kind()
        self._call(function, *before, ctypes.byref(value), *arguments)
        return value

    def _call(self, function: str, *arguments: Any) -> None:
        if not hasattr(self._library, function):
            what = f"{self.library_name} has no such function"
            raise AgentError(ENGINE, function, what, "update the board's CUDA")
        status = getattr(self._library, function)(*arguments)
        if status:
            text = self._library.cudaGetErrorString(status).decode("utf-8", "replace")
            what = f"failed: {text} ({status})"
            if status == _NO_MEMORY:
                remedy = "free memory or use a smaller input size"
                raise AgentError(OUT_OF_MEMORY, function, what, remedy)
            remedy = "check that the board's driver and CUDA belong to one JetPack"
            raise AgentError(ENGINE, function, what, remedy)


_INSTALL = "install the board's CUDA: sudo apt install nvidia-jetpack"


def load_cuda(names: Sequence[str] = LIBRARIES) -> Cuda:
    """The first CUDA runtime that can be loaded; AgentError (missing-engine) when none can."""
    for name in names:
        try:
            return Cuda(ctypes.CDLL(name), name)
        except OSError:
            continue
    what = f"is not on this system (looked for {', '.join(names)})"
    raise AgentError(MISSING_ENGINE, "CUDA runtime", what, _INSTALL)


def _declare(library: Any) -> None:
    library.cudaGetErrorString.argtypes, library.cudaGetErrorString.restype = (c_int,), c_char_p
    there = {name: types for name, types in _OPTIONAL.items() if hasattr(library, name)}
    for name, types in {**_PROTOTYPES, **there}.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, c_int
