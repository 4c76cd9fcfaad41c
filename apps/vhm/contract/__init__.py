"""What the outside relies on: messages, topics and settings. Imports nothing else of vhm."""
