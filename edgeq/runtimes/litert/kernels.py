"""LiteRT's operators: the record of options that each takes, and the versions to ask for.

Versions are those that the TFLite converter would write for these uses (op_version.cc): the lowest
that has the types, so that old runtimes take the file.
"""

from __future__ import annotations

from typing import NamedTuple


class Kernel(NamedTuple):
    """Options record ('' for none), version with floats, version with int8."""

    options: str
    version: int = 1
    int8_version: int = 2


KERNELS = {
    "ABS": Kernel("AbsOptions", 1),
    "ADD": Kernel("AddOptions"),
    "ARG_MAX": Kernel("ArgMaxOptions"),
    "ARG_MIN": Kernel("ArgMinOptions"),
    "AVERAGE_POOL_2D": Kernel("Pool2DOptions"),
    "BATCH_MATMUL": Kernel("BatchMatMulOptions"),
    "BROADCAST_TO": Kernel("BroadcastToOptions", 2),
    "CAST": Kernel("CastOptions"),
    "CEIL": Kernel(""),
    "CONCATENATION": Kernel("ConcatenationOptions"),
    "CONV_2D": Kernel("Conv2DOptions", 1, 3),
    "COS": Kernel("CosOptions"),
    "DEPTHWISE_CONV_2D": Kernel("DepthwiseConv2DOptions", 2, 3),
    "DEQUANTIZE": Kernel("DequantizeOptions", 2),
    "DIV": Kernel("DivOptions"),
    "ELU": Kernel("", 1, 1),
    "EQUAL": Kernel("EqualOptions"),
    "EXP": Kernel("ExpOptions"),
    "FLOOR": Kernel(""),
    "FULLY_CONNECTED": Kernel("FullyConnectedOptions", 5, 5),
    "GATHER": Kernel("GatherOptions"),
    "GELU": Kernel("GeluOptions"),
    "GREATER": Kernel("GreaterOptions"),
    "GREATER_EQUAL": Kernel("GreaterEqualOptions"),
    "HARD_SWISH": Kernel("HardSwishOptions", 1, 1),
    "LEAKY_RELU": Kernel("LeakyReluOptions"),
    "LESS": Kernel("LessOptions"),
    "LESS_EQUAL": Kernel("LessEqualOptions"),
    "LOG": Kernel(""),
    "LOGICAL_AND": Kernel("LogicalAndOptions"),
    "LOGICAL_NOT": Kernel("LogicalNotOptions"),
    "LOGICAL_OR": Kernel("LogicalOrOptions"),
    "LOGISTIC": Kernel(""),
    "MAXIMUM": Kernel("MaximumMinimumOptions"),
    "MAX_POOL_2D": Kernel("Pool2DOptions"),
    "MEAN": Kernel("ReducerOptions"),
    "MINIMUM": Kernel("MaximumMinimumOptions"),
    "MUL": Kernel("MulOptions"),
    "NEG": Kernel("NegOptions"),
    "PAD": Kernel("PadOptions"),
    "PADV2": Kernel("PadV2Options"),
    "POW": Kernel("PowOptions"),
    "PRELU": Kernel("", 1, 1),
    "QUANTIZE": Kernel("QuantizeOptions", 1, 2),
    "REDUCE_MAX": Kernel("ReducerOptions"),
    "REDUCE_MIN": Kernel("ReducerOptions"),
    "REDUCE_PROD": Kernel("ReducerOptions"),
    "RELU": Kernel(""),
    "RELU6": Kernel(""),
    "RELU_N1_TO_1": Kernel("", 1, 1),
    "RESHAPE": Kernel("ReshapeOptions", 1, 1),
    "RESIZE_BILINEAR": Kernel("ResizeBilinearOptions", 3, 3),
    "RESIZE_NEAREST_NEIGHBOR": Kernel("ResizeNearestNeighborOptions", 3, 3),
    "ROUND": Kernel(""),
    "SELECT_V2": Kernel("SelectV2Options", 1, 1),
    "SIN": Kernel(""),
    "SLICE": Kernel("SliceOptions"),
    "SOFTMAX": Kernel("SoftmaxOptions"),
    "SPLIT": Kernel("SplitOptions"),
    "SQRT": Kernel(""),
    "SQUARE": Kernel("SquareOptions"),
    "STRIDED_SLICE": Kernel("StridedSliceOptions"),
    "SUB": Kernel("SubOptions"),
    "SUM": Kernel("ReducerOptions"),
    "TANH": Kernel(""),
    "TILE": Kernel("TileOptions"),
    "TOPK_V2": Kernel("TopKV2Options"),
    "TRANSPOSE": Kernel("TransposeOptions"),
    "TRANSPOSE_CONV": Kernel("TransposeConvOptions", 3, 3),
}
