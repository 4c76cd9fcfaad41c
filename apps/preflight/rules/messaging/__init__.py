"""Messaging: brokers, topics and stores against the workers that use them."""
