"""The fleet: many devices, groups of them, and the language that names some of them."""
