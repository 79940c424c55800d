"""Pages of the GTFS versions: list, report, upload, activate, roll back. Thin: the domain does it and audits it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amb247.mobility import api
from amb247.mobility.data import FeedSummary, GtfsReport, VersionSummary
from amb247.mobility.domain.queries import feeds as queries
from amb247.mobility.errors import NoFormerVersion
from amb247.mobility.models import GtfsFeed
from amb247.mobility.web.forms import UploadForm
from amb247.mobility.web.reports import finding_groups, notice_groups, table_rows
from amb247.territory import api as territory

VIEW, MANAGE = territory.Permission.GTFS_VIEW, territory.Permission.GTFS_MANAGE


@require_GET
def feeds(request: HttpRequest) -> HttpResponse:
    visible = _codes(request, VIEW)
    if not visible:
        raise PermissionDenied
    manageable = _codes(request, MANAGE)
    top = _metropolitan_code()
    rows = [
        {"feed": feed, "active": _active(feed), "former": _former(feed), "refusal": refusal,
         "may_manage": (feed.area_code or top) in manageable}
        for feed, refusal in queries.feeds_with_refusals()
        if (feed.area_code or top) in visible
    ]  # fmt: skip
    return render(request, "mobility/feeds.html", {"rows": rows, "may_upload": bool(manageable)})


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    manageable = _codes(request, MANAGE)
    if not manageable:
        raise PermissionDenied
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "mobility/upload.html", {"form": form}, status=status)
    given = form.cleaned_data
    area_code = _area_of_upload(given["feed"], manageable)
    with _on_disk(given["file"]) as path:
        report = api.import_gtfs(
            path, feed=given["feed"], name=given["name"], area_code=area_code, keep_good=given["keep_good"],
            activate=given["activate"], file_name=given["file"].name or "gtfs.zip", actor=request.user.pk,
            request_info=territory.request_info(request),
        )  # fmt: skip
    return _after_upload(request, report)


@require_GET
def version(request: HttpRequest, feed: str, number: int) -> HttpResponse:
    owner, summary = _found(request, feed, number, VIEW)
    active = _active(owner)
    findings, notices = queries.report_of(feed, number)
    compared = active if active is not None and active.number != number else None
    return render(request, "mobility/version.html", {
        "feed": owner, "version": summary, "active": active,
        "tables": table_rows(summary.counts, summary.refused_rows),
        "findings": finding_groups(findings), "notices": notice_groups(notices),
        "compared": compared,
        "difference": api.compare_gtfs(feed, compared.number, number) if compared else None,
        "may_manage": _may(request, MANAGE, owner.area_code),
    })  # fmt: skip


@require_http_methods(["GET", "POST"])
def activate(request: HttpRequest, feed: str, number: int) -> HttpResponse:
    owner, summary = _found(request, feed, number, MANAGE)
    if request.method == "GET":
        active = _active(owner)
        difference = (
            api.compare_gtfs(feed, active.number, number) if active and active.number != number else None
        )
        return render(
            request, "mobility/activate.html",
            {"feed": owner, "version": summary, "active": active, "difference": difference},
        )  # fmt: skip
    api.activate_gtfs(feed, number, actor=request.user.pk, request_info=territory.request_info(request))
    words = {"number": number, "feed": owner.name}
    messages.success(request, _("La versión %(number)s de %(feed)s está en servicio.") % words)
    return redirect("mobility:version", feed=feed, number=number)


@require_POST
def roll_back(request: HttpRequest, feed: str) -> HttpResponse:
    owner = queries.feed_with_versions(feed)
    if owner is None or not _may(request, VIEW, owner.area_code):
        raise Http404
    if not _may(request, MANAGE, owner.area_code):
        raise PermissionDenied
    try:
        former = api.roll_back_gtfs(feed, actor=request.user.pk, request_info=territory.request_info(request))
    except NoFormerVersion:
        messages.error(request, _("No hay una versión anterior a la cual volver."))
        return redirect("mobility:feeds")
    words = {"number": former.number, "feed": owner.name}
    messages.success(request, _("Se volvió a la versión %(number)s de %(feed)s.") % words)
    return redirect("mobility:version", feed=feed, number=former.number)


def _after_upload(request: HttpRequest, report: GtfsReport) -> HttpResponse:
    if report.is_refused or report.version is None:
        return render(request, "mobility/refused.html", {
            "report": report, "tables": table_rows(report.counts, report.refused_rows),
            "findings": finding_groups(report.findings), "notices": notice_groups(report.notices),
            "can_keep_good": report.would_keep_good,
        }, status=422)  # fmt: skip
    if report.status == "unchanged":
        messages.info(request, _("Sin cambios: el feed ya tiene una versión con este contenido."))
    else:
        messages.success(request, _("Importado como versión %(number)s.") % {"number": report.version})
    return redirect("mobility:version", feed=report.feed, number=report.version)


def _codes(request: HttpRequest, permission: str) -> set[str]:
    """Codes of the areas where the person has the permission."""
    return {area.code for area in territory.areas_visible_to(request.user, permission)}


def _metropolitan_code() -> str:
    """Feeds of no area belong to the whole metropolitan area."""
    areas = territory.areas(territory.Level.METROPOLITAN_AREA)
    return areas[0].code if areas else ""


def _may(request: HttpRequest, permission: str, area_code: str) -> bool:
    return territory.can(request.user, permission, area_code or _metropolitan_code())


def _found(
    request: HttpRequest, feed: str, number: int, permission: str
) -> tuple[FeedSummary, VersionSummary]:
    """The version, or 404 for who may not even see it, 403 for who may see but not do."""
    owner = queries.feed_with_versions(feed)
    if owner is None or not _may(request, VIEW, owner.area_code):
        raise Http404
    if not _may(request, permission, owner.area_code):
        raise PermissionDenied
    found = next((one for one in owner.versions if one.number == number), None)
    if found is None:
        raise Http404
    return owner, found


def _active(feed: FeedSummary) -> VersionSummary | None:
    return next((one for one in feed.versions if one.state == "active"), None)


def _former(feed: FeedSummary) -> VersionSummary | None:
    """Where rolling back leads to."""
    retired = [one for one in feed.versions if one.retired_at is not None and one.state == "retired"]
    return max(retired, key=lambda one: (one.retired_at, one.number), default=None)


def _area_of_upload(feed: str, manageable: set[str]) -> str:
    """A known feed keeps its area, and must be the person's to manage; a new one gets the widest area they manage."""
    top = _metropolitan_code()
    known = GtfsFeed.objects.filter(slug=feed).values_list("area_code", flat=True).first()
    if known is not None:
        if (known or top) not in manageable:
            raise PermissionDenied
        return known
    return "" if top in manageable else min(manageable, key=lambda code: (len(code), code))


@contextmanager
def _on_disk(file: UploadedFile) -> Iterator[Path]:
    """The upload as a file with a name that ends in .zip."""
    if isinstance(file, TemporaryUploadedFile):
        yield Path(file.temporary_file_path())
        return
    handle, name = tempfile.mkstemp(prefix="amb-upload-", suffix=".zip")
    try:
        with os.fdopen(handle, "wb") as target:
            for chunk in file.chunks():
                target.write(chunk)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
