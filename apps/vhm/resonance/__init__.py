"""The worker that recalls: recall-request → the strongest memories → recall-response."""
