"""What the system says about itself: files read, and parsed by pure functions."""
