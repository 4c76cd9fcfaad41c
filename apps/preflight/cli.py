"""The command line: `preflight check`, `preflight rules`, `preflight graph`."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from preflight.findings import CheckError

if TYPE_CHECKING:
    from preflight.reporting.report import Report


def _no_option(type_: object, value: str) -> None:
    if value.startswith("-") and value != "-":
        raise ValueError(f"unknown option {value}; --help lists what there is")


Format = Literal["text", "json", "sarif", "github"]
Target = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]
"""`-` is a target, `--bogus` is a mistake."""
CLEAN, ERRORS, COULD_NOT_CHECK = 0, 1, 2

EPILOGUE = """\
Exit code: 0 no errors, 1 errors (with --strict warnings too), 2 it could not look, or a rule crashed.
Of the checked repository's code it imports only the names in that repository's own pyproject.toml
([tool.preflight.containers.NAME]), in a subprocess with a timeout. Nothing is applied, fetched or written.
"""


def _version() -> str:
    from importlib import metadata  # slow to import

    return metadata.version("vhm-preflight")


app = App(
    name="preflight",
    help="What would go wrong, before it is applied: manifests against the app they run.",
    help_epilogue=EPILOGUE,
    version=_version,
    result_action="return_int_as_exit_code_else_zero",
)


@app.command
def check(
    *paths: Target,
    format: Annotated[Format, Parameter(alias="-f")] = "text",
    kubernetes_version: str | None = None,
    rule: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False, show_default=False)] = (),
    skip: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False, show_default=False)] = (),
    strict: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    errors_only: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    against: str | None = None,
    baseline: Path | None = None,
    write_baseline: Path | None = None,
    allow_remote: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    own_code: bool = True,
    server: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    context: str | None = None,
) -> int:
    """Check kustomizations, rendered files, folders of manifests, or - for standard input.

    Parameters
    ----------
    paths
        What to check; `.` when nothing is named.
    format
        How to print what is found.
    kubernetes_version
        The cluster's version, such as 1.34; otherwise pyproject.toml's.
    rule
        Apply only this rule or family; may be repeated.
    skip
        Leave out this rule or family; may be repeated.
    strict
        Warnings count as errors.
    errors_only
        Print errors alone; warnings are counted.
    against
        A git revision that is installed now: also report fields the API server would not change.
    baseline
        Findings to pass over, as --write-baseline wrote them.
    write_baseline
        Write what is found to this file, to be passed over from now on.
    allow_remote
        Let kustomize fetch remote resources.
    own_code
        Import what pyproject.toml names and run its commands: code of the checked repository.
    server
        Also ask the API server of --context, by a dry run; values of Secrets stay here.
    context
        The kubectl context that --server asks.
    """
    from preflight.run import Options, run

    if server != (context is not None):
        raise CheckError("--server and --context NAME go together: a cluster is asked only where it is named")
    options = Options(
        kubernetes_version=kubernetes_version,
        only=rule,
        skip=skip,
        against=against,
        baseline=baseline,
        allow_remote=allow_remote,
        own_code=own_code,
        context=context if server else None,
    )
    stdin = sys.stdin.buffer.read() if "-" in paths else None
    report = run(paths or (".",), options, stdin)
    if write_baseline is not None:
        return _accept(report, write_baseline)
    return _print(report.errors_only() if errors_only else report, format, strict)


@app.command
def rules(id: str | None = None, /) -> int:
    """Every rule, or what one finds, why it matters and an example.

    Parameters
    ----------
    id
        A rule's name.
    """
    from preflight.reporting.rule_pages import listed, page

    print(listed() if id is None else page(id), end="")
    return CLEAN


@app.command
def graph(
    path: Target = ".",
    /,
    *,
    format: Annotated[Literal["mermaid", "dot"], Parameter(alias="-f")] = "mermaid",
    allow_remote: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Who talks to whom: workloads, Services, topics, stores and Secrets; broken edges marked.

    Parameters
    ----------
    path
        A kustomization, a rendered file, a folder of manifests, or - for standard input.
    format
        Mermaid for a README, or dot for Graphviz.
    allow_remote
        Let kustomize fetch remote resources.
    """
    from preflight.graph import draw

    stdin = sys.stdin.buffer.read() if path == "-" else None
    print(draw(path, format, allow_remote=allow_remote, stdin=stdin), end="")
    return CLEAN


def main() -> None:
    """Entry point of `preflight`."""
    gc.disable()  # a run keeps nearly all it makes: looking for garbage takes a fifth of it and finds none
    try:
        sys.exit(app(sys.argv[1:], exit_on_error=False))
    except CycloptsError:
        # printed by the library already; a call that is not understood has found nothing out
        sys.exit(COULD_NOT_CHECK)
    except CheckError as error:
        print(f"preflight: {error}", file=sys.stderr)
        sys.exit(COULD_NOT_CHECK)
    except BrokenPipeError:
        # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(ERRORS)
    finally:
        gc.freeze()  # all that is left goes with the process


def _print(report: Report, format: Format, strict: bool) -> int:
    from preflight.reporting.formats import WRITERS

    sys.stdout.write(WRITERS[format](report))
    sys.stdout.flush()
    for failure in report.failures:
        print(f"preflight: {failure}", file=sys.stderr)
    if report.crashed or report.failures:
        return COULD_NOT_CHECK
    return ERRORS if report.errors or (strict and report.warnings) else CLEAN


def _accept(report: Report, file: Path) -> int:
    from preflight.reporting import baseline

    try:
        file.write_bytes(baseline.write(report.findings))
    except OSError as error:
        raise CheckError(f"{file}: {error.strerror}") from None
    print(f"{file}: {len(report.findings)} findings accepted")
    return CLEAN
