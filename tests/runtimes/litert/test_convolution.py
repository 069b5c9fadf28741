"""Convolutions, plain and transposed, in float against ONNX Runtime."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.sampling import examples

from .engines import Graph, assert_same

Draw = st.DrawFn


@st.composite
def axis(draw: Draw) -> dict[str, int]:
    """One spatial axis of a convolution that has at least one result."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    first, last = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    extent = (kernel - 1) * dilation + 1
    size = draw(st.integers(max(1, extent - first - last), 9))
    found = {"kernel": kernel, "dilation": dilation, "first": first, "last": last, "size": size}
    return found | {"stride": draw(st.integers(1, 3))}


@st.composite
def axes(draw: Draw) -> list[dict[str, int]]:
    return [draw(axis()) for _ in range(draw(st.sampled_from([1, 2, 2])))]


def window(found: list[dict[str, int]], auto_pad: str) -> dict[str, Any]:
    """The attributes that make these axes."""
    attributes: dict[str, Any] = {"strides": [a["stride"] for a in found]}
    attributes["dilations"] = [a["dilation"] for a in found]
    if auto_pad == "NOTSET":
        attributes["pads"] = [a[end] for end in ("first", "last") for a in found]
    else:
        attributes["auto_pad"] = auto_pad
    return attributes


AUTO_PADS = st.sampled_from(["NOTSET"] * 3 + ["SAME_UPPER", "SAME_LOWER", "VALID"])


def fit(found: list[dict[str, int]], auto_pad: str) -> None:
    """VALID needs images as large as the kernel."""
    for a in found:
        if auto_pad == "VALID":
            a["size"] = max(a["size"], (a["kernel"] - 1) * a["dilation"] + 1)


@given(st.data())
@examples(80)
def test_a_convolution_is_that_of_onnx(data: st.DataObject) -> None:
    found, auto_pad = data.draw(axes()), data.draw(AUTO_PADS)
    fit(found, auto_pad)
    groups, inner, outer = (data.draw(st.integers(1, 3)) for _ in range(3))
    depthwise = data.draw(st.booleans())
    inner = 1 if depthwise else inner
    graph = Graph(data.draw(st.integers(0, 99)))
    batch = data.draw(st.integers(1, 2))
    x = graph.feed(graph.floats(batch, groups * inner, *(a["size"] for a in found)))
    kernel = [a["kernel"] for a in found]
    inputs = [x, graph.constant("w", graph.floats(groups * outer, inner, *kernel))]
    if data.draw(st.booleans()):
        inputs.append(graph.constant("b", graph.floats(groups * outer)))
    attributes = window(found, auto_pad)
    if auto_pad.startswith("SAME"):
        attributes["dilations"] = [1] * len(found)
    graph.node("Conv", inputs, "y", group=groups, **attributes)
    if data.draw(st.booleans()):
        graph.node("Relu", ["y"], "z")
    assert_same(graph, [graph.nodes[-1].output[0]], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(80)
def test_a_transposed_convolution_is_that_of_onnx(data: st.DataObject) -> None:
    count = data.draw(st.sampled_from([1, 2, 2]))
    groups, inner, outer = (data.draw(st.integers(1, 2)) for _ in range(3))
    graph = Graph(data.draw(st.integers(0, 99)))
    kernel = [data.draw(st.integers(1, 4)) for _ in range(count)]
    strides = [data.draw(st.integers(1, 3)) for _ in range(count)]
    dilations = [data.draw(st.integers(1, 2)) for _ in range(count)]
    sizes = [data.draw(st.integers(1, 5)) for _ in range(count)]
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations, "group": groups}
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    full = [(n - 1) * s + e for n, s, e in zip(sizes, strides, extents, strict=True)]
    mode = data.draw(
        st.sampled_from(["pads", "pads", "shape", "SAME_UPPER", "SAME_LOWER", "VALID"])
    )
    extra = [data.draw(st.integers(0, stride - 1)) for stride in strides]
    if mode == "pads":
        firsts = [data.draw(st.integers(0, min(2, (n - 1) // 2))) for n in full]
        lasts = [data.draw(st.integers(0, min(2, (n - 1) // 2))) for n in full]
        attributes |= {"pads": firsts + lasts, "output_padding": extra}
    elif mode == "shape":
        wanted = [n - data.draw(st.integers(0, 3)) for n in full]
        attributes["output_shape"] = [max(n, size) for n, size in zip(wanted, sizes, strict=True)]
    elif mode == "VALID":
        attributes |= {"auto_pad": mode, "output_padding": extra}
    else:
        attributes["auto_pad"] = mode
    x = graph.feed(graph.floats(data.draw(st.integers(1, 2)), groups * inner, *sizes))
    inputs = [x, graph.constant("w", graph.floats(groups * inner, outer, *kernel))]
    if data.draw(st.booleans()):
        inputs.append(graph.constant("b", graph.floats(groups * outer)))
    graph.node("ConvTranspose", inputs, "y", **attributes)
    if data.draw(st.booleans()):
        graph.node(
            "Clip",
            [
                "y",
                graph.constant("0", graph.floats() * 0),
                graph.constant("6", graph.floats() * 0 + 6),
            ],
            "z",
        )
    assert_same(graph, [graph.nodes[-1].output[0]], delegates=data.draw(st.booleans()))
