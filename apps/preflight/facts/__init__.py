"""Questions that several rules ask of a model, answered once."""
