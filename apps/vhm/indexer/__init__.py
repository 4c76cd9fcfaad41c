"""The worker that remembers: anchors-write → store → anchors-indexed."""
