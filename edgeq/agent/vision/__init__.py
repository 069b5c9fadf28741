"""From an image to a tensor, and from raw outputs to instances; the host does the same."""
