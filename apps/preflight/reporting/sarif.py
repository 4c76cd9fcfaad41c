"""SARIF 2.1.0, as code scanning reads it: rules with their documentation, results with their true line."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import msgspec

from preflight.findings import Finding
from preflight.reporting.excerpts import Sources
from preflight.reporting.report import Report
from preflight.reporting.summary import subject
from preflight.rules.registry import Rule, rules

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(report: Report) -> str:
    """One run; every rule that was found is described in it."""
    from importlib import metadata  # slow to import

    found = {finding.rule for finding in report.findings}
    described = [rule for rule in rules() if rule.id in found]
    index = {rule.id: number for number, rule in enumerate(described)}
    sources = Sources(report.root, report.mask)
    run = {
        "tool": {
            "driver": {
                "name": "preflight",
                "semanticVersion": metadata.version("vhm-preflight"),
                "rules": [_rule(rule) for rule in described],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the repository."}}},
        "results": [_result(finding, index, sources) for finding in report.findings],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode() + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.doc},
        "help": {"text": rule.doc},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": [rule.family], "outcome": rule.outcome},
    }


def _result(finding: Finding, index: dict[str, int], sources: Sources) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": max(finding.line, 1)}
    excerpt = sources.excerpt(finding)
    if excerpt is not None:
        region |= {"startColumn": excerpt.start + 1, "endColumn": excerpt.end + 1}
    artifact = {"uri": quote("stdin" if finding.file == "-" else finding.file), "uriBaseId": "SRCROOT"}
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": finding.severity,
        "message": {"text": f"{finding.message} ({subject(finding)}: {finding.outcome}). Fix: {finding.fix}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": artifact, "region": region},
                "logicalLocations": [
                    {
                        "name": finding.object,
                        "fullyQualifiedName": f"{finding.object}/{finding.field}",
                        "kind": "resource",
                    }
                ],
            }
        ],
        "partialFingerprints": {"preflight/v1": fingerprint(finding)},
    }
    if finding.rule in index:
        result["ruleIndex"] = index[finding.rule]
    return result


def fingerprint(finding: Finding) -> str:
    """The same for a finding whose line moved."""
    container = finding.container or ""
    parts = (finding.rule, finding.file, finding.object, container, finding.field, finding.message)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
