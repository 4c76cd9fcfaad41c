"""The command line. Commands are imported when called, so that a worker starts as fast as its own imports."""

from __future__ import annotations

import errno
import os
import sys
from typing import Literal

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

MISUSED = 2
"""Exit code where what was typed is no command, as shells have it."""

WORKERS = ("indexer", "resonance", "reteller", "gateway")

EPILOGUE = """\
Start with `vhm demo`, then `vhm up` in one terminal and `vhm remember`, `vhm recall` in another.
Client commands find a running `vhm up` by themselves; KAFKA_BOOTSTRAP_SERVERS names another broker.
"""


def main() -> None:
    """Entry point of `vhm`. `vhm WORKER`, as pods start, does not import the command line library."""
    if len(sys.argv) == 2 and sys.argv[1] in WORKERS:
        from vhm.commands.worker import run

        sys.exit(run(sys.argv[1]))

    from vhm.client.errors import Refused, Unavailable
    from vhm.errors import UserError

    try:
        try:
            code = _run()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except (UserError, Refused, Unavailable) as error:
        print(f"vhm: {error}", file=sys.stderr)
        code = 1
    except OSError as error:  # our output is closed, or its disk is full
        if not _is_of_output(error):
            raise
        if not isinstance(error, BrokenPipeError):
            print(f"vhm: cannot write the output: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _is_of_output(error: OSError) -> bool:
    return isinstance(error, BrokenPipeError) or (
        error.errno in (errno.ENOSPC, errno.EIO) and not error.filename
    )


def _run() -> int:
    """The command that was typed, and its exit code."""
    from cyclopts import App, CycloptsError, Group, Parameter

    import vhm

    app = App(
        name="vhm",
        help="A virtual human memory: remember, recall, retell.",
        help_epilogue=EPILOGUE,
        version=vhm.__version__,
        default_parameter=Parameter(negative=""),
        result_action="return_int_as_exit_code_else_zero",
    )

    start, use, care, workers = (
        Group(name, sort_key=place) for place, name in enumerate(("Start", "Use", "Care", "Workers"))
    )
    commands = (
        ("demo", "demo:demo", "Three memories, remembered, recalled and retold, here and now.", start),
        ("up", "up:up", "The whole system on this machine, with nothing to install.", start),
        ("remember", "remember:remember", "Store a memory, or a file of them.", use),
        ("recall", "recall:recall", "Ask what is remembered, and have it told.", use),
        ("forget", "forget:forget", "Forget memories for good.", use),
        ("list", "listing:list_memories", "List what is remembered, the newest first.", use),
        ("show", "listing:show_memory", "Show one memory.", use),
        ("export", "listing:export", "Write all that is remembered as JSON lines.", use),
        ("mcp", "mcp:mcp", "Offer it to a language model's program, as tools.", use),
        ("dead-letters", "dead_letters:app", "Look at what was refused, and send it again.", care),
        ("reindex", "reindex:reindex", "Embed a collection anew with another model.", care),
        ("settings", "settings:settings", "What each worker reads from its environment.", care),
    )
    for name, target, help, group in commands:
        epilogue = {} if target.endswith(":app") else {"help_epilogue": ""}  # an app brings its own
        app.command(f"vhm.commands.{target}", name=name, help=help, group=group, **epilogue)

    @app.command(group=care, help_epilogue="")
    def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
        """Print what makes a shell complete these commands: `eval "$(vhm completion bash)"`.

        Parameters
        ----------
        shell
            Which shell.
        """
        print(app.generate_completion(shell=shell))
        return 0

    for worker in WORKERS:
        app.command(
            f"vhm.commands.worker:{worker}",
            name=worker,
            help=f"Run the {worker} worker until it is asked to stop.",
            help_epilogue="",
            group=workers,
        )
    try:
        result = app(sys.argv[1:], print_error=False, exit_on_error=False)
    except CycloptsError as error:
        print(f"vhm: {' '.join(str(error).split())}", file=sys.stderr)
        return MISUSED
    return result if isinstance(result, int) else 0
