"""The plan: what every node and tensor becomes, and why. The one input of a runtime's writer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edgeq.graph.layers import HEAVY
from edgeq.quantization.arithmetic import IntegerType, Scale
from edgeq.quantization.rules import Form
from edgeq.spec.quantize import InputOutput


@dataclass(frozen=True)
class Decision:
    """Whether a node computes in int8, and the reason."""

    quantized: bool
    reason: str
    op_type: str


@dataclass(frozen=True)
class WeightScale:
    """Scales of one layer's weight: [c] along `axis`, or one for the whole tensor (axis None).

    `pair_limit` is what two neighbours of one sign may sum to, None where the kernel does not mind.
    """

    tensor: str
    scales: tuple[float, ...]
    axis: int | None
    bits: int
    pair_limit: int | None = None


@dataclass(frozen=True)
class Plan:
    """Scales of the tensors that are quantized, and a decision for every node.

    `tensors` are activations by ONNX tensor name, `weights` layers by node name. `reads` says which
    inputs a node reads dequantized, `integers` which tensors exist as integers only. `float32` are
    the nodes that form float16 leaves in float32, `io` is the type of its inputs and outputs.
    """

    runtime: str
    activation_type: IntegerType
    tensors: dict[str, Scale]
    weights: dict[str, WeightScale]
    decisions: dict[str, Decision]
    reads: dict[str, tuple[str, ...]]
    integers: tuple[str, ...]
    float32: tuple[str, ...]
    quantized_bias: bool
    form: Form
    io: InputOutput

    @property
    def layers_quantized(self) -> int:
        """How many layers with weights compute in int8."""
        return len(self.weights)

    @property
    def layers_float(self) -> int:
        """How many compute-heavy nodes stay float."""
        return sum(d.op_type in HEAVY and not d.quantized for d in self.decisions.values())

    def to_json(self) -> str:
        """The plan for later tools; floats in full."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan that `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        data["tensors"] = {name: Scale(**value) for name, value in data["tensors"].items()}
        data["weights"] = {
            name: WeightScale(**{**value, "scales": tuple(value["scales"])})
            for name, value in data["weights"].items()
        }
        data["reads"] = {node: tuple(names) for node, names in data["reads"].items()}
        data["integers"], data["float32"] = tuple(data["integers"]), tuple(data["float32"])
        data["decisions"] = {n: Decision(**value) for n, value in data["decisions"].items()}
        return Plan(**data)
