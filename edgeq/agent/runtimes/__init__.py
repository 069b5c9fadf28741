"""The engines on the device, found by their modules; see `base`."""
