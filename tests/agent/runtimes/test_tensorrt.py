"""TensorRT as an engine: with a fake module over a fake CUDA, and for real where there is a GPU."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import numpy as np
import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import read_manifest
from edgeq.agent.runtimes import tensorrt as engine_tensorrt
from edgeq.agent.runtimes.base import InputSpec, load
from edgeq.agent.runtimes.parts import cuda

from ..fake_tensorrt import SHAPES
from ..fakes import make_cudart, make_module

IMAGE = np.full((1, 3, 64, 64), 0.75, np.float32)


@pytest.fixture
def tensorrt_release(release: Path, manifest_document: Dict[str, Any]) -> Path:
    manifest_document["runtime"]["name"] = "tensorrt"
    (release / "manifest.json").write_text(json.dumps(manifest_document))
    return release


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "engine.plan"
    path.write_text(json.dumps({"shapes": SHAPES}))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The fake module and the fake CUDA runtime, to be found by this process."""
    made = make_module(tmp_path / "nvidia")
    library = str(make_cudart(made))
    monkeypatch.syspath_prepend(str(made))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr(engine_tensorrt, "load_cuda", lambda: cuda.load_cuda([library]))
    yield made
    sys.modules.pop("tensorrt", None)


def with_shapes(plan: Path, **shapes: Any) -> Path:
    plan.write_text(json.dumps({"shapes": {**SHAPES, **shapes}}))
    return plan


def test_an_engine_runs(tensorrt_release: Path, plan: Path, folder: Path) -> None:
    engine = load(read_manifest(tensorrt_release), 1, engine_path=plan)
    assert (engine.name, engine.version) == ("tensorrt", "10.3.0")
    assert engine.input == InputSpec("images", (1, 3, 64, 64), "float32")
    first, second = engine.run(IMAGE), engine.run(IMAGE * 2)
    assert [output.name for output in first] == ["output0", "output1"]
    assert [output.array.dtype for output in first] == [np.float32, np.float16]
    assert [output.array.shape for output in first] == [(1, 4, 10), (1, 3, 16, 16)]
    # The first answer is not overwritten by the second.
    assert (first[1].array == 1.5).all() and (second[1].array == 3).all()


def test_what_it_cost(plan: Path, folder: Path) -> None:
    engine = engine_tensorrt.load(plan, 1)
    assert engine.last_gpu_ms is None
    engine.run(IMAGE)
    assert engine.last_gpu_ms == 1.5
    assert engine.facts() == {
        "device_memory_bytes": 4096,
        # Three buffers on both sides, a stream and two events, of 10 bytes as the fake counts.
        "gpu_memory_used_bytes": 90,
        "num_layers": 2,
        "layers": [{"Name": "conv"}, {"Name": "head"}],
    }
    times = [{"layer": "conv", "ms": 0.5}, {"layer": "head", "ms": 0.25}]
    assert engine.layer_times(IMAGE, passes=4) == times
    # No profiler is left behind on the context that is timed.
    assert engine.context.profiler is None
    engine.close()
    assert cuda.load_cuda([str(folder / "libcudart.so.13")]).used_bytes() == 1000


def test_memory_of_old_versions(plan: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TENSORRT", "old")
    assert engine_tensorrt.load(plan, 1).facts()["device_memory_bytes"] == 4096


def test_graph_is_launched_instead_of_the_layers(
    plan: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_tensorrt.load(plan, 1)
    engine.run(IMAGE)
    engine.use_graph(IMAGE)
    launched = []
    launch = engine.cuda.launch

    def watched(graph: int, stream: int) -> None:
        launched.append(graph)
        launch(graph, stream)

    def never(stream: int) -> bool:
        raise AssertionError("put layer by layer")

    monkeypatch.setattr(engine.cuda, "launch", watched)
    monkeypatch.setattr(engine.context, "execute_async_v3", never)
    engine.run(IMAGE)
    assert len(launched) == 1 and launched[0]
    # The profile has a context of its own, which goes layer by layer.
    assert engine.layer_times(IMAGE)
    engine.close()


def test_float16_input(plan: Path, folder: Path) -> None:
    engine = engine_tensorrt.load(with_shapes(plan, images=["HALF", [1, 3, 64, 64]]), 1)
    assert engine.input.dtype == "float16"
    engine.run(IMAGE.astype(np.float16))


@pytest.mark.parametrize(
    "shapes, kind, said",
    [
        ({"images": ["INT32", [1, 3]]}, "bad-artifact", "one image of float, float16 or uint8"),
        ({"output0": ["FLOAT", [1, -1]]}, "bad-artifact", "'output0' is FLOAT [1, -1]"),
        ({"output0": ["BF16", [1]]}, "bad-artifact", "'output0' is BF16 [1]"),
    ],
)
def test_tensors_that_cannot_be_read(
    plan: Path, folder: Path, shapes: Any, kind: str, said: str
) -> None:
    with pytest.raises(AgentError) as caught:
        engine_tensorrt.load(with_shapes(plan, **shapes), 1)
    assert caught.value.kind == kind and said in caught.value.message


def test_an_engine_of_another_version_says_what_to_do(plan: Path, folder: Path) -> None:
    plan.write_bytes(b"ftrt of another version")
    with pytest.raises(AgentError, match="magicTag") as caught:
        engine_tensorrt.load(plan, 1)
    assert caught.value.kind == "engine"


@pytest.mark.parametrize(
    "variable, value, said",
    [
        ("FAKE_INFERENCE", "fails", "inference failed"),
        ("FAKE_CONTEXT", "none", "has no memory for its activations"),
        ("FAKE_CUDA_FAILS", "cudaMallocHost", "cudaMallocHost: failed: out of memory"),
        ("FAKE_CUDA_FAILS", "cudaStreamSynchronize", "cudaStreamSynchronize: failed"),
    ],
)
def test_what_fails_is_an_agent_error(
    plan: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(AgentError) as caught:
        engine_tensorrt.load(plan, 1).run(IMAGE)
    assert said in caught.value.message and caught.value.kind in ("engine", "out-of-memory")


def test_a_tensor_of_another_size_is_refused(plan: Path, folder: Path) -> None:
    engine = engine_tensorrt.load(plan, 1)
    with pytest.raises(AgentError, match=r"\[1, 3, 8, 8\] float32, the engine takes"):
        engine.run(IMAGE[:, :, :8, :8])


def test_an_engine_of_another_release_is_refused(
    tensorrt_release: Path, plan: Path, folder: Path
) -> None:
    manifest = read_manifest(tensorrt_release)
    record = plan.with_name("fingerprint.json")
    record.write_text(json.dumps({"fields": {"artifact": "another"}}))
    with pytest.raises(AgentError, match="was built of release another") as caught:
        load(manifest, 1, engine_path=plan)
    assert caught.value.kind == "bad-job"
    record.write_text(json.dumps({"fields": {"artifact": manifest.id}}))
    assert load(manifest, 1, engine_path=plan).name == "tensorrt"


@pytest.mark.parametrize("name", [None, "nowhere.plan"])
def test_without_an_engine_it_has_to_be_built(tensorrt_release: Path, name: Any) -> None:
    path = None if name is None else tensorrt_release / name
    with pytest.raises(AgentError, match="build it first") as caught:
        load(read_manifest(tensorrt_release), 1, engine_path=path)
    assert caught.value.kind == "missing-engine"


def test_no_graph_is_computed_as_written(plan: Path) -> None:
    with pytest.raises(AgentError, match="simulate the plan with onnxruntime") as caught:
        engine_tensorrt.load(plan, 1, "disabled")
    assert caught.value.kind == "bad-job"


def run_verb(pyz: Path, python: str, verb: str, job: Dict[str, Any], folder: Path) -> Any:
    environ = {**os.environ, "PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run(
        [python, str(pyz), verb, "-"],
        input=json.dumps(job).encode(),
        env=environ,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_all_verbs_run_what_was_built(
    agent_pyz: Path,
    agent_python: str,
    tensorrt_release: Path,
    root: Path,
    red_rectangle: Path,
    folder: Path,
) -> None:
    def run(verb: str, **job: Any) -> Any:
        common = {"release": str(tensorrt_release), "root": str(root)}
        return run_verb(agent_pyz, agent_python, verb, {**common, **job}, folder)

    missing = run("verify", threads=1)
    assert (missing["event"], missing["kind"]) == ("error", "missing-engine")
    built = run("build", reserve_bytes=0)
    assert built["event"] == "result", built
    assert (built["fields"]["gpu"], built["fields"]["sm_count"]) == ("Orin (nvgpu)", 8)
    common = {"engine": built["path"], "threads": 1}
    verified = run("verify", **common)
    assert verified["engine"] == {"name": "tensorrt", "version": "10.3.0"}, verified
    image = {"id": 1, "path": str(red_rectangle)}
    assert run("predict", images=[image], **common)["outputs"][1]["dtype"] == "float16"
    limits = {"warmup_s": 0.05, "max_warmup_s": 0.3, "min_duration_s": 0.1, "min_count": 5}
    timed = run("bench", images=[str(red_rectangle)], **common, **limits)
    assert timed["event"] == "result" and len(timed["inference_ns"]) >= 5


def test_probe_tells_what_decides_about_an_engine(
    agent_pyz: Path, agent_python: str, root: Path, folder: Path
) -> None:
    found = run_verb(agent_pyz, agent_python, "probe", {"root": str(root)}, folder)
    facts = found["tensorrt"]
    assert facts["module"] == "10.3.0" and facts["cuda_runtime"] == "12.6"
    assert facts["gpu"] == "Orin (nvgpu)" and facts["compute_capability"] == "8.7"
    for name, value in facts.items():
        assert (value is None) == (f"tensorrt.{name}" in found["not_readable"])


@pytest.fixture
def gpu() -> cuda.Gpu:
    """A real GPU with TensorRT; what is missing is named."""
    if importlib.util.find_spec("tensorrt") is None:
        pytest.skip("the Python module tensorrt is missing")
    try:
        return cuda.load_cuda().gpu()
    except AgentError as exc:
        pytest.skip(f"no GPU: {exc}")


@pytest.mark.gpu
def test_a_real_engine_is_built_and_runs(
    gpu: cuda.Gpu,
    agent_pyz: Path,
    tensorrt_release: Path,
    root: Path,
    tmp_path: Path,
    write_job: Callable[..., Path],
) -> None:
    import tensorrt

    typing = "weak" if "FP16" in tensorrt.BuilderFlag.__members__ else "strong"
    job = {"release": str(tensorrt_release), "root": str(root), "typing": typing}
    done = subprocess.run(
        [sys.executable, str(agent_pyz), "build", str(write_job(**job, precision="fp16"))],
        capture_output=True,
        timeout=600,
        check=False,
    )
    built = json.loads(done.stdout.splitlines()[-1])
    assert built["event"] == "result", built
    assert built["layers"] and built["fields"]["gpu"] == gpu.name
    engine = engine_tensorrt.load(Path(built["path"]), 1)
    outputs = engine.run(IMAGE)
    # The model subtracts a half from the mean of each cell.
    assert np.allclose(outputs[1].array, 0.25, atol=1e-2)
    assert engine.last_gpu_ms is not None and engine.last_gpu_ms > 0
    assert engine.facts()["layers"] and engine.layer_times(IMAGE, 2)
    engine.close()
