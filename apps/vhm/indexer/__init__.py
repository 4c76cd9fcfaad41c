"""The worker that remembers and forgets: what comes to anchors-write and anchors-forget goes to the store."""
