"""Java heaps against memory limits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.workloads import Container
from preflight.facts.settings import written_at
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

JVM_VARIABLE = re.compile(
    r"(\w*_)?(HEAP_OPTS|JAVA_OPTS|JVM_OPTS|JAVA_OPTIONS)|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|JAVA_OPT"
)
HEAP = re.compile(r"-Xm[xs](\d+)([kKmMgGtT]?)\b")
UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?")
SUFFIXES = {
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
    "Ti": 1024**4,
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
}


@rule("heap-above-limit", family="messaging", severity="error", outcome="OOMKilled")
def heap_above_limit(model: Model) -> Iterator[Violation]:
    """A Java heap that is as large as the container's memory limit, or larger.

    A JVM takes threads, code and buffers besides its heap. As the heap fills, the kernel kills the process
    before Java itself collects garbage or reports that memory is short. Kafka's own default is -Xmx1G.

        KAFKA_HEAP_OPTS=-Xmx1g         # and limits: {memory: 1Gi}
    """
    for container in model.containers:
        limit = memory(container.get("resources", "limits", "memory"))
        if limit is None:
            continue
        for each in container.env.values():
            heap = heap_of(each.value or "") if JVM_VARIABLE.fullmatch(each.name) else 0
            if heap >= limit:
                part, path = written_at(container, each)
                yield at(
                    part,
                    *path,
                    message=f"{each.name}: a heap of {_shown(heap)} in a container of {_shown(limit)}",
                    fix="leave at least a quarter of the limit to the rest of the JVM",
                    place=each.place,
                )
        for field in ("command", "args"):
            for index, word in enumerate(container.items(field)):
                heap = heap_of(str(word))
                if heap >= limit:
                    yield at(
                        container,
                        field,
                        index,
                        message=f"a heap of {_shown(heap)} in a container of {_shown(limit)}",
                        fix="leave at least a quarter of the limit to the rest of the JVM",
                    )
        if _takes_default(container) and limit <= UNITS["g"]:
            yield at(
                container,
                "resources",
                "limits",
                "memory",
                message=f"KAFKA_HEAP_OPTS is not set: Kafka's heap of 1Gi in a container of {_shown(limit)}",
                fix="set KAFKA_HEAP_OPTS=-Xmx512m, or raise the limit",
            )


def _takes_default(container: Container) -> bool:
    image = re.search(r"(^|/)(apache/kafka|confluentinc/cp-kafka)([:@]|$)", container.image)
    known = container.env_is_known and not container.command
    return image is not None and known and "KAFKA_HEAP_OPTS" not in container.env


def heap_of(options: str) -> int:
    """The largest heap that Java options name, in bytes; 0 where they name none. The last -Xmx counts."""
    sizes = {match[0][:4]: int(match[1]) * UNITS[match[2].lower()] for match in HEAP.finditer(options)}
    return max(sizes.values(), default=0)


def memory(quantity: object) -> int | None:
    """A quantity of memory in bytes; None for what is none."""
    if isinstance(quantity, int) and not isinstance(quantity, bool):
        return quantity
    match = QUANTITY.fullmatch(quantity) if isinstance(quantity, str) else None
    return None if match is None else int(float(match[1]) * SUFFIXES.get(match[2] or "", 1))


def _shown(size: int) -> str:
    return f"{size / UNITS['g']:g}Gi" if size >= UNITS["g"] else f"{size / UNITS['m']:.0f}Mi"
