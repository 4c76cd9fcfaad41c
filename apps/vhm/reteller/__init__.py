"""The worker that retells: recall-response → a short story → retell-response."""
