"""Built-in transformers used by a configuration of their own (`transformers: [labels.yaml]`)."""

from __future__ import annotations

from collections.abc import Sequence

from preflight.kustomization.resource import Resource
from preflight.kustomization.transform import write_fields
from preflight.nodes import Node

FOLLOWED = ("AnnotationsTransformer", "LabelTransformer", "PatchTransformer")
"""Those carried out here; what others do is left to kustomize's render."""


def write_pairs(resources: Sequence[Resource], config: Node) -> None:
    """A LabelTransformer or AnnotationsTransformer."""
    field = "labels" if config.text("kind") == "LabelTransformer" else "annotations"
    for each in resources:
        write_fields(each, config.items("fieldSpecs"), config.entries(field))
