"""The report of an import as JSON in its version's row, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from amb247.mobility.data import Finding, Notice, Sample


def as_json(findings: Iterable[Finding], notices: Iterable[Notice]) -> dict[str, list[dict[str, Any]]]:
    return {
        "findings": [asdict(finding) for finding in findings],
        "notices": [
            {
                "code": one.code,
                "severity": one.severity,
                "count": one.count,
                "samples": [dict(s) for s in one.samples],
            }
            for one in notices
        ],
    }


def findings_from(report: Mapping[str, Any]) -> tuple[Finding, ...]:
    return tuple(
        Finding(**{**found, "samples": tuple(Sample(**sample) for sample in found["samples"])})
        for found in report.get("findings", ())
    )


def notices_from(report: Mapping[str, Any]) -> tuple[Notice, ...]:
    return tuple(Notice(**{**one, "samples": tuple(one["samples"])}) for one in report.get("notices", ()))
