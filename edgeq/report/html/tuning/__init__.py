"""The page of a tuning."""
