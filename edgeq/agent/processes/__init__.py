"""Child processes: how they are called, tethered and supervised."""
