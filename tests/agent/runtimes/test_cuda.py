"""CUDA through ctypes: against a stand-in that counts, and the real library where there is one."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.runtimes.parts.cuda import LIBRARIES, Cuda, Gpu, load_cuda

from ..fakes import compiler, make_cudart


@pytest.fixture
def library(tmp_path: Path) -> str:
    return str(make_cudart(tmp_path))


@pytest.fixture
def cuda(library: str) -> Cuda:
    return load_cuda(["libcudart.so.nowhere", library])


def live(library: str) -> int:
    """How many things were made and not given back."""
    count = ctypes.CDLL(library).live
    count.restype = ctypes.c_long
    return int(count())


def test_what_the_gpu_is(cuda: Cuda) -> None:
    assert cuda.gpu() == Gpu("Orin (nvgpu)", 8, "8.7")
    assert cuda.runtime_version() == "12.6"
    assert cuda.used_bytes() == 1000


def test_bytes_go_to_the_gpu_and_back(cuda: Cuda, library: str) -> None:
    stream, start, stop = cuda.stream(), cuda.event(), cuda.event()
    there, here = cuda.malloc(5), cuda.malloc_host(5)
    ctypes.memmove(here, b"12345", 5)
    cuda.record(start, stream)
    cuda.upload(there, here, 5, stream)
    ctypes.memset(here, 0, 5)
    cuda.download(here, there, 5, stream)
    cuda.record(stop, stream)
    cuda.synchronize(stream)
    assert ctypes.string_at(here, 5) == b"12345"
    assert cuda.elapsed_ms(start, stop) == 1.5
    assert live(library) == 5
    cuda.free(there)
    cuda.free_host(here)
    for event in (start, stop):
        cuda.destroy_event(event)
    cuda.destroy_stream(stream)
    assert live(library) == 0


def test_a_graph_is_noted_and_launched(cuda: Cuda, library: str) -> None:
    stream = cuda.stream()
    cuda.begin_capture(stream)
    graph = cuda.end_capture(stream)
    cuda.launch(graph, stream)
    cuda.destroy_graph(graph)
    cuda.destroy_stream(stream)
    assert live(library) == 0


@pytest.mark.parametrize("status, kind", [("2", "out-of-memory"), ("700", "engine")])
def test_what_cuda_refuses_names_the_function(
    cuda: Cuda, monkeypatch: pytest.MonkeyPatch, status: str, kind: str
) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAILS", "cudaMalloc")
    monkeypatch.setenv("FAKE_CUDA_STATUS", status)
    with pytest.raises(AgentError) as caught:
        cuda.malloc(1 << 40)
    assert caught.value.kind == kind
    text = "out of memory" if status == "2" else "some error"
    assert caught.value.message.startswith(f"cudaMalloc: failed: {text} ({status}); ")


def test_no_library_says_what_was_looked_for() -> None:
    with pytest.raises(AgentError) as caught:
        load_cuda(["libcudart.so.nowhere"])
    assert caught.value.kind == "missing-engine"
    assert (
        "libcudart.so.nowhere" in caught.value.message and "nvidia-jetpack" in caught.value.message
    )


def test_a_library_that_is_another_one_is_refused(tmp_path: Path) -> None:
    source, other = tmp_path / "other.c", tmp_path / "libother.so"
    source.write_text("int nothing(void) { return 0; }")
    subprocess.run([compiler(), "-shared", "-fPIC", "-o", str(other), str(source)], check=True)
    with pytest.raises(AgentError, match="is no CUDA runtime") as caught:
        load_cuda([str(other)])
    assert caught.value.kind == "missing-engine"


def test_the_real_library_takes_these_calls() -> None:
    """Without a GPU it refuses in its own words, which proves the names and prototypes."""
    try:
        real = load_cuda(LIBRARIES)
    except AgentError:
        pytest.skip("libcudart.so (the CUDA runtime) is missing")
    major, minor = real.runtime_version().split(".")
    assert int(major) >= 11 and minor.isdigit()
    try:
        assert real.gpu().sm_count > 0
    except AgentError as exc:
        assert exc.where.startswith("cudaGetDeviceProperties") and "failed: " in exc.what
    for function in ("cudaGraphInstantiateWithFlags", "cudaStreamBeginCapture"):
        assert hasattr(ctypes.CDLL(real.library_name), function)
