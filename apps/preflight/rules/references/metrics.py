"""Names of metrics in alerts and dashboards, against the registries that the apps declare."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Field
from preflight.documents.paths import strings
from preflight.facts.settings import metrics
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, near

COMMON = ("go", "process", "prometheus", "python")
"""Prefixes of what every exporter shows."""
NAME = re.compile(r"(?<![\w:$])[a-zA-Z_][a-zA-Z0-9_:]*")
EXPRESSION = re.compile(r'"expr"\s*:\s*"((?:[^"\\]|\\.)*)"')


@rule("metric-not-exposed", family="references", severity="warning", outcome="applies nothing")
def metric_not_exposed(model: Model) -> Iterator[Violation]:
    """A metric in an alert or dashboard that bears an app's prefix and that its registry does not have.

    The expression is valid and finds no series: the alert never fires, the panel is empty. The registry is
    named in pyproject.toml (`metrics = "shop.metrics:REGISTRY"`); the prefix is the first word of its names.
    What the rules record themselves is left alone.

        expr: rate(shop_orders_totl[5m])       # the registry has shop_orders_total
    """
    exposed = {name for container in model.containers for name in metrics(model, container)}
    prefixes = {name.partition("_")[0] for name in exposed if "_" in name} - set(COMMON)
    recorded = {
        field.doc
        for rules in model.objects_of("PrometheusRule")
        for field in rules.fields("spec.groups.*.rules.*.record")
    }
    for field, expression in _expressions(model) if prefixes else ():
        for name in dict.fromkeys(NAME.findall(expression)):
            prefix = name.partition("_")[0]
            if prefix in prefixes and "_" in name and ":" not in name and name not in exposed | recorded:
                suggestion = near(name, exposed)
                yield at(
                    field,
                    message=f"no registry of the apps has the metric {name}{hint(suggestion)}",
                    fix=f"write {suggestion}" if suggestion else "name a metric that is registered",
                )


def _expressions(model: Model) -> Iterator[tuple[Field, str]]:
    """The expressions of alerts, and of dashboards that ConfigMaps hold as JSON; what stands in quotes and
    braces is taken out."""
    for rules in model.objects_of("PrometheusRule"):
        for field in rules.fields("spec.groups.*.rules.*.expr"):
            yield field, _bare(str(field.doc))
    for config in model.objects_of("ConfigMap"):
        for key, text in strings(config.get("data")).items():
            for expression in EXPRESSION.findall(text) if '"panels"' in text else ():
                yield config.field("data", key), _bare(expression)


def _bare(expression: str) -> str:
    return re.sub(r"\{[^}]*\}|\"[^\"]*\"", " ", expression)
