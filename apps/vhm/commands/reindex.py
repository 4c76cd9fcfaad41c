"""`vhm reindex`: embed a collection anew with another model, while the workers go on."""

from __future__ import annotations

import asyncio
import os
import sys

from vhm import embedding, local_state
from vhm.anchors import StoreUnavailableError
from vhm.anchors.reindex import Progress, Reindexed
from vhm.anchors.reindex import reindex as re_embed
from vhm.contract.env_loader import SettingsError, load
from vhm.contract.settings import EmbeddingSettings
from vhm.embedding import EmbeddingUnavailableError
from vhm.errors import UserError


def reindex(model: str | None = None, /) -> int:
    """Embed every memory anew with MODEL, then have the workers use the result.

    Reads the workers' own variables (`vhm settings indexer`): QDRANT_URL, QDRANT_COLLECTION, and
    EMBEDDING_MODEL where no model is given. Without QDRANT_URL it is the store of `vhm up`, which must
    not run. The memories go into COLLECTION@MODEL; the old collection stays, and from the switch on names
    the new one, which the workers of that model then follow. Interrupted, it goes on where it was.

    Parameters
    ----------
    model
        The model to embed with; EMBEDDING_MODEL if not given.
    """
    environment = dict(os.environ)
    if not environment.get("QDRANT_URL", "").strip():
        folder = local_state.folder()
        if local_state.is_held(folder):
            raise UserError(
                f"`vhm up` runs on {folder}: stop it first; it re-embeds by itself at its next start"
            )
        environment["QDRANT_URL"] = f"local:{folder / 'store'}"
    # no broker is spoken to
    environment["KAFKA_BOOTSTRAP_SERVERS"] = environment.get("KAFKA_BOOTSTRAP_SERVERS") or "none:1"
    if model is not None:
        environment["EMBEDDING_MODEL"] = model
    try:
        settings = load(EmbeddingSettings, environment)
    except SettingsError as error:
        raise UserError("; ".join(error.errors)) from None
    done = asyncio.run(_run(settings))
    if done.adopted:
        print(f"{done.source} holds vectors of {settings.embedding_model} already: it says so now")
    elif done.source == done.target:
        print(f"{done.source} holds vectors of {settings.embedding_model} already: nothing to do")
    else:
        print(f"{done.copied} memories embedded anew in {done.target}, {len(done.refused)} refused")
    for line in done.refused:
        print(line, file=sys.stderr)
    return 1 if done.refused else 0


async def _run(settings: EmbeddingSettings) -> Reindexed:
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    embedder = embedding.create(settings)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening the model", total=None)

        def report(progress: Progress) -> None:
            bar.update(task, description=progress.step, completed=progress.done, total=progress.total)

        try:
            await embedder.open()
            return await re_embed(settings, embedder, report)
        except (EmbeddingUnavailableError, StoreUnavailableError) as error:
            raise UserError(str(error)) from None
        finally:
            await embedder.close()
