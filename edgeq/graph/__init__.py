"""The ONNX model as one static graph, and what is known about it."""
