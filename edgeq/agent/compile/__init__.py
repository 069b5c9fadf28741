"""TensorRT's engine, compiled on the board: builder, trtexec, fingerprint."""
