"""What an engine has to say about itself, so that the rest need not know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from edgeq.artifact.manifest import Compile
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Form, Placement
from edgeq.records.answers import Probe
from edgeq.runtimes.complaint import Complaint
from edgeq.spec.target import Target

Layout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class ModelFile:
    """What a writer writes: the model file, which the agent loads, and the form of its input."""

    model: str
    layout: Layout = "nchw"
    """in which order it takes an image"""


@dataclass(frozen=True)
class Package:
    """What pip installs, the module that the agent imports of it, and packages that do as well.

    `extra` is edgeq's own extra that brings it to this machine, empty for what is always there.
    """

    name: str
    module: str
    instead: tuple[Package, ...] = ()
    extra: str = ""

    @property
    def alternatives(self) -> tuple[Package, ...]:
        """This one first, then those that do as well."""
        return (self, *self.instead)


class Lack(NamedTuple):
    """What to say where a module is missing, and what brings it."""

    what: str
    remedy: str


NUMPY = Package("numpy", "numpy")
OPENCV = Package("opencv-python-headless", "cv2")


@dataclass(frozen=True)
class LayerTap:
    """An output that hands out a quantized ONNX tensor; `layout` is the order of its axes."""

    tensor: str
    output: str
    layout: tuple[int, ...]


@dataclass(frozen=True)
class Tapped:
    """A written model that gives out more, how much a value of that takes, or why there is none."""

    content: bytes = b""
    taps: tuple[LayerTap, ...] = ()
    value_bytes: int = 1
    why_none: str = ""


class Runtime(Protocol):
    """One engine: its placement rules for a target, and its writer."""

    name: str
    written: ModelFile
    packages: tuple[Package, ...]
    """what the agent needs to run it"""
    from_system: Mapping[str, Lack]
    """modules that only the board's system has, and what to say where one is missing"""

    cuda_graphs: bool
    """whether an inference can be launched as one CUDA graph"""
    written_with: tuple[str, ...]
    """packages, beside those that write for every engine, on whose version the files depend"""

    def placement(self, target: Target, probe: Probe | None) -> tuple[Placement, str]:
        """The rules for a target, and a note on what was decided by probing ('' if nothing was).

        `probe` is what the agent found on the device, None when there is no device at hand.
        """
        ...

    def requirements(self, python: tuple[int, int]) -> list[str]:
        """What pip has to install on a board whose Python has this version."""
        ...

    def needs_probe(self, target: Target) -> bool:
        """Whether a target leaves something open that only a device can tell."""
        ...

    def check(self, model: Model, placement: Placement) -> None:
        """InputError for a model that the engine could not read, whatever the plan."""
        ...

    def compiled(self, form: Form, precision: Literal["int8", "fp16"]) -> Compile | None:
        """How the device compiles a model of that form; None where it runs it as it is."""
        ...

    def delegate(self, target: Target) -> Literal["xnnpack", "none"]:
        """Which delegate the agent gives it; xnnpack, too, where it knows no delegates."""
        ...

    def write_float(self, model: Model, plan: Plan) -> bytes:
        """The float model as the engine compiles it in fp16, in the form of a plan."""
        ...

    def write_simulation(self, model: Model, plan: Plan, content: bytes) -> bytes:
        """The plan as Q/DQ ONNX, which `content`, the written model, may be already."""
        ...

    def tap(self, model: Model, plan: Plan, content: bytes, tensors: Sequence[str]) -> Tapped:
        """The written model with quantized tensors as further outputs, and all else as it was.

        Nothing that is fused comes apart by it; a tensor that has no place of its own is left out.
        """
        ...

    def lint(self, content: bytes) -> list[Complaint]:
        """What is wrong with a written model, errors first; it may be another tool's."""
        ...

    def write(self, model: Model, plan: Plan) -> dict[str, bytes]:
        """The artifact's files: name to content. The same model and plan give the same bytes."""
        ...
