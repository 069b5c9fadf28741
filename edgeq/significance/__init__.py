"""What data can tell: bounds, intervals and tests, as pure functions of numbers."""
