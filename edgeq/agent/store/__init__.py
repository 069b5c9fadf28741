"""The device's content-addressed store, and the session that works on it."""
