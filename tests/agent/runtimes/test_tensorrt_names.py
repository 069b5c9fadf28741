"""Every name of TensorRT that the agent uses exists in the real bindings, where the table says."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest

import edgeq.agent

from .bindings import VERSIONS, Bindings, folder_of, python_for

# Which major versions have the names of a class; whatever is not in all of them is asked for first.
ALL, TO_10, FROM_10 = {8, 10, 11}, {8, 10}, {10, 11}
NAMES: Dict[str, Set[int]] = {
    "__version__": ALL,
    "init_libnvinfer_plugins": ALL,
    **dict.fromkeys(("ILogger", "ILogger.log", "IProfiler", "IProfiler.report_layer_time"), ALL),
    **dict.fromkeys((f"ILogger.Severity.{n}" for n in ("INTERNAL_ERROR", "ERROR", "WARNING")), ALL),
    "IProgressMonitor": FROM_10,
    "IProgressMonitor.phase_start": FROM_10,
    "IProgressMonitor.step_complete": FROM_10,
    "IProgressMonitor.phase_finish": FROM_10,
    "BuilderFlag": ALL,
    "BuilderFlag.INT8": TO_10,
    "BuilderFlag.FP16": TO_10,
    "NetworkDefinitionCreationFlag": ALL,
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": TO_10,
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": FROM_10,
    "MemoryPoolType.WORKSPACE": ALL,
    "ProfilingVerbosity.DETAILED": ALL,
    "LayerInformationFormat.JSON": ALL,
    "TensorIOMode.INPUT": ALL,
    **{f"DataType.{n}": ALL for n in ("FLOAT", "HALF", "INT8", "UINT8", "INT32", "BOOL")},
    "DataType.INT64": FROM_10,
    "Builder": ALL,
    "Builder.create_network": ALL,
    "Builder.create_builder_config": ALL,
    "Builder.build_serialized_network": ALL,
    "INetworkDefinition.num_inputs": ALL,
    "INetworkDefinition.get_input": ALL,
    "ITensor.name": ALL,
    "ITensor.shape": ALL,
    "OnnxParser": ALL,
    "OnnxParser.parse_from_file": ALL,
    "OnnxParser.num_errors": ALL,
    "OnnxParser.get_error": ALL,
    "ParserError.node": ALL,
    "ParserError.desc": ALL,
    "ParserError.node_name": FROM_10,
    "ParserError.node_operator": FROM_10,
    "IBuilderConfig.set_memory_pool_limit": ALL,
    "IBuilderConfig.profiling_verbosity": ALL,
    "IBuilderConfig.set_flag": ALL,
    "IBuilderConfig.create_timing_cache": ALL,
    "IBuilderConfig.set_timing_cache": ALL,
    "IBuilderConfig.get_timing_cache": ALL,
    "IBuilderConfig.progress_monitor": FROM_10,
    "ITimingCache.serialize": ALL,
    "Runtime": ALL,
    "Runtime.deserialize_cuda_engine": ALL,
    "ICudaEngine.create_execution_context": ALL,
    "ICudaEngine.create_engine_inspector": ALL,
    "ICudaEngine.num_io_tensors": ALL,
    "ICudaEngine.get_tensor_name": ALL,
    "ICudaEngine.get_tensor_mode": ALL,
    "ICudaEngine.get_tensor_shape": ALL,
    "ICudaEngine.get_tensor_dtype": ALL,
    "ICudaEngine.num_layers": ALL,
    "ICudaEngine.device_memory_size": TO_10,
    "ICudaEngine.device_memory_size_v2": FROM_10,
    "IExecutionContext.set_tensor_address": ALL,
    "IExecutionContext.execute_async_v3": ALL,
    "IExecutionContext.profiler": ALL,
    "EngineInspector.execution_context": ALL,
    "EngineInspector.get_engine_information": ALL,
}

# What the agent's modules call an object of a class.
VARIABLES = {
    "trt": "",
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "config": "IBuilderConfig",
    "cache": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "inspector": "EngineInspector",
}
MODULES = (
    "compile/builder.py",
    "compile/progress_monitor.py",
    "runtimes/parts/inspector.py",
    "runtimes/tensorrt.py",
    "runtimes/parts/tensorrt_module.py",
)

# Runs under the bindings' own Python; prints which names there are, and what the agent makes of it.
PROGRAM = """
import importlib, json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
trt = importlib.import_module(sys.argv[3])
from agent.compile.builder import build_engine, wanted_flags
from agent.compile.progress_monitor import make_monitor
from agent.errors import AgentError
from agent.runtimes.parts.inspector import make_profiler
from agent.runtimes.parts.tensorrt_module import Messages, make_log
from agent.wire.job import EngineJob
from pathlib import Path

def has(name):
    found = trt
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True

def attempt(function, *arguments):
    try:
        return function(*arguments)
    except AgentError as exc:
        return [exc.kind, exc.message]

messages = Messages()
log = make_log(trt, messages)
log.log(trt.ILogger.Severity.ERROR, "heard")
profiler = make_profiler(trt)
profiler.report_layer_time("a", 2.0)
reports = []
if hasattr(trt, "IProgressMonitor"):
    monitor = make_monitor(trt, reports.append, 10)
    monitor.phase_start("a", None, 2)
    monitor.step_complete("a", 0)
    monitor.phase_finish("a")
job = EngineJob(Path("m"), Path("p"), Path("t"), "int8", "weak", sys.argv[3], 1 << 20)
strong = job._replace(typing="strong")
typing = "strong" if "FP16" not in trt.BuilderFlag.__members__ else "weak"
print(json.dumps({
    "version": trt.__version__,
    "names": [name for name in json.load(sys.stdin) if has(name)],
    "heard": messages.kept,
    "times": profiler.times_ms,
    "reports": reports,
    "weak": attempt(wanted_flags, trt, job),
    "strong": attempt(wanted_flags, trt, strong),
    "built": attempt(build_engine, job._replace(typing=typing), None),
}))
"""


def names_in(module: str) -> Set[str]:
    """The names of TensorRT's that a module of the agent uses, as far as its variables tell."""
    path = Path(edgeq.agent.__file__).parent / module
    found: Set[str] = set()
    tree = ast.parse(path.read_text())
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            found.add(_dotted(node))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("hasattr", "getattr"):
            thing, name = node.args[:2]
            if isinstance(name, ast.Constant):
                found.add(_dotted(ast.Attribute(thing, str(name.value))))
    return found - {""}


def _dotted(node: Any) -> str:
    parts: List[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    if node.id == "self":
        node.id, parts = parts[0].lstrip("_"), parts[1:]
    if node.id not in VARIABLES or not parts:
        return ""
    # What is beyond a class's own attribute is Python's.
    own = parts[: 3 if node.id == "trt" else 1]
    return ".".join([part for part in (VARIABLES[node.id], *own) if part])


def test_the_table_has_every_name_that_the_agent_uses() -> None:
    used = set().union(*map(names_in, MODULES))
    assert len(used) > 40
    unknown = {name for name in used if name not in NAMES and not name.endswith("__")}
    assert unknown == set()


def test_what_builds_without_a_gpu_has_the_names_of_11() -> None:
    """TensorRT for RTX, against which the builder itself is tested, stands for the newest."""
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("the package tensorrt-rtx is missing")
    program = PROGRAM.partition("from agent")[0] + "def has" + PROGRAM.partition("def has")[2]
    program = program.partition("def attempt")[0]
    program += "print(json.dumps([name for name in json.load(sys.stdin) if has(name)]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "", "", "tensorrt_rtx"],
        input=json.dumps(list(NAMES)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {name for name, majors in NAMES.items() if 11 in majors}


@pytest.mark.parametrize("bindings", VERSIONS, ids=lambda bindings: str(bindings.version))
def test_the_real_bindings_have_the_names(bindings: Bindings, agent_pyz: Path) -> None:
    python, folder = python_for(bindings), folder_of(bindings)
    done = subprocess.run(
        [python, "-c", PROGRAM, str(agent_pyz), str(folder), bindings.package],
        input=json.dumps(list(NAMES)),
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["version"] == bindings.version
    major = int(bindings.version.split(".")[0])
    assert set(found["names"]) == {name for name, majors in NAMES.items() if major in majors}
    assert found["heard"] == ["heard"] and found["times"] == {"a": 2.0}
    assert found["reports"] == ([] if major == 8 else [5])
    weak, strong = found["weak"], found["strong"]
    batch = ["EXPLICIT_BATCH"] if major < 11 else []
    assert weak == [batch, ["INT8", "FP16"]] if major < 11 else weak[0] == "engine"
    assert strong == [[*batch, "STRONGLY_TYPED"], []] if major > 8 else strong[0] == "engine"
    # The stand-ins make no builder: the very code gets as far as that, and says it in its words.
    assert found["built"][0] in ("engine", "missing-engine")
