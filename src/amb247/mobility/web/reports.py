"""A report as the rows that its page shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from amb247.mobility import phrases
from amb247.mobility.data import Finding, Notice

SHOWN_SAMPLES = 3


@dataclass(frozen=True)
class FindingRow:
    count: int
    reason: str
    remedy: str
    place: str
    example: str


@dataclass(frozen=True)
class NoticeRow:
    code: str
    title: str
    count: int
    samples: tuple[str, ...]


def finding_groups(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings by level, most serious first; levels without any are left out."""
    titles = {"fatal": _("Impide importar"), "rows": _("Filas rechazadas"), "note": _("Leído, con reparos")}
    found = list(findings)
    groups = [(title, [_row(one) for one in found if one.level == level]) for level, title in titles.items()]
    return [{"title": title, "rows": rows} for title, rows in groups if rows]


def _row(finding: Finding) -> FindingRow:
    reason, remedy = phrases.explain(finding)
    return FindingRow(finding.count, reason, remedy, phrases.place_of(finding), phrases.example_of(finding))


def notice_groups(notices: Sequence[Notice]) -> list[dict[str, Any]]:
    """The validator's notices by severity."""
    titles = {"ERROR": _("Errores"), "WARNING": _("Advertencias"), "INFO": _("Información")}
    groups = []
    for severity, title in titles.items():
        rows = [
            NoticeRow(
                one.code,
                phrases.notice_title(one),
                one.count,
                tuple(map(_sample, one.samples[:SHOWN_SAMPLES])),
            )
            for one in notices
            if one.severity == severity
        ]
        if rows:
            groups.append({"title": title, "total": sum(row.count for row in rows), "rows": rows})
    return groups


def _sample(sample: Mapping[str, Any]) -> str:
    return " · ".join(f"{key} {value}" for key, value in sample.items() if value not in (None, ""))[:300]


def table_rows(counts: Mapping[str, int], refused: Mapping[str, int]) -> list[dict[str, Any]]:
    """Taken and refused rows by table."""
    names = list(counts) + [name for name in refused if name not in counts]
    return [
        {"name": f"{name}.txt", "taken": counts.get(name, 0), "refused": refused.get(name, 0)}
        for name in names
    ]
