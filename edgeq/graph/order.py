"""Nodes in execution order, which ONNX demands and some exporters do not keep."""

from __future__ import annotations

import heapq

import onnx

from edgeq.graph.model import inner_graphs, outer_names


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Bring the nodes of a graph, and of the graphs inside it, into execution order.

    Nodes that do not depend on each other keep their order, and so does a graph that is in order
    already. One with a ring in it is left for the checker to refuse.
    """
    for node in graph.node:
        for inner in inner_graphs(node):
            sort_nodes(inner)
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    needs = [
        {makers[name] for name in (*node.input, *outer_names(node)) if name in makers}
        for node in graph.node
    ]
    if all(needed < index for index, found in enumerate(needs) for needed in found):
        return
    order = _order(needs)
    if len(order) == len(needs):
        nodes = [onnx.NodeProto.FromString(graph.node[i].SerializeToString()) for i in order]
        del graph.node[:]
        graph.node.extend(nodes)


def _order(needs: list[set[int]]) -> list[int]:
    """Of all that could come next always the first; shorter than `needs` where there is a ring."""
    readers: dict[int, list[int]] = {}
    for index, found in enumerate(needs):
        for needed in found:
            readers.setdefault(needed, []).append(index)
    open_needs = [len(found) for found in needs]
    ready = [index for index, count in enumerate(open_needs) if not count]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            open_needs[reader] -= 1
            if not open_needs[reader]:
                heapq.heappush(ready, reader)
    return order
