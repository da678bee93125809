"""The page on which a browser shows the token, in place of the error that programs get."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.types import Receive

from keyart.web.html import filled_in, wants_page

PUBLIC_FILES = frozenset({"/static/page.css", "/static/icon.svg"})
"""What the page needs, which is answered without a token."""

_FORM = "application/x-www-form-urlencoded"
_MAX_BYTES, _TIMEOUT_S = 4096, 10.0


def is_sign_in(request: Request) -> bool:
    """Return whether a request sends the form of the page; curl sends images as forms, but wants no page."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return request.method == "POST" and kind == _FORM and wants_page(request)


def sign_in_page(
    request: Request, root_path: str, status: int, problem: str, headers: Mapping[str, str]
) -> HTMLResponse:
    """Show the form, which is sent to the address that was asked for; `problem` says why the last token was refused."""
    # Without a referrer, a form would not name the origin that it comes from.
    named = {"Referrer-Policy": "same-origin", **headers}
    return filled_in(request, "sign-in.html", status, named, root=root_path, problem=problem)


async def read_form_token(receive: Receive) -> str:
    """Read the token of a form; nothing where the form is larger, slower or otherwise than that of the page."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            body = await _read(receive)
        return parse_qs(body.decode("ascii", "replace"), max_num_fields=4).get("token", [""])[0].strip()
    except (TimeoutError, ValueError):
        return ""


async def _read(receive: Receive) -> bytes:
    body, is_whole = b"", False
    while not is_whole:
        message = await receive()
        body += message.get("body", b"")
        is_whole = not message.get("more_body", False)
        if len(body) > _MAX_BYTES:
            raise ValueError("the form is too large")
    return body
