"""A virtual human memory: three Kafka workers that remember, recall and retell."""

__version__ = "0.1.0"
