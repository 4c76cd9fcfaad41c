"""What the checked repository says of itself: configuration, applications, Dockerfiles, Python code."""
