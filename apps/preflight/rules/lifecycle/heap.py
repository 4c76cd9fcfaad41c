"""Java heaps against memory limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from preflight.cluster.quantities import quantity
from preflight.cluster.workloads import Container
from preflight.facts.images import container_images
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
UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@rule("heap-above-limit", family="messaging", severity="error", outcome="OOMKilled")
def heap_above_limit(model: Model) -> Iterator[Violation]:
    """A Java heap that is larger than the container's memory limit, or leaves nothing of it.

    A JVM takes threads, code and buffers besides its heap. As the heap fills, the kernel kills the process
    before Java itself collects garbage or reports that memory is short. A heap as large as the limit is a
    warning, and so is one in a variable of which it is not known that anything hands it to Java: a JVM reads
    JAVA_TOOL_OPTIONS and JDK_JAVA_OPTIONS alone. Kafka's own default is -Xmx1G.

        KAFKA_HEAP_OPTS=-Xmx2g         # and limits: {memory: 1Gi}
    """
    for container in model.containers:
        limit = quantity(container.get("resources", "limits", "memory"))
        if limit is None or limit <= 0:
            continue
        fix = "leave at least a quarter of the limit to the rest of the JVM"
        for offered in container.env.values():
            heap = heap_of(offered.value or "") if JVM_VARIABLE.fullmatch(offered.name) else 0
            if heap >= limit:
                unread = "" if _is_read(model, container, offered.name) else ", if anything hands it to Java"
                yield at(
                    written_at(container, offered),
                    message=f"{offered.name} gives Java a heap of {_shown(heap)}{unread}; the memory limit "
                    f"of {container.name} is {_shown(limit)}",
                    fix=fix,
                    severity="error" if heap > limit and not unread else "warning",
                )
        for field in ("command", "args"):
            for index, word in enumerate(container.items(field)):
                heap = heap_of(str(word))
                if heap >= limit:
                    yield at(
                        container.field(field, index),
                        message=f"the command gives Java a heap of {_shown(heap)}; the memory limit of "
                        f"{container.name} is {_shown(limit)}",
                        fix=fix,
                        severity="error" if heap > limit else "warning",
                    )
        if _takes_default(container) and limit <= UNITS["g"]:
            yield at(
                container.field("resources", "limits", "memory"),
                message=f"KAFKA_HEAP_OPTS is not set, and Kafka's own heap is 1Gi; the memory limit of "
                f"{container.name} is {_shown(limit)}",
                fix="set KAFKA_HEAP_OPTS=-Xmx512m, or raise the limit",
                severity="error" if limit < UNITS["g"] else "warning",
            )


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
