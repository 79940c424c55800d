"""What a person does to subscriptions and contexts: one page that asks, one request that does it, one line in the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise

from amb247.context.ngsi_errors import NgsiError, ResourceNotFound
from amb247.context.web.guards import Reader
from amb247.territory import api as territory

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that can be done to a thing.

    Attributes
    ----------
    verb : str
        For the audit log.
    do : callable
        Takes the thing's id and the request's form; gives the words that say what was done.
    """

    verb: str
    title: Text
    question: Text
    button: Text
    do: Callable[[str, Mapping[str, Any]], str]


def ask_or_do(
    request: HttpRequest,
    reader: Reader,
    deed: Deed | None,
    *,
    thing: str,
    shown: str,
    back: str,
    after: str,
) -> HttpResponse:
    """GET asks, POST does it and leads on.

    Parameters
    ----------
    thing : str
        Its id, for the deed and the log.
    shown : str
        What people call it.
    back, after : str
        Addresses: to leave it be, and where to go when it is done.

    Raises
    ------
    PermissionDenied
        Only who manages the feeds of the whole territory may.
    """
    if not reader.may_manage:
        raise PermissionDenied
    if deed is None:
        raise Http404
    error = ""
    if request.method == "POST":
        try:
            with transaction.atomic():
                said = deed.do(thing, request.POST)
                territory.audit(
                    reader.user, deed.verb, thing[:300], request_info=territory.request_info(request)
                )
        except ResourceNotFound as problem:
            raise Http404 from problem
        except NgsiError as problem:
            error = problem.detail
        else:
            messages.success(request, said)
            return redirect(after)
    return render(
        request,
        "context/confirm.html",
        {
            "reader": reader,
            "deed": deed,
            "thing": thing,
            "shown": shown,
            "back": back,
            "error": error,
            "kept": {name: request.GET[name] for name in ("carta",) if name in request.GET},
        },
        status=422 if error else 200,
    )
