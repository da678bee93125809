"""Pages that the server fills in: for people whose browser would show them the answer to a program."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template

from fastapi import Request
from fastapi.responses import HTMLResponse

_STATIC = Path(__file__).parent / "static"


def wants_page(request: Request) -> bool:
    """Return whether a person waits for an answer: a browser that goes to an address, not a program or a script."""
    return "text/html" in request.headers.get("accept", "")


def path_below(request: Request) -> str:
    """Return the path of a request below the prefix of all addresses."""
    return request.url.path.removeprefix(str(request.scope.get("root_path", "")))


def filled_in(name: str, status: int, headers: Mapping[str, str] | None = None, **values: str) -> HTMLResponse:
    """Fill a page in with texts, which are escaped; it is for this request alone."""
    template = Template((_STATIC / name).read_text(encoding="utf-8"))
    content = template.substitute({key: escape(value) for key, value in values.items()})
    return HTMLResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})
