"""The smallest request that still shows a fault."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .documents import places
from .wire import Request


def smallest(request: Request, is_faulty: Callable[[Request], bool], *, limit_s: float = 6.0) -> Request:
    """Drop headers, parameters and parts of the body as long as the fault stays."""
    end = time.monotonic() + limit_s
    is_smaller = True
    while is_smaller and time.monotonic() < end:
        is_smaller = False
        for candidate in _smaller(request):
            if time.monotonic() > end:
                break
            if is_faulty(candidate):
                request, is_smaller = candidate, True
                break
    return request


def _smaller(request: Request) -> Iterator[Request]:
    for number in range(len(request.headers)):
        yield replace(request, headers=request.headers[:number] + request.headers[number + 1 :])
    path, _, query = request.target.partition(b"?")
    asked = query.split(b"&") if query else []
    for number in range(len(asked)):
        left = b"&".join(asked[:number] + asked[number + 1 :])
        yield replace(request, target=path + (b"?" + left if left else b""))
    for number, one in enumerate(asked):
        name, _, value = one.partition(b"=")
        if len(value) > 40:
            for shorter in (value[: len(value) // 2], value[len(value) // 2 :]):
                yield replace(
                    request,
                    target=path
                    + b"?"
                    + b"&".join([*asked[:number], name + b"=" + shorter, *asked[number + 1 :]]),
                )
    if request.body:
        for body in _smaller_bodies(request.body):
            yield replace(request, body=body)


def _smaller_bodies(body: bytes) -> Iterator[bytes]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        for size in (len(body) // 2, len(body) // 4, 16):
            if 0 < size < len(body):
                yield body[size:]
                yield body[:-size]
        return
    if len(json.dumps(document)) > 200_000:
        return
    for path in places(document)[1:]:
        yield _bytes(_without(document, path))


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def _without(document: Any, path: tuple[Any, ...]) -> Any:
    step, *rest = path
    if isinstance(document, dict):
        if not rest:
            return {key: part for key, part in document.items() if key != step}
        return {key: _without(part, tuple(rest)) if key == step else part for key, part in document.items()}
    if not rest:
        return document[:step] + document[step + 1 :]
    return [_without(part, tuple(rest)) if number == step else part for number, part in enumerate(document)]
