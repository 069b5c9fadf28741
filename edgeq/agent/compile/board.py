"""What decides whether an engine fits: TensorRT, CUDA, the GPU, and which Jetson this is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import AgentError
from ..runtimes.parts.cuda import load_cuda
from ..runtimes.parts.tensorrt_module import find_trtexec
from ..system.jetson import l4t_release, module_model, power_mode

if TYPE_CHECKING:
    from ..runtimes.parts.cuda import Gpu
    from ..system.reading import Reader


class Board(NamedTuple):
    """Versions as their makers write them; `trtexec` is a path; None where it is not there."""

    module: str | None
    trtexec: str | None
    cuda_runtime: str | None
    gpu: str | None
    sm_count: int | None
    compute_capability: str | None
    l4t_release: str | None
    module_model: str | None
    power_mode: str | None


def look(reader: Reader, version: str | None) -> Board:
    """The board, with the version of TensorRT's Python module that the caller found."""
    if version is None:
        reader.note("module", "this Python sees no module tensorrt")
    trtexec = find_trtexec()
    if trtexec is None:
        reader.note("trtexec", "neither in /usr/src/tensorrt/bin nor on PATH")
    runtime, gpu = _cuda(reader)
    release = l4t_release(reader)
    if release is None:
        reader.note("l4t_release", "this is no Jetson")
    mode = power_mode(reader)
    return Board(
        module=version,
        trtexec=trtexec,
        cuda_runtime=runtime,
        gpu=gpu.name if gpu else None,
        sm_count=gpu.sm_count if gpu else None,
        compute_capability=gpu.compute_capability if gpu else None,
        l4t_release=release,
        module_model=module_model(reader),
        power_mode=mode.text if mode else None,
    )


def _cuda(reader: Reader) -> tuple[str | None, Gpu | None]:
    names = ("gpu", "sm_count", "compute_capability")
    try:
        cuda = load_cuda()
        version = cuda.runtime_version()
    except AgentError as exc:
        for name in ("cuda_runtime", *names):
            reader.note(name, exc.what)
        return None, None
    try:
        return version, cuda.gpu()
    except AgentError as exc:
        for name in names:
            reader.note(name, f"{exc.where} {exc.what}")
        return version, None
