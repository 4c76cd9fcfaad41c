"""Heaps and caches that programs are told to take, against memory limits."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from decimal import Decimal

from preflight.cluster.objects import Field
from preflight.cluster.quantities import quantity
from preflight.cluster.workloads import Container
from preflight.facts.images import command_fields, container_images
from preflight.facts.known_images import known
from preflight.facts.settings import written_at
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

JVM_VARIABLE = re.compile(
    r"_?(\w*_)?(HEAP_OPTS|JAVA_OPTS|JVM_OPTS|JAVA_OPTIONS|TOOL_OPTIONS|CATALINA_OPTS|JAVA_OPT)"
)
READ_BY_JAVA = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
"""Variables that a JVM reads by itself; all others count where a script hands them to it."""
HEAP = re.compile(r"-Xm[xs](\d+)([kKmMgGtT]?)\b")
SIZE = r"[ =](?P<size>\d+)(?P<unit>[kKmMgGtT]?(?:i?[bB])?)\b"
MEMORY = (
    (re.compile(rf"(?P<name>--max[-_]old[-_]space[-_]size){SIZE}"), "m"),
    (re.compile(rf"(?P<name>^GOMEMLIMIT){SIZE}"), "b"),
    (re.compile(rf"(?P<name>--maxmemory){SIZE}"), "b"),
    (re.compile(rf"(?P<name>\bshared_buffers){SIZE}"), "b"),
)
"""How programs are told how much memory to take, and the unit of a bare number."""
UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@rule("heap-above-limit", family="messaging", severity="error", outcome="OOMKilled")
def heap_above_limit(model: Model) -> Iterator[Violation]:
    """A Java heap that is larger than the container's memory limit, or leaves nothing of it.

    A JVM takes threads, code and buffers besides its heap. As the heap fills, the kernel kills the process
    before Java itself collects garbage or reports that memory is short. A heap as large as the limit is a
    warning, and so is one in a variable of which it is not known that anything hands it to Java: a JVM reads
    JAVA_TOOL_OPTIONS and JDK_JAVA_OPTIONS alone. Kafka's own default is -Xmx1G. What Node.js, Go, Redis and
    PostgreSQL are told to take is a warning from the limit on: they grow as far only when they need it.

        KAFKA_HEAP_OPTS=-Xmx2g         # and limits: {memory: 1Gi}
    """
    for container in model.containers:
        limit = quantity(container.get("resources", "limits", "memory"))
        if limit is None or limit <= 0:
            continue
        for field, source, heap, read in _heaps(model, container):
            if heap >= limit:
                unread = "" if read else ", if anything hands it to Java"
                yield at(
                    field,
                    message=f"{source} gives Java a heap of {_shown(heap)}{unread}; the memory limit of "
                    f"{container.name} is {_shown(limit)}",
                    fix="leave at least a quarter of the limit to the rest of the JVM",
                    severity="error" if heap > limit and read else "warning",
                )
        for field, source, size in _told(container):
            if size >= limit:
                yield at(
                    field,
                    message=f"{source} lets it take {_shown(size)}; the memory limit of {container.name} is "
                    f"{_shown(limit)}",
                    fix="write three quarters of the limit at most",
                    severity="warning",
                )
        if _takes_default(container) and limit <= UNITS["g"]:
            yield at(
                container.field("resources", "limits", "memory"),
                message=f"KAFKA_HEAP_OPTS is not set, and Kafka's own heap is 1Gi; the memory limit of "
                f"{container.name} is {_shown(limit)}",
                fix="set KAFKA_HEAP_OPTS=-Xmx512m, or raise the limit",
                severity="error" if limit < UNITS["g"] else "warning",
            )


def _heaps(model: Model, container: Container) -> Iterator[tuple[Field, str, int, bool]]:
    """Each heap that variables and the command name: where, by what, its size, and whether Java surely takes
    it."""
    for offered in container.env.values():
        if JVM_VARIABLE.fullmatch(offered.name):
            read = _is_read(model, container, offered.name)
            yield written_at(container, offered), offered.name, heap_of(offered.value or ""), read
    for word in command_fields(container):
        yield word, "the command", heap_of(str(word.doc)), True


def _told(container: Container) -> Iterator[tuple[Field, str, Decimal]]:
    """What other programs are told to take: where, by what, and how much."""
    words = command_fields(container)
    texts: list[tuple[Field, str]] = [
        (written_at(container, each), f"{each.name}={each.value}") for each in container.env.values()
    ]
    texts += [(word, str(word.doc)) for word in words]
    texts += [
        (after, f"{before.doc} {after.doc}")
        for before, after in itertools.pairwise(words)
        if _is_option(before)
    ]
    for field, text in texts:
        for pattern, unit in MEMORY:
            if (match := pattern.search(text)) is not None:
                factor = UNITS.get((match["unit"] or unit).lower().removesuffix("b").removesuffix("i"))
                if factor is not None:
                    yield field, match["name"], Decimal(match["size"]) * factor


def _is_option(word: Field) -> bool:
    return str(word.doc).startswith("--")


def _is_read(model: Model, container: Container, name: str) -> bool:
    """Whether a variable surely reaches Java: a JVM reads it, or the image's script, or one that is seen."""
    if name in READ_BY_JAVA or name in known(container.image).heap:
        return True
    image = container_images(model).get(container)
    words = [*container.command, *container.args]
    words += (
        [word for each in (image.stage.entrypoint, image.stage.cmd) if each for word in each.words]
        if image
        else []
    )
    return any(re.search(rf"\$[({{]?{name}\b", word) for word in words)


def _takes_default(container: Container) -> bool:
    image = re.search(r"(^|/)(apache/kafka|confluentinc/cp-kafka)([:@]|$)", container.image)
    complete = container.env_is_known and not container.command
    return image is not None and complete and "KAFKA_HEAP_OPTS" not in container.env


def heap_of(options: str) -> int:
    """The largest heap that Java options name, in bytes; 0 where they name none. The last -Xmx counts."""
    sizes = {match[0][:4]: int(match[1]) * UNITS[match[2].lower()] for match in HEAP.finditer(options)}
    return max(sizes.values(), default=0)


def _shown(size: int | Decimal) -> str:
    return f"{size / UNITS['g']:g}Gi" if size >= UNITS["g"] else f"{size / UNITS['m']:.0f}Mi"
