"""Links from one page of a list to the next."""

from __future__ import annotations

from fastapi import Request


def next_link(request: Request, offset: int) -> dict[str, str]:
    """Return the header that leads to the page of the same list that begins at an offset (RFC 8288)."""
    return {"Link": f'<?{request.url.include_query_params(offset=offset).query}>; rel="next"'}
