"""Conditional requests: whether a client has an answer already."""

from __future__ import annotations

from fastapi import Request


def is_unchanged(request: Request, etag: str) -> bool:
    """Return whether a client has what an entity tag names, also in compressed form (RFC 9110, section 13.1.2)."""
    shown = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    return "*" in shown or etag in (one.removeprefix("W/") for one in shown)
