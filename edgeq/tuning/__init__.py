"""A better recipe: which layers lose most in int8."""
