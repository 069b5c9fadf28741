"""From measurements to verdicts, and to what a person reads."""
