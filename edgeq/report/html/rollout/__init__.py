"""The page of a roll-out."""
