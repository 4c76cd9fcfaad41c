"""Policy: Pod Security restricted, by the standard's own list."""
