"""Records that no worker can handle: how one is written, listed and sent back."""
