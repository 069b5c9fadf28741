"""A device: a target that is reached through a transport."""
