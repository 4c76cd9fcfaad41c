"""Images: what is run, whether it can be pulled, and whether it holds what the container asks for."""
