"""YAML as Kubernetes reads it, each value with the line that wrote it."""
