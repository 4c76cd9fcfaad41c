"""What a cluster's API server says of objects: `kubectl apply --dry-run=server`. Nothing is changed there.

Values of Secrets stay here: in their place the server gets as many letters x.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from preflight.cluster.objects import Obj
from preflight.documents.paths import Step, strings
from preflight.findings import CheckError

SECONDS = 30.0
AT_ONCE = 4
CAUSE = re.compile(r"(?:^|\s)\*?\s*((?:metadata|spec|data|roleRef|subjects|webhooks)[\w.\[\]/-]*): (.+)")
PREFIX = re.compile(r"^(?:Error from server[^:]*: |error: )?(?:error when \w+ \"[^\"]*\": )?", re.I)
UNREACHABLE = re.compile(
    r"unable to connect|was refused|context .* does not exist|Unauthorized|no such host", re.I
)


class Refusal(msgspec.Struct, frozen=True):
    """One reason why the server does not take an object, and the field it names."""

    obj: Obj
    path: tuple[Step, ...]
    text: str


def refusals(objects: Sequence[Obj], context: str) -> list[Refusal]:
    """What the server of a kubectl context refuses.

    Objects of a namespace that is among the objects and not there yet are left out. Raises `CheckError` where
    the server cannot be asked.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise CheckError("--server: kubectl is not on PATH")
    made = {obj.name for obj in objects if obj.kind == "Namespace"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda obj: _ask(program, obj, context), objects))
    found = []
    for obj, answer in zip(objects, answers, strict=True):
        if answer and not (obj.namespace in made and f'namespaces "{obj.namespace}" not found' in answer):
            found += _refusals(obj, answer)
    return found


def _ask(program: str, obj: Obj, context: str) -> str:
    """The server's reason against one object, empty where it takes it."""
    command = [program, "--context", context, "apply", "--dry-run=server", "-f", "-"]
    try:
        # kubectl found on PATH; the context is the caller's own word
        done = subprocess.run(  # noqa: S603
            command,
            input=msgspec.json.encode(_without_secrets(obj)),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CheckError(f"--server: {context} did not answer within {SECONDS:.0f} s") from None
    except OSError as error:
        raise CheckError(f"--server: kubectl cannot be used: {error.strerror}") from None
    if done.returncode == 0:
        return ""
    answer = done.stderr.decode("utf-8", "replace").strip()
    if UNREACHABLE.search(answer):
        raise CheckError(f"--server: {context} cannot be asked: {answer.splitlines()[-1][:300]}")
    return answer


def _without_secrets(obj: Obj) -> dict[str, Any]:
    doc: dict[str, Any] = obj.doc
    if obj.kind != "Secret":
        return doc
    plain = {key: "x" * len(value) for key, value in strings(obj.get("stringData")).items()}
    encoded = {
        key: base64.b64encode(b"x" * (len(value) * 3 // 4)).decode()
        for key, value in strings(obj.get("data")).items()
    }
    # what kubectl itself notes down holds the values as well
    notes = {key: text for key, text in obj.annotations.items() if "last-applied" not in key}
    metadata = {**obj.mapping("metadata"), "annotations": notes}
    return {**doc, "metadata": metadata, "stringData": plain, "data": encoded}


def _refusals(obj: Obj, answer: str) -> list[Refusal]:
    text = PREFIX.sub("", answer)
    causes = [match for line in text.splitlines() for match in [CAUSE.search(line)] if match is not None]
    if not causes:
        return [Refusal(obj, (), " ".join(text.split())[:300])]
    return [Refusal(obj, _path(match[1]), f"{match[1]}: {match[2].strip()[:300]}") for match in causes]


def _path(field: str) -> tuple[Step, ...]:
    """The server's notation, `spec.containers[0].image` or `metadata.labels[a.b]`, as a path."""
    steps: list[Step] = []
    for name, index in re.findall(r"([^.\[\]]+)|\[([^\]]*)\]", field):
        steps.append(name or (int(index) if index.isdigit() else index))
    return tuple(steps)
