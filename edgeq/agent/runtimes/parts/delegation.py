"""Which operators of a LiteRT model XNNPACK runs, and which fell to the runtime's own kernels."""

from __future__ import annotations

from collections import Counter
from typing import Any, Mapping, NamedTuple, Sequence

_DELEGATE = "DELEGATE"
_MOST_NODES = 20


class Delegation(NamedTuple):
    """How many operators the model has, and what of them runs outside of XNNPACK's partitions.

    `outside` counts them by kind, the most frequent first; `outside_nodes` are the tensors that
    they make, in the model's order, twenty at most.
    """

    partitions: int
    operators: int
    outside: dict[str, int]
    outside_nodes: list[str]


def delegation(
    operators: Sequence[Mapping[str, Any]], outputs: Sequence[int], names: Mapping[int, str]
) -> Delegation:
    """What runs where, from the interpreter's list of operators after the tensors are allocated.

    The list holds every operator of the model, also those that nobody runs any more, and behind
    them one DELEGATE a partition, which makes some of the same tensors. So it is walked from the
    outputs: what a partition makes comes from there, anything else from its operator.
    """
    made_by: dict[int, Mapping[str, Any]] = {}
    for operator in operators:
        # Those of the partitions come last, and win.
        made_by.update((int(tensor), operator) for tensor in operator["outputs"])
    seen: dict[int, Mapping[str, Any]] = {}
    wanted = [int(tensor) for tensor in outputs]
    while wanted:
        maker = made_by.get(wanted.pop())
        if maker is not None and maker["index"] not in seen:
            seen[maker["index"]] = maker
            wanted += [int(tensor) for tensor in maker["inputs"]]
    run = [seen[index] for index in sorted(seen)]
    outside = [operator for operator in run if operator["op_name"] != _DELEGATE]
    return Delegation(
        partitions=len(run) - len(outside),
        operators=sum(operator["op_name"] != _DELEGATE for operator in operators),
        outside=dict(Counter(operator["op_name"] for operator in outside).most_common()),
        outside_nodes=[names.get(int(o["outputs"][0]), "") for o in outside][:_MOST_NODES],
    )
