"""Secrets where everybody can read them: in ConfigMaps, in the values of `env`, in the image."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.environment import EnvVar
from preflight.cluster.workloads import Container
from preflight.facts.settings import container_settings, written_at
from preflight.findings import Place
from preflight.model import Model
from preflight.repository.dockerfile_syntax import assignments, read
from preflight.rules.registry import Violation, at, rule

TOKEN = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,}|glpat-[\w-]{20,}"
    r"|(AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|xox[abprs]-[\w-]{10,}|hf_[A-Za-z0-9]{30,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\s|\\[nr])*(?:[A-Za-z-]+: [^\n]*\s+)*[A-Za-z0-9+/]{40,}"
)
"""Keys that say themselves what they are: OpenAI, GitHub, GitLab, AWS, Google, Slack, Hugging Face, JWT, and
private keys with something between their first line and their last."""
SECRET_NAME = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_KEY|API_?KEY|ACCESS_KEY|PRIVATE_KEY|AUTH_TOKEN|ACCESS_TOKEN"
    r"|API_TOKEN|BEARER_TOKEN)$",
    re.I,
)
IN_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@$]+:([^/\s@$]+)@", re.I)
PLACEHOLDER = re.compile(
    r"|true|false|yes|no|on|off|none|null|\d|<.*>|/.*|\$.*|x+|\*+|\{\{.*|changeme.*|.*example.*", re.I
)
"""Values that are no secret whatever the name says: switches, paths, stand-ins."""


@rule("secret-in-the-open", family="environment", severity="error", outcome="insecure")
def secret_in_the_open(model: Model) -> Iterator[Violation]:
    """A secret in a ConfigMap or in a plain `value:`.

    Whoever may read ConfigMaps, Deployments or the repository has it, and it stays in the history. An error
    where the settings type declares the variable a secret or the value is a key by its own looks; a warning
    where only the name or a password in an address says so. The value is not shown.

        OPENAI_API_KEY=sk-…            # in an env file of a configMapGenerator
    """
    seen: set[Place] = set()
    for container in model.containers:
        settings = container_settings(model).get(container)
        for each in container.offers:
            value = (each.raw or "").strip()
            if each.origin not in ("literal", "configmap") or not value or each.place in seen:
                continue
            variable = settings.variable(each.name) if settings is not None else None
            declared = variable is not None and variable.secret
            certain = declared or _has_token(value)
            suspect = variable is None and SECRET_NAME.search(each.name) and not PLACEHOLDER.fullmatch(value)
            in_url = IN_URL.search(value)
            if "$(" in value and not _has_token(value):
                continue
            if certain or suspect or (in_url and not PLACEHOLDER.fullmatch(in_url[1])):
                seen.add(each.place)
                yield _open(container, each, certain)
    yield from _files(model, seen)


def _has_token(text: str) -> bool:
    """Whether a text holds a key; one of a manual, or of one letter over and over, is none."""
    return any("EXAMPLE" not in found[0] and len(set(found[0])) > 9 for found in TOKEN.finditer(text))


def _open(container: Container, offered: EnvVar, certain: bool) -> Violation:
    where = f"ConfigMap {offered.source_name}" if offered.source is not None else "the manifest"
    return at(
        written_at(container, offered),
        message=f"{offered.name} is a secret and stands in {where} for all to read"
        if certain
        else f"{offered.name} looks like a secret and stands in {where} for all to read",
        fix="keep it in a Secret, and revoke it if this was ever committed",
        severity="error" if certain else "warning",
    )


def _files(model: Model, seen: set[Place]) -> Iterator[Violation]:
    """Keys of ConfigMaps that no container takes as a variable: whole files."""
    for config in model.objects_of("ConfigMap"):
        for key, text in config.mapping("data").items():
            place = config.where("data", key)
            if isinstance(text, str) and place not in seen and _has_token(text):
                yield at(
                    config.field("data", key),
                    message=f"{key} holds a key or token, in a ConfigMap for all to read",
                    fix="keep it in a Secret, and revoke it if this was ever committed",
                )


@rule("secret-ends-in-newline", family="environment", severity="warning", outcome="never ready")
def secret_ends_in_newline(model: Model) -> Iterator[Violation]:
    """A Secret's value of one line that ends in a newline, and is taken as a variable.

    `echo password | base64` encodes the newline too, and so does a block (`|`) in `stringData`. The variable
    holds it, and the password that is sent is not the one that was meant. A key of several lines ends as it
    should.

        data:
          password: aHVudGVyMgo=       # echo -n hunter2 | base64 gives aHVudGVyMg==
    """
    for container in model.containers:
        for each in container.offers:
            value = each.raw or ""
            one_line = value.endswith("\n") and "\n" not in value.strip() and value.strip()
            if each.is_secret and one_line and each.source is not None:
                yield at(
                    written_at(container, each),
                    message=f"{each.key} ends in a newline, which the variable that takes it then holds",
                    fix="encode it without the newline (printf %s, echo -n), or write |- for |",
                )


@rule("secret-in-image", family="environment", severity="error", outcome="insecure")
def secret_in_image(model: Model) -> Iterator[Violation]:
    """A secret that the Dockerfile bakes into the image.

    ENV, ARG and copied .env files stay in the image's layers and history: whoever can pull it has them, and
    no Secret in the cluster can take their place.

        ENV OPENAI_API_KEY=sk-…
    """
    for container in model.containers:
        app = model.app(container)
        settings = container_settings(model).get(container)
        file = app.config.dockerfile if app is not None else None
        if app is None or file is None or not (model.root / file).is_file():
            continue
        for instruction in read((model.root / file).read_text("utf-8", "replace")):
            place = Place(file, instruction.line)
            names = [
                (name, value or "")
                for name, value in assignments(instruction.text, bare=True)
                if instruction.keyword in ("ENV", "ARG")
            ]
            found = ""
            for name, value in names:
                variable = settings.variable(name) if settings is not None else None
                declared = variable.secret if variable is not None else SECRET_NAME.search(name) is not None
                if declared and not PLACEHOLDER.fullmatch(value.strip()):
                    found, place = name, Place(file, instruction.line_of(name))
            if not found and TOKEN.search(instruction.text):
                found = "a key or token"
            if not found and instruction.keyword in ("COPY", "ADD"):
                dotenv = re.search(r"(^|[\s/\[\"])\.env(?=[\s\",])", instruction.text)
                found = "the file .env" if dotenv and not instruction.flag("from") else ""
            if found:
                yield at(
                    container.field("image"),
                    message=f"{file} puts {found} into the image",
                    fix="offer it by a Secret at run time (RUN --mount=type=secret while building)",
                    place=place,
                )
