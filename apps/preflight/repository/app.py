"""What the checked repository's own code says: settings, routes, topics, and who provides a module.

The names a repository declares in `[tool.preflight.containers.<name>]` of its pyproject.toml are imported in
a subprocess (`repository.probe`), in that repository's interpreter, as the pod would import them: with its
variables and files, and without network, programs and writing. Every question has a fork of its own there.

    with Apps(root, config.containers) as apps:     # starts an interpreter, while kustomize renders
        app = apps.get("indexer")                   # None for a container that is not declared
        app.settings(pod)                           # what the settings type says to that pod
        app.topics(pod)
        app.routes(pod, [Request(path="/readyz")])  # how it answers the kubelet
        app.providers(["yaml"])                     # module -> distributions

An answer that did not depend on the pod's variables is kept for every pod; the same question is asked once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

import msgspec

from preflight.repository.config import IMPORT_ROOTS, ContainerConfig
from preflight.repository.probe_process import SECONDS, Process

Key = Literal["settings", "topics", "app", "metrics"]
KEYS: tuple[Key, ...] = get_args(Key)


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """What a container would start with, as far as it can be known here."""

    state: dict[str, str] = {}
    """Its variables by name, and the small files mounted into it by absolute path."""
    unknown: tuple[str, ...] = ()
    """Variables that are offered with a value that cannot be seen here."""
    secrets: tuple[str, ...] = ()
    """The values of Secrets among them; no text may hold one."""
    open: bool = False
    """Whether further variables may be offered (a Secret taken whole that is made elsewhere)."""
    workdir: str = "/app"
    mounts: tuple[str, ...] = ()
    """Mount paths whose content is known, or made by the pod itself."""
    unseen: tuple[str, ...] = ()
    """Mount paths whose content cannot be known here."""
    copies: tuple[tuple[str, str], ...] | None = None
    """What the Dockerfile copies: (path in the repository, path in the image); None without a Dockerfile."""
    ignored: tuple[tuple[bool, str], ...] = ()
    """Patterns of the .dockerignore: whether it keeps, and the expression."""


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One environment variable of a settings type."""

    name: str
    kind: str
    """int, float, bool, str, enum, or other."""
    type: str
    """What a value must look like, in words: `a whole number from 1 to 65535`, `one of DEBUG, INFO`."""
    required: bool
    default: str | None = None
    """As it would be written in an environment; None when there is none, or it is secret."""
    secret: bool = False
    aliases: tuple[str, ...] = ()
    is_address: bool = False
    """Declared an address by its type or its name: ..._URL, ..._SERVERS, ..._HOST, ..._ADDR."""
    choices: tuple[str, ...] = ()
    any_case: bool = False
    """Whether the app reads the name whatever its case."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name the app reads it by, the preferred one first."""
        return (self.name, *self.aliases)

    def is_read_from(self, name: str) -> bool:
        """Whether the app reads it from a variable of this name."""
        return name in self.names or (self.any_case and name.upper() in map(str.upper, self.names))


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a settings type says to a pod. No text holds a Secret's value."""

    kind: Literal["missing", "value", "aliases", "conflict"]
    variables: tuple[str, ...]
    """The variables (or absolute paths of mounted files) it comes from; of `missing`, the names that are
    asked for, the preferred one first."""
    field: str = ""
    """The field, as the type names it: `store.port`."""
    expected: str = ""
    """What a value must look like."""
    message: str = ""
    """The type's own words; empty where they hold a part of a Secret's value."""
    certain: bool = True
    """False when a value that cannot be seen here (a Secret made elsewhere) could put it right."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a declared name could not be asked."""

    kind: Literal["not-found", "missing-package", "tried", "raised", "ended"]
    why: str
    """The package, what it tried to do, the exception, or how it ended."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a settings type says to one pod."""

    variables: tuple[Variable, ...] = ()
    problems: tuple[Problem, ...] = ()
    unread: tuple[str, ...] = ()
    """Variables of the pod whose value, and whose absence, changes nothing."""
    shadowed: dict[str, str] = {}
    """Those among them that would be read, were it not for another variable of the same setting."""
    state: dict[str, str] = {}
    """Values for what cannot be seen here, with which the settings can be made."""
    unseen: tuple[str, ...] = ()
    """Mounts it looked into whose content cannot be known here."""
    failed: Failure | None = None

    def variable(self, name: str) -> Variable | None:
        """The variable read by this name, aliases included; the same case before another."""
        found = [each for each in self.variables if each.is_read_from(name)]
        return next((each for each in found if name in each.names), found[0] if found else None)


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic an app declares; `writers` and `readers` as far as the declaration names them."""

    name: str
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A GET of the kubelet's: `headers` are those that the probe names."""

    path: str
    port: int = 80
    headers: tuple[tuple[str, str], ...] = ()


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How an app answers the kubelet's GET, redirects on the same host followed."""

    status: int | None
    """None: no answer within five seconds."""
    location: str | None = None
    """Where it was redirected last, as a whole URL."""
    stays: bool = False
    """Whether that is the pod's own address still: by https, or once too often."""
    starts: bool = False
    """Whether the app may serve the path once it has started."""

    @property
    def fails(self) -> bool:
        """Whether the kubelet takes it for a failure that time does not mend: 400 to 499, or a redirect to
        https of the pod itself. One to another host is a success for the kubelet."""
        if self.status is not None and 300 <= self.status < 400:
            return self.stays
        return self.status is not None and 400 <= self.status < 500


# two threads in which msgspec meets a type for the first time crash the interpreter
for _type in (Answer, Failure, Topic, Route):
    msgspec.json.Decoder(_type)


class AppKnowledge:
    """What is known of one declared container's application."""

    def __init__(self, container: str, config: ContainerConfig, answers: Answers) -> None:
        self.container = container
        self.config = config
        self._answers = answers

    def settings(self, pod: Pod) -> Answer | None:
        """What the settings type says to a pod; None where none is declared."""
        found = self._ask("settings", pod)
        return msgspec.convert(found, Answer) if found else None

    def topics(self, pod: Pod) -> tuple[Topic, ...]:
        """Its topics; none where none are declared, or they could not be asked."""
        return msgspec.convert(self._ask("topics", pod).get("topics", ()), tuple[Topic, ...])

    def metrics(self, pod: Pod) -> tuple[str, ...]:
        """The series its registry shows; none where none is declared, or it could not be asked."""
        return tuple(self._ask("metrics", pod).get("metrics", ()))

    def routes(self, pod: Pod, requests: Sequence[Request]) -> list[Route]:
        """How it answers each request; nothing where no ASGI app is declared, or it could not be asked."""
        return msgspec.convert(self._ask("app", pod, requests).get("routes", ()), list[Route])

    def memory(self, pod: Pod, requests: Sequence[Request]) -> int:
        """Bytes that importing what is declared took here, beside what any interpreter takes; at least that
        much. 0 where nothing was imported."""
        answers = (self._ask("settings", pod), self._ask("app", pod, requests))
        return max(int(answer.get("memory", 0)) for answer in answers)

    def failures(self, pod: Pod, requests: Sequence[Request]) -> dict[Key, Failure]:
        """The declared names that could not be asked; of the app, these requests are asked."""
        answers = {key: self._ask(key, pod, requests) for key in KEYS}
        return {
            key: msgspec.convert(answer["failed"], Failure)
            for key, answer in answers.items()
            if "failed" in answer
        }

    def _ask(self, key: Key, pod: Pod, requests: Sequence[Request] = ()) -> dict[str, Any]:
        """The answer about what is declared under `key`; nothing where nothing is."""
        name = getattr(self.config, key)
        if name is None:
            return {}
        asked = pod if key == "settings" else self._mended(pod)
        return self._answers.get(key, name, asked, requests if key == "app" else ())

    def providers(self, modules: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Top-level module → canonical names of the installed distributions that provide it."""
        found = self._answers.distributions(modules, ()).get("modules", {})
        return msgspec.convert(found, dict[str, tuple[str, ...]])

    def closure(self, distributions: Iterable[str]) -> frozenset[str]:
        """These distributions with all they require, as far as they are installed."""
        return frozenset(self._answers.distributions((), sorted(distributions)).get("closure", ()))

    def _mended(self, pod: Pod) -> Pod:
        """The pod with values that its settings take for what cannot be seen here."""
        answer = self.settings(pod)
        return (
            msgspec.structs.replace(pod, state={**pod.state, **answer.state}) if answer is not None else pod
        )


class Answers:
    """The answers of one run: none is asked for twice."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._questions: dict[tuple[Key, str, tuple[Request, ...]], _Question] = {}

    def get(self, ask: Key, name: str, pod: Pod, requests: Sequence[Request] = ()) -> dict[str, Any]:
        """The answer to a question, as `probe.answer` has it; `failed` where the probe ended over it."""
        question = self._questions.setdefault((ask, name, tuple(requests)), _Question())
        with question.lock:
            for other, answer in question.answers:
                if other == pod or _same(other, pod, answer):
                    return answer
            asked = {"ask": ask, "name": name, "requests": requests, **msgspec.structs.asdict(pod)}
            answer = self._process.ask(**asked)
            if "ended" in answer:
                answer = {"failed": {"kind": "ended", "why": answer["ended"]}}
            question.answers.append((pod, answer))
            return answer

    def distributions(self, modules: Sequence[str], installed: Sequence[str]) -> dict[str, Any]:
        """Who provides some modules, and what some distributions draw in."""
        return self._process.ask(modules=modules, installed=installed)


class _Question:
    """What a declared name is asked, and its answers by pod."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answers: list[tuple[Pod, dict[str, Any]]] = []


def _same(one: Pod, other: Pod, answer: dict[str, Any]) -> bool:
    """Whether an answer to one pod is the answer to another: all that was looked up is the same there."""
    if answer.get("all_read", True) or not {"topics", "routes", "metrics"} & answer.keys():
        return False
    return all(one.state.get(name) == other.state.get(name) for name in answer["looked_up"])


class Apps:
    """The declared apps of one repository, by container name; a context manager, see the module."""

    def __init__(
        self,
        root: Path,
        containers: Mapping[str, ContainerConfig],
        import_roots: Sequence[str] = IMPORT_ROOTS,
        seconds: float = SECONDS,
    ) -> None:
        names = {
            name for each in containers.values() for name in (each.settings, each.app) if name is not None
        }
        self._process = Process(root, sorted(names), import_roots, seconds)
        answers = Answers(self._process)
        self.known = {name: AppKnowledge(name, config, answers) for name, config in containers.items()}
        self._ahead = ThreadPoolExecutor(os.cpu_count())

    def __enter__(self) -> Apps:
        if self.known:
            self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()
        self._ahead.shutdown(cancel_futures=True)
        self._process.close()

    def ask_ahead(self, container: str, pod: Pod, requests: Sequence[Request]) -> None:
        """Begin to ask what will be asked of a container's app, while other work goes on."""
        if container in self.known:
            self._ahead.submit(self.known[container].failures, pod, requests)

    def get(self, container: str) -> AppKnowledge | None:
        """What is known of the container of this name; None when it is not declared."""
        return self.known.get(container)
