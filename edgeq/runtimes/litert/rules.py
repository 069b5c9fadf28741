"""What LiteRT computes in int8, kernel by kernel. Data only."""

from __future__ import annotations

import math

from edgeq.quantization.rules import Rule

_SPECIFICATION = "LiteRT, 8-bit quantization specification"
_KERNELS = "LiteRT, kernels/internal/reference"

_FUSED = ((0.0, math.inf), (0.0, 6.0), (-1.0, 1.0))
"""RELU, RELU6 and RELU_N1_TO_1."""

RULES = (
    Rule(
        "conv",
        "layer",
        ("Conv",),
        "CONV_2D or DEPTHWISE_CONV_2D: weights by output channel, int32 bias",
        _SPECIFICATION,
        weight_axis=0,
        weight_rank=4,
    ),
    Rule(
        "transposed-convolution",
        "layer",
        ("ConvTranspose",),
        "TRANSPOSE_CONV, which knows no groups: weights by output channel, int32 bias",
        _SPECIFICATION,
        weight_axis=1,
        weight_rank=4,
        only=(("group", (1,)),),
    ),
    Rule(
        "matrix-product",
        "layer",
        ("Gemm", "MatMul"),
        "FULLY_CONNECTED: weights by output column, int32 bias",
        _SPECIFICATION,
        weight_axis=1,
        weight_rank=2,
    ),
    Rule(
        "batch-product",
        "joins",
        ("MatMul",),
        "BATCH_MATMUL with a scale an operand, constant ones too, and one for the output",
        _SPECIFICATION,
        constants="quantized",
        least_rank=2,
    ),
    Rule(
        "other-product",
        "float",
        ("Conv", "ConvTranspose", "Gemm", "MatMul"),
        "int8 kernels convolve in two dimensions, by constant weights, and multiply no vectors",
        _KERNELS,
    ),
    Rule(
        "pointwise",
        "joins",
        ("Add", "Sub", "Mul"),
        "ADD, SUB or MUL with a scale an operand, constant ones too, and one for the output",
        _SPECIFICATION,
        constants="quantized",
    ),
    Rule(
        "fused-activation",
        "absorbed",
        ("Relu", "Clip"),
        "becomes part of the kernel before it, which clamps its integers",
        "LiteRT, schema.fbs, ActivationFunctionType",
        constants="parameters",
        clips=_FUSED,
        behind=("conv", "transposed-convolution", "matrix-product", "pointwise"),
    ),
    Rule(
        "clamp",
        "joins",
        ("Relu", "Clip"),
        "RELU, RELU6 or RELU_N1_TO_1 with a scale of its own at the output",
        _KERNELS,
        constants="parameters",
        clips=_FUSED,
    ),
    Rule(
        "clip",
        "carries",
        ("Clip",),
        "MINIMUM and MAXIMUM compare integers of one scale",
        _SPECIFICATION,
    ),
    Rule(
        "gate",
        "joins",
        ("Sigmoid", "Softmax"),
        "LOGISTIC or SOFTMAX: the output's scale is 1/256, whatever its values",
        _SPECIFICATION,
        fixed=(1 / 256, -128),
    ),
    Rule(
        "tanh",
        "joins",
        ("Tanh",),
        "TANH: the output's scale is 1/128, whatever its values",
        _SPECIFICATION,
        fixed=(1 / 128, 0),
    ),
    Rule(
        "activation",
        "joins",
        ("LeakyRelu", "PRelu", "Elu", "HardSwish", "Gelu", "Exp", "Abs"),
        "a kernel of its own, LEAKY_RELU to ABS, with a scale of its own at the output",
        _KERNELS,
        constants="quantized",
    ),
    Rule(
        "hard-swish",
        "joins",
        ("HardSigmoid",),
        "becomes HARD_SWISH with the product behind it",
        _KERNELS,
        bounded=True,
        gates=True,
    ),
    Rule(
        "mean",
        "joins",
        ("GlobalAveragePool", "ReduceMean", "ReduceSum"),
        "MEAN or SUM with a scale of its own at the output",
        _KERNELS,
        constants="parameters",
    ),
    Rule(
        "concat",
        "merges",
        ("Concat",),
        "CONCATENATION: one scale for all inputs and the output",
        _SPECIFICATION,
        constants="quantized",
    ),
    Rule(
        "moves-values",
        "carries",
        (
            *("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity"),
            *("Split", "Slice", "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth"),
        ),
        "moves int8 values as they are: one scale for input and output",
        _SPECIFICATION,
    ),
    Rule(
        "window",
        "carries",
        ("MaxPool", "GlobalMaxPool", "AveragePool", "ReduceMax", "ReduceMin"),
        "selects or averages int8 values: one scale for input and output",
        _SPECIFICATION,
    ),
    Rule(
        "resize",
        "carries",
        ("Resize",),
        "RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR: one scale for input and output",
        _SPECIFICATION,
        only=(("mode", ("nearest", "linear")),),
    ),
    Rule(
        "pad",
        "carries",
        ("Pad",),
        "PAD, PADV2 or GATHER: one scale for input and output",
        _SPECIFICATION,
        only=(("mode", ("constant", "reflect")),),
    ),
    Rule(
        "extremes",
        "float",
        ("Max", "Min"),
        "MAXIMUM and MINIMUM compare integers of one scale, which inputs of their own lack",
        _SPECIFICATION,
    ),
    Rule(
        "selection",
        "float",
        (
            *("Where", "TopK", "ArgMax", "ArgMin", "Equal"),
            *("Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
        ),
        "chooses among few values, by or for other types: a DEQUANTIZE costs no more",
        _KERNELS,
    ),
)

ATTENTION = Rule(
    "attention",
    "float",
    ("MatMul", "Softmax"),
    "XNNPACK computes BATCH_MATMUL and SOFTMAX in float alone: in int8 they run in LiteRT's own "
    "kernels, which took 1.2 to 5.3 times as long on x86",
    "measured, benchmarks/README.md, part litert",
    computed=True,
)

RULES_WITH_XNNPACK = (ATTENTION, *RULES)
"""Without the delegate it is the other way round: int8 took 0.4 of float's time."""
