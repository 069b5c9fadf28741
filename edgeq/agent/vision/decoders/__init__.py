"""The decoders; a module here that has DECODERS adds its own."""
