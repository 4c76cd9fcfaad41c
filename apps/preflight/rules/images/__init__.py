"""Images: name and tag legal and pinned, of this tree, and holding what the container runs."""
