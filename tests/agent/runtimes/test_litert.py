"""LiteRT as an engine: with the package of each Python, in float and int8, with XNNPACK and not."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import read_manifest
from edgeq.agent.runtimes import litert as engine_litert
from edgeq.agent.runtimes.base import InputSpec, load
from edgeq.agent.runtimes.parts.delegation import delegation

from ..conftest import ROWS

DATA = Path(__file__).parents[1] / "data"
IMAGE = np.full((1, 64, 64, 3), 0.75, np.float32)
ALL_OUTSIDE = {
    **{"RESIZE_NEAREST_NEIGHBOR": 1, "AVERAGE_POOL_2D": 1, "SUB": 1, "TRANSPOSE": 1},
    **{"SLICE": 1, "RESHAPE": 1, "MUL": 1, "ADD": 1},
}

Make = Callable[..., Path]


@pytest.fixture
def litert_release(tmp_path: Path, manifest_document: Dict[str, Any]) -> Make:
    """Make a release of one of the models in `data`."""

    def make(kind: str, **runtime: str) -> Path:
        content = (DATA / f"litert_{kind}.tflite").read_bytes()
        entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        document = {
            **manifest_document,
            "runtime": {"name": "litert", "model": "model.tflite", **runtime},
            "preprocess": {**manifest_document["preprocess"], "layout": "nhwc"},
            "files": {"model.tflite": entry},
        }
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "model.tflite").write_bytes(content)
        (folder / "manifest.json").write_text(json.dumps(document))
        return folder

    return make


@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("graph_optimization", ["all", "disabled"])
def test_a_model_takes_and_gives_floats(
    litert_release: Make, kind: str, graph_optimization: str
) -> None:
    engine = load(read_manifest(litert_release(kind)), 1, graph_optimization)
    assert (engine.name, engine.version.split()[0]) == ("litert", "ai-edge-litert")
    assert engine.input == InputSpec("images", (1, 64, 64, 3), "float32")
    first, second = engine.run(IMAGE), engine.run(IMAGE / 3)
    # In the model's order and not by name, and by the signature's names.
    assert [output.name for output in first] == ["output0", "output1"]
    assert [output.array.dtype for output in first] == [np.float32, np.float32]
    assert (first[0].array == ROWS).all()
    # The first answer is not overwritten by the second.
    assert first[1].array.shape == (1, 3, 16, 16)
    assert (first[1].array == 0.25).all() and (second[1].array == -0.25).all()


@pytest.mark.parametrize(
    "value, expected",
    [
        (-0.2, 0),
        (0.0, 0),
        (100.4 / 256, 100),
        (100.6 / 256, 101),
        # Halves go to the even one, as everywhere else.
        (100.5 / 256, 100),
        (101.5 / 256, 102),
        (255 / 256, 255),
        (1.0, 255),
        (9.0, 255),
    ],
)
def test_a_quantized_input_is_rounded_and_clipped(
    litert_release: Make, value: float, expected: int
) -> None:
    engine = load(read_manifest(litert_release("int8")), 1)
    image = np.full_like(IMAGE, value)
    assert (engine.run(image)[1].array == expected / 256 - 0.5).all()
    assert (image == np.float32(value)).all()


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_what_fell_off_xnnpack(litert_release: Make, kind: str) -> None:
    facts = engine_litert.load(litert_release(kind) / "model.tflite", 1, "all").facts()
    assert facts["delegate"] == "xnnpack" and facts["package"].startswith("ai-edge-litert 2")
    assert facts["operators"] == len(ALL_OUTSIDE) + (kind == "int8")
    assert facts["partitions"] == 1
    # XNNPACK has no pooling of integers.
    pooled = ["cells"] if kind == "int8" else []
    assert facts["outside_nodes"] == ["large", *pooled]
    assert facts["outside"].pop("RESIZE_NEAREST_NEIGHBOR") == 1
    assert facts["outside"] == dict.fromkeys(["AVERAGE_POOL_2D"] * len(pooled), 1)


@pytest.mark.parametrize("runtime, how", [({"delegate": "none"}, "all"), ({}, "disabled")])
def test_without_xnnpack_every_operator_runs_outside(
    litert_release: Make, runtime: Dict[str, str], how: str
) -> None:
    engine: Any = load(read_manifest(litert_release("float", **runtime)), 1, how)
    facts = engine.facts()
    assert (facts["delegate"], facts["partitions"], facts["operators"]) == ("none", 0, 8)
    assert facts["outside"] == ALL_OUTSIDE


def operator(index: int, kind: str, inputs: Any, outputs: Any) -> Dict[str, Any]:
    return {"index": index, "op_name": kind, "inputs": inputs, "outputs": outputs}


CHAIN = [operator(n, kind, [n], [n + 1]) for n, kind in enumerate(["CONV", "RESIZE", "CONV"])]


@pytest.mark.parametrize(
    "partitions, outputs, found",
    [
        ([], [3], (0, {"CONV": 2, "RESIZE": 1}, [1, 2, 3])),
        ([([0], [3])], [3], (1, {}, [])),
        ([([0], [1]), ([2], [3])], [3], (2, {"RESIZE": 1}, [2])),
        ([([0], [1])], [3], (1, {"RESIZE": 1, "CONV": 1}, [2, 3])),
        # What no output needs is not run, and does not count.
        ([([0], [1]), ([2], [3])], [2], (1, {"RESIZE": 1}, [2])),
        ([([0], [1, 3])], [1, 3], (1, {}, [])),
    ],
)
def test_delegated_is_what_a_partition_makes(partitions: Any, outputs: Any, found: Any) -> None:
    listed = [operator(3 + n, "DELEGATE", *ends) for n, ends in enumerate(partitions)]
    names = {n: f"t{n}" for n in range(4)}
    told = delegation([*CHAIN, *listed], outputs, names)
    count, outside, nodes = found
    assert told == (count, 3, outside, [f"t{n}" for n in nodes])


def test_only_twenty_nodes_are_named() -> None:
    chain = [operator(n, "CONV", [n], [n + 1]) for n in range(25)]
    told = delegation(chain, [25], {n: str(n) for n in range(26)})
    assert told.outside == {"CONV": 25}
    assert told.outside_nodes == [str(n) for n in range(1, 21)]


@pytest.mark.parametrize(
    "kind, content, said",
    [
        ("float", b"no model", "cannot be loaded"),
        ("float", (DATA / "litert_float.tflite").read_bytes()[:900], "cannot be loaded"),
        ("newer", None, r"ai-edge-litert [\d.]+ is too old for it .*targets setup"),
    ],
)
def test_a_model_that_cannot_be_read_is_the_engines_error(
    litert_release: Make, kind: str, content: Any, said: str
) -> None:
    folder = litert_release(kind)
    if content is not None:
        (folder / "model.tflite").write_bytes(content)
    with pytest.raises(AgentError, match=rf"model\.tflite: .*{said}") as caught:
        load(read_manifest(folder), 1)
    assert caught.value.kind == "engine" and "\n" not in caught.value.message


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_an_inference_that_fails_is_the_engines_error(litert_release: Make, kind: str) -> None:
    engine = load(read_manifest(litert_release(kind)), 1)
    with pytest.raises(AgentError, match="inference failed") as caught:
        engine.run(np.zeros((1, 8, 8, 3), np.float32))
    assert caught.value.kind == "engine"


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [engine_litert.LiteRtTensor(0, "images", (1,), "int8", None, 0)],
        [engine_litert.LiteRtTensor(0, "images", (1,), "int32", 1.0, 0)],
        [engine_litert.LiteRtTensor(n, "images", (1,), "float32", None, 0) for n in range(2)],
    ],
)
def test_inputs_that_are_no_image_are_refused(inputs: Any) -> None:
    with pytest.raises(AgentError, match="one image of float, or of int8 with a scale") as caught:
        engine_litert.only_input(inputs, "model.tflite")
    assert caught.value.kind == "bad-artifact"


def test_a_missing_engine_names_both_packages(
    litert_release: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in engine_litert.PACKAGES:
        monkeypatch.setitem(sys.modules, module + ".interpreter", None)
    with pytest.raises(AgentError) as caught:
        load(read_manifest(litert_release("float")), 1)
    assert caught.value.kind == "missing-engine"
    for said in (*engine_litert.PACKAGES.values(), "edgeq targets setup", "edgeq[litert]"):
        assert said in caught.value.message


def test_the_older_package_is_taken_where_it_is_the_only_one(
    litert_release: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert import interpreter

    older = types.ModuleType("tflite_runtime")
    older.__version__ = "2.14.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", older)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    engine = load(read_manifest(litert_release("float")), 1)
    assert engine.version == "tflite-runtime 2.14.0"


def test_an_older_package_with_a_newer_numpy_is_missing(
    litert_release: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> None:
        raise SystemError("returned a result with an exception set") from ImportError(
            "numpy.core.multiarray failed to import"
        )

    module = types.SimpleNamespace(Interpreter=fails, OpResolverType=types.SimpleNamespace(AUTO=0))
    monkeypatch.setattr(engine_litert, "_import", lambda: (module, "tflite-runtime 2.14.0"))
    with pytest.raises(AgentError, match=r"2\.14\.0: cannot be used \(numpy\.core") as caught:
        load(read_manifest(litert_release("float")), 1)
    assert caught.value.kind == "missing-engine"


def run_verb(
    pyz: Path, python: str, verb: str, job: Dict[str, Any], **options: Any
) -> List[Dict[str, Any]]:
    """Every event; the last is the result or the error."""
    done = subprocess.run(
        [python, str(pyz), verb, "-"],
        input=json.dumps(job).encode(),
        capture_output=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_all_verbs_run_it_as_onnxruntime_does(
    agent_pyz: Path,
    agent_python: str,
    litert_release: Make,
    release: Path,
    red_rectangle: Path,
    kind: str,
) -> None:
    def run(verb: str, folder: Path, **job: Any) -> List[Dict[str, Any]]:
        job = {"release": str(folder), "threads": 1, **job}
        events = run_verb(agent_pyz, agent_python, verb, job)
        assert events[-1]["event"] == "result", events
        return events

    folder = litert_release(kind)
    verified = run("verify", folder)[-1]
    assert verified["engine"]["name"] == "litert"
    assert verified["input"] == {"name": "images", "shape": [1, 64, 64, 3], "dtype": "float32"}
    images = [{"id": 1, "path": str(red_rectangle)}]
    found, expected = (
        [event for event in run("predict", one, images=images) if event["event"] == "image"]
        for one in (folder, release)
    )
    assert found == expected and expected[0]["scores"]
    limits = {"warmup_s": 0.05, "max_warmup_s": 0.3, "min_duration_s": 0.1, "min_count": 5}
    timed = run("bench", folder, images=[str(red_rectangle)], **limits)[-1]
    assert len(timed["inference_ns"]) >= 5
    facts = timed["engine_facts"]
    assert facts["package"] == timed["engine"]["version"] == verified["engine"]["version"]
    assert facts["partitions"] >= 1 and facts["outside"]["RESIZE_NEAREST_NEIGHBOR"] == 1
    assert facts["outside_nodes"][0] == "large"
    if kind == "float":
        assert facts["partitions"] == 1 and len(facts["outside"]) == 1


@pytest.mark.parametrize("kind", ["newer", "huge"])
def test_every_python_says_what_is_wrong(
    agent_pyz: Path, agent_python: str, litert_release: Make, kind: str
) -> None:
    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

    job = {"release": str(litert_release(kind)), "threads": 1}
    answer = run_verb(agent_pyz, agent_python, "verify", job, preexec_fn=little_memory)[-1]
    assert answer["event"] == "error"
    wanted = {"newer": ("engine", "is too old for it"), "huge": ("out-of-memory", "free memory")}
    sort, said = wanted[kind]
    assert answer["kind"] == sort and said in answer["message"], answer
