"""The command line. Commands are imported when called, so that a worker starts as fast as its own imports."""

from __future__ import annotations

import os
import sys

WORKERS = ("indexer", "resonance", "reteller")

EPILOGUE = """\
Start with `vhm demo`, then `vhm up` in one terminal and `vhm remember`, `vhm recall` in another.
Client commands find a running `vhm up` by themselves; KAFKA_BOOTSTRAP_SERVERS names another broker.
"""


def main() -> None:
    """Entry point of `vhm`. `vhm WORKER`, as pods start, does not import the command line library."""
    if len(sys.argv) == 2 and sys.argv[1] in WORKERS:
        from vhm.commands.worker import run

        sys.exit(run(sys.argv[1]))

    from cyclopts import App, Group, Parameter

    import vhm
    from vhm.errors import UserError

    app = App(
        name="vhm",
        help="A virtual human memory: remember, recall, retell.",
        help_epilogue=EPILOGUE,
        version=vhm.__version__,
        default_parameter=Parameter(negative=""),
        result_action="return_int_as_exit_code_else_zero",
    )
    app.register_install_completion_command()
    start, use, care, workers = (
        Group(name, sort_key=place) for place, name in enumerate(("Start", "Use", "Care", "Workers"))
    )
    commands = (
        ("demo", "demo:demo", "Three memories, remembered, recalled and retold, here and now.", start),
        ("up", "up:up", "The whole system on this machine, with nothing to install.", start),
        ("remember", "remember:remember", "Store a memory, or a file of them.", use),
        ("recall", "recall:recall", "Ask what is remembered, and have it told.", use),
        ("dead-letters", "dead_letters:app", "Look at what was refused, and send it again.", care),
        ("reindex", "reindex:reindex", "Embed a collection anew with another model.", care),
        ("settings", "settings:settings", "What each worker reads from its environment.", care),
    )
    for name, target, help, group in commands:
        app.command(f"vhm.commands.{target}", name=name, help=help, group=group)
    for worker in WORKERS:
        app.command(
            f"vhm.commands.worker:{worker}",
            name=worker,
            help=f"Run the {worker} worker until it is asked to stop.",
            group=workers,
        )
    try:
        sys.exit(app())
    except UserError as error:
        print(f"vhm: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
