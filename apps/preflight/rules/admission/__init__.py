"""What the API server refuses and no schema says, where it is common or a source line and a fix help.

Each rule repeats a part of the server's own validation (`pkg/apis/*/validation` of Kubernetes). Everything
else the server says best itself: `preflight check --server`.
"""
