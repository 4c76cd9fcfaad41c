"""Network: whether what a container calls is there, listens, and may be reached."""
