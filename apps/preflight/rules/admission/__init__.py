"""What the API server refuses and no schema says.

Each rule repeats a part of the server's own validation (`pkg/apis/*/validation` of Kubernetes); the bounds
are those of the versions 1.25 to 1.37 where they agree.
"""
