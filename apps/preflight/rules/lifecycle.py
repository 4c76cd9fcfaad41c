"""Lifecycle: starting, stopping, moving and replacing pods."""
