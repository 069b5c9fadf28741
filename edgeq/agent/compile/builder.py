"""The builder's own process: an ONNX file becomes a serialized TensorRT engine.

In a process of its own because TensorRT may abort, and takes memory that it never gives back.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ..errors import BAD_ARTIFACT, ENGINE, AgentError, raise_problems
from ..runtimes.parts.inspector import engine_layers
from ..runtimes.parts.tensorrt_module import Messages, converted, import_module, make_log, members
from ..store import disk

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.events import Events
    from ..wire.job import EngineJob

FLAGS = {"int8": ("INT8", "FP16"), "fp16": ("FP16",)}
_STEPS = 1000


def build_engine(job: EngineJob, events: Events) -> dict[str, Any]:
    """Write the plan and the timing cache; the result has the version, flags, time and layers.

    AgentError: missing-engine, bad-artifact with all that the parser refuses, engine,
    out-of-memory.
    """
    trt = import_module(job.module)
    messages = Messages()
    try:
        return _build(trt, job, events, messages)
    except (AgentError, MemoryError, OSError):
        raise
    except Exception as exc:
        # The bindings raise TypeError and RuntimeError where the library returns nothing.
        reason = f"{messages.last()} ({type(exc).__name__}: {exc})"
        raise converted(job.model.name, "cannot be built", reason) from exc


def wanted_flags(trt: Any, job: EngineJob) -> tuple[list[str], list[str]]:
    """Flags for the network and for the builder, by name; AgentError (engine) where it has none."""
    creation, flags = members(trt.NetworkDefinitionCreationFlag), members(trt.BuilderFlag)
    network = [name for name in ("EXPLICIT_BATCH",) if name in creation]
    if job.typing == "strong":
        if "STRONGLY_TYPED" not in creation:
            what = f"{job.module} {trt.__version__} has no strongly typed networks"
            raise AgentError(ENGINE, "typing", what, "build with typing 'weak'")
        return [*network, "STRONGLY_TYPED"], []
    missing = [name for name in FLAGS[job.precision] if name not in flags]
    if missing:
        what = f"{job.module} {trt.__version__} has no flags {' and '.join(missing)}"
        remedy = "build with typing 'strong', from a model whose tensors have their types"
        raise AgentError(ENGINE, "typing", what, remedy)
    return network, list(FLAGS[job.precision])


def _build(trt: Any, job: EngineJob, events: Events, messages: Messages) -> dict[str, Any]:
    network_flags, builder_flags = wanted_flags(trt, job)
    log = make_log(trt, messages)
    if hasattr(trt, "init_libnvinfer_plugins"):
        trt.init_libnvinfer_plugins(log, "")
    builder = trt.Builder(log)
    creation = members(trt.NetworkDefinitionCreationFlag)
    network = builder.create_network(sum(1 << int(creation[name]) for name in network_flags))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(job.model)):
        raise_problems(
            BAD_ARTIFACT,
            job.model.name,
            _parser_errors(parser, messages),
            "TensorRT has to know every node: export or quantize the model again without them",
        )
    _check_inputs(network, job.model)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, job.workspace_bytes)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    for name in builder_flags:
        config.set_flag(members(trt.BuilderFlag)[name])
    _set_timing_cache(config, job.timing_cache)
    monitor = None
    if hasattr(trt, "IProgressMonitor"):
        from .progress_monitor import make_monitor

        monitor = make_monitor(trt, lambda share: events.progress("build", share, _STEPS), _STEPS)
        config.progress_monitor = monitor

    start_s = time.monotonic()
    plan = builder.build_serialized_network(network, config)
    build_s = time.monotonic() - start_s
    if plan is None:
        raise converted(job.model.name, "cannot be built", messages.last())
    _write(job.plan, plan)
    _write_timing_cache(config, job.timing_cache)
    # The builder's memory is needed for the look at the engine.
    del config, monitor, parser, network, builder
    layers = engine_layers(trt, log, plan)
    events.progress("build", _STEPS, _STEPS)
    return {
        "version": trt.__version__,
        "flags": [*network_flags, *builder_flags],
        "build_s": build_s,
        "layers": layers,
    }


def _parser_errors(parser: Any, messages: Messages) -> list[str]:
    problems = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        if hasattr(error, "node_name"):
            node, operator = error.node_name(), f" ({error.node_operator()})"
        else:
            # 8.5 numbers the node and stops there: its name is the last one that it logged.
            node, operator = messages.node or str(error.node()), ""
        problems.append(f"node '{node}'{operator}: {' '.join(error.desc().split())}")
    return problems or [f"cannot be parsed: {messages.last()}"]


def _check_inputs(network: Any, model: Path) -> None:
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    problems = [
        f"input '{tensor.name}' is {list(tensor.shape)}, and an engine needs a size for every axis"
        for tensor in inputs
        if any(side < 0 for side in tensor.shape)
    ]
    raise_problems(BAD_ARTIFACT, model.name, problems, "export the model with a fixed input size")


def _set_timing_cache(config: Any, path: Path) -> None:
    """Have the builder remember what it measures; one that it does not take is begun anew."""
    content = path.read_bytes() if path.is_file() else b""
    try:
        is_taken = config.set_timing_cache(config.create_timing_cache(content), False)
    except (RuntimeError, TypeError):
        is_taken = False
    if not is_taken and content:
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _write_timing_cache(config: Any, path: Path) -> None:
    cache = config.get_timing_cache()
    if cache is not None:
        _write(path, cache.serialize())


def _write(path: Path, content: Any) -> None:
    file = disk.open_file(path)
    try:
        disk.truncate(file, 0)
        disk.write(file, memoryview(content).cast("B"))
    finally:
        os.close(file.fd)
