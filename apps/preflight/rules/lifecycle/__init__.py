"""Lifecycle: starting, stopping, memory, rollouts, drains and what pods keep on their volumes."""
