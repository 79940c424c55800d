"""The audit log: filtered, paged by id, out as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from amb247.territory import api
from amb247.territory.data import AuditLine
from amb247.territory.domain import audit
from amb247.territory.enums import Channel, Permission
from amb247.territory.web.forms import AuditForm
from amb247.territory.web.guards import needs, reach, signed_in

PAGE = 50
MOST_ROWS = 100_000
COLUMNS = (
    "id",
    "at",
    "actor",
    "verb",
    "object_urn",
    "area_code",
    "channel",
    "ip",
    "user_agent",
    "details",
    "before",
    "after",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@require_safe
@needs(Permission.AUDIT_VIEW)
def index(request: HttpRequest) -> HttpResponse:
    form = AuditForm(request.GET)
    before = request.GET.get("antes", "")
    before_id = int(before) if before.isdecimal() and len(before) < 19 else None
    lines = audit.lines_for(signed_in(request), form.wanted(), before_id=before_id, limit=PAGE + 1)
    query = request.GET.copy()
    query.pop("antes", None)
    context = {
        "form": form,
        "rows": [_row(line) for line in lines[:PAGE]],
        "older": lines[PAGE - 1].id if len(lines) > PAGE else None,
        "is_first": before_id is None,
        "query": query.urlencode(),
        "reach": reach(request),
    }
    return render(request, "territory/audit.html", context)


def _row(line: AuditLine) -> dict[str, Any]:
    changes = {
        name: value for name, value in ((_("antes"), line.before), (_("después"), line.after)) if value
    }
    return {
        "line": line,
        "channel": Channel(line.channel).label,
        "what": json.dumps({**line.details, **changes}, ensure_ascii=False)
        if line.details or changes
        else "",
    }


@require_safe
@needs(Permission.AUDIT_VIEW)
def export(request: HttpRequest) -> StreamingHttpResponse:
    """At most 100,000 lines, newest first; taking them away is itself audited."""
    user = signed_in(request)
    wanted = AuditForm(request.GET).wanted()
    details = {name: str(value) for name, value in request.GET.items()}
    api.audit(user, "audit.export", "", details=details, request_info=api.request_info(request))
    lines = audit.all_lines_for(user, wanted, limit=MOST_ROWS)
    response = StreamingHttpResponse(_csv(lines), content_type="text/csv; charset=utf-8")
    day = timezone.localdate().isoformat()
    response["Content-Disposition"] = f'attachment; filename="bitacora-{day}.csv"'
    return response


class _Echo:
    """A file for `csv.writer` that gives back what is written."""

    def write(self, text: str) -> str:
        return text


def _csv(lines: Iterator[AuditLine]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(COLUMNS)  # the mark makes spreadsheets read UTF-8
    for line in lines:
        yield writer.writerow([_cell(getattr(line, column)) for column in COLUMNS])


def _cell(value: Any) -> str:
    """Text that a spreadsheet will not take for a formula: a user agent is whatever the sender liked."""
    if value is None:
        return ""
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
