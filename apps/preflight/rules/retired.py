"""Rules that are gone: their names stay valid, and say what reports the fault now."""

from __future__ import annotations

SERVER = "refused-by-server"
NOBODY = ""

RETIRED: dict[str, str] = {
    "broker-differs": "shared-setting-differs",
    "collection-differs": "shared-setting-differs",
    "collection-model-differs": "shared-setting-differs",
    "topic-copies-above-brokers": "replication-above-brokers",
    "job-deadline-too-short": NOBODY,
    "memory-disk-above-limit": NOBODY,
    "rollout-held-back": NOBODY,
    "start-deadline-too-short": NOBODY,
    "unknown-medium": NOBODY,
    "capability-not-allowed": "pod-security-violated",
    "container-without-image": SERVER,
    "host-not-allowed": "pod-security-violated",
    "invalid-address": SERVER,
    "invalid-binding": SERVER,
    "invalid-budget": "fields-exclude-each-other",
    "invalid-claim": SERVER,
    "invalid-environment": "fields-exclude-each-other",
    "invalid-ingress": SERVER,
    "invalid-job": SERVER,
    "invalid-policy": SERVER,
    "invalid-probe": "fields-exclude-each-other",
    "invalid-restart-policy": SERVER,
    "invalid-service": SERVER,
    "invalid-strategy": "fields-exclude-each-other",
    "invalid-volume": "fields-exclude-each-other",
    "kernel-setting-not-allowed": "pod-security-violated",
    "number-out-of-range": SERVER,
    "policy-level-unknown": SERVER,
    "privilege-not-allowed": "pod-security-violated",
    "root-not-allowed": "pod-security-violated",
    "schedule-never-comes": "invalid-schedule",
    "seccomp-not-allowed": "pod-security-violated",
    "security-contradiction": SERVER,
    "service-address-cannot-change": "field-cannot-change",
    "spread-twice": SERVER,
    "unknown-resource": SERVER,
    "unknown-value": SERVER,
    "volume-type-not-allowed": "pod-security-violated",
    "service-link-stops-broker": "service-link-stops-image",
}
"""The name that was → the rule that reports the fault now; none where it was advice."""


def current(name: str) -> str:
    """The name under which a rule is known now; empty where nothing reports its fault any more."""
    return RETIRED.get(name, name)


def farewell(name: str) -> str:
    """One line about a rule that is gone."""
    now = {NOBODY: "what it said was advice", SERVER: f"{SERVER} (`--server`) reports it now"}
    return f"the rule {name} is gone: {now.get(RETIRED[name], f'{RETIRED[name]} reports it now')}"
