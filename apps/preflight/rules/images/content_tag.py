"""Whether the image a manifest names is the one this tree makes."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster import image_reference
from preflight.model import Model
from preflight.repository.content_tag import tag_of_tree
from preflight.rules.registry import Violation, at, rule


@rule("image-not-of-this-tree", family="images", severity="error", outcome="runs old code")
def image_not_of_this_tree(model: Model) -> Iterator[Violation]:
    """An image whose tag is not the one that the code beside the manifest makes.

    Where tags are made of content, the repository says by which command: `tag = ["images/build", "--tag"]` in
    `[tool.preflight.containers.<name>]`. Code that was changed and not built, or built and not written into
    the overlay, is found before pods run the code of yesterday, or find no image.

        newTag: "t0a1b2c3d4e5f"        # the tree makes t9e8d7c6b5a40
    """
    for container in model.containers:
        app = model.app(container)
        command = app.config.tag if app is not None else ()
        name = image_reference.parse(container.image)
        if not command or name.problem or not name.tag:
            continue
        wanted = _tag(model, command)
        if name.tag != wanted:
            yield at(
                container.field("image"),
                message=f"image {container.image}: this tree makes {wanted}",
                fix=f"build it and write {wanted}",
            )


def _tag(model: Model, command: tuple[str, ...]) -> str:
    facts = model.checkout.facts
    if (tag_of_tree, command) not in facts:
        facts[tag_of_tree, command] = tag_of_tree(model.root, command)
    return str(facts[tag_of_tree, command])
