"""What host and agent say to each other: frames, events, arguments, jobs."""
