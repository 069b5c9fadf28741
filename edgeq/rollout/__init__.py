"""Roll-outs: waves of the same deploy, journalled."""
