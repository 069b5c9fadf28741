"""What runtimes are made of: CUDA, TensorRT's module, LiteRT's delegate."""
