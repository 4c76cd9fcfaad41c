"""Rules that are gone: their names stay valid, and say what reports the fault now."""

from __future__ import annotations

SERVER = "refused-by-server"
NOBODY = ""

GONE = {
    NOBODY: (
        "broker-setting-missing broker-settings-refused cpu-too-large deadline-before-started "
        "governing-service-selects-others group-protocol-unsupported job-deadline-too-short "
        "listener-not-reached memory-disk-above-limit range-refuses-pods "
        "rollout-held-back service-protocol-differs shell-arguments-ignored start-deadline-too-short "
        "unknown-medium"
    ),
    SERVER: (
        "container-without-image fields-exclude-each-other invalid-address invalid-binding invalid-budget "
        "invalid-claim invalid-environment invalid-ingress invalid-job invalid-policy invalid-probe "
        "invalid-restart-policy invalid-schedule invalid-service invalid-strategy invalid-volume "
        "number-out-of-range policy-level-unknown schedule-never-comes security-contradiction "
        "spread-twice unknown-kind unknown-resource unknown-value"
    ),
    "command-in-one-word": "arguments-in-one-word",
    "data-not-on-its-volume": "claim-below-image-volume",
    "declared-name-not-found": "declared-name-not-asked",
    "edit-matches-nothing": "image-matches-nothing patch-matches-nothing replacement-matches-nothing",
    "egress-not-permitted": "outside-not-permitted",
    "field-cannot-change": (
        "changing-label-in-selector claim-cannot-change immutable-data-changes service-address-cannot-change"
    ),
    "ingress-not-permitted": "route-not-permitted",
    "invalid-name": "invalid-key invalid-label invalid-port-name",
    "missing-claim": "missing-volume",
    "missing-class": (
        "missing-ingress-class missing-priority-class missing-runtime-class missing-storage-class"
    ),
    "missing-key": "missing-configmap-key missing-secret-key mounted-key-missing",
    "missing-port": (
        "missing-service-port monitor-port-missing policy-port-name-missing probe-port-name-missing "
        "target-port-name-missing"
    ),
    "missing-role": "missing-subject",
    "missing-secret": "missing-pull-secret missing-tls-secret",
    "missing-service": "missing-governing-service",
    "module-not-in-image": "attribute-not-in-module",
    "object-too-large": "too-large-to-apply",
    "pod-security-violated": (
        "capability-not-allowed host-not-allowed kernel-setting-not-allowed privilege-not-allowed "
        "root-not-allowed seccomp-not-allowed volume-type-not-allowed"
    ),
    "port-not-served": "probe-port-not-served server-port-differs target-port-not-served",
    "program-not-in-image": "command-not-in-image",
    "replication-above-brokers": "topic-copies-above-brokers",
    "script-not-executable": "mounted-script-not-executable",
    "selects-nothing": (
        "affinity-selects-nothing budget-selects-nothing monitor-selects-nothing peer-selects-nothing "
        "policy-selects-nothing service-selects-nothing spread-selects-nothing"
    ),
    "service-link-stops-image": "service-link-stops-broker",
    "shared-setting-differs": "broker-differs collection-differs collection-model-differs",
    "variable-left-literal": "probe-variable-not-expanded variable-not-expanded",
    "variable-overridden": "variable-twice",
}
"""The rule that reports a fault now → the names under which others did."""
RETIRED = {name: now for now, names in GONE.items() for name in names.split()}
"""The name that was → the rule that reports the fault now; none where nothing does."""


def current(name: str) -> str:
    """The name under which a rule is known now; empty where nothing reports its fault any more."""
    return RETIRED.get(name, name)


def farewell(name: str, *, skipped: bool = False) -> str:
    """One line about a rule that is gone; `skipped` where its name leaves out what reports it now."""
    now = {
        NOBODY: "it was advice, or what it found shows at once",
        SERVER: f"{SERVER} (`--server`) reports it now",
    }
    all_of_it = " and is skipped, with all else that it reports" if skipped else ""
    return f"the rule {name} is gone: {now.get(RETIRED[name], f'{RETIRED[name]} reports it now{all_of_it}')}"
