"""Errors as problem details: ``application/problem+json``, with type, title, status and detail (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from catalog.errors import ConfigError, FetchError, KeyartError, NotBuiltError, QueryError, StoreError, UnknownFilmError
from features.store import OtherFeaturesError
from keyart.web.html import filled_in, path_below, wants_page
from keyart.web.schemas.films import Problem
from keyart.web.words import words_for
from keyart.workspace.api_keys import redact
from keyart.workspace.hints import complete, home_option

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_STATUS = (
    (UnknownFilmError, 404),
    (NotBuiltError, 409),
    (OtherFeaturesError, 409),
    (ConfigError, 400),
    (FetchError, 502),
    (QueryError, 422),
)


def _described(status: int) -> dict[str, Any]:
    example = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": _EXAMPLES[status]}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema(), "example": example}},
    }


_EXAMPLES = {
    400: "no film has the genre 'Westen'; did you mean Western?",
    401: "expected the token as `Authorization: Bearer …`",
    403: "this server adds no films; start it without --read-only",
    404: "no film has the movie_id 99",
    409: "no index of posters here yet; run `keyart extract`, then `keyart build`",
    408: "expected the whole body within 30 s",
    413: "expected an image of at most 10 MiB",
    422: "k: Input should be greater than or equal to 1",
    429: "too many wrong tokens came from this address; ask again in 2 s",
    500: "something unexpected went wrong; the server's log says what",
    503: "the server is busy; ask again in a second",
    504: "this took longer than 15 s",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {status: _described(status) for status in _EXAMPLES}
"""The errors of all routes, for OpenAPI."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Create the response for an error; its detail says what was expected, what was received and what to do.

    References
    ----------
    M. Nottingham, E. Wilde, S. Dalal, "Problem Details for HTTP APIs", RFC 9457, 2023.
    """
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def add_problems(app: FastAPI, home: Path) -> None:
    """Register handlers that answer every error with problem details; commands in them name the workspace."""

    async def keyart_problem(request: Request, error: Exception) -> Response:
        return _answered(request, _http_error(error, home_option(home)))

    app.add_exception_handler(KeyartError, keyart_problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)


def problem_of(error: KeyartError, home: Path) -> Problem:
    """Describe the error of one part of a request whose other parts are answered."""
    status = _status_of(error)
    detail = redact(complete(str(error), home_option(home)))
    return Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)


def _status_of(error: Exception) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _http_error(error: Exception, option: str) -> HTTPException:
    status = _status_of(error)
    if isinstance(error, StoreError):
        _log.error("%s", redact(str(error)))
        detail = "the workspace cannot be read or written just now; the server's log says why"
        return HTTPException(503, detail, {"Retry-After": "10"})
    if status == 500:
        # Its message names paths of this machine, which are the operator's business.
        _log.error("%s", redact(str(error)))
        return HTTPException(500, "a part of the workspace cannot be read; the server's log says which")
    return HTTPException(status, redact(complete(str(error), option)))


async def _http_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        methods = ", ".join(sorted(_methods(request)))
        return problem(405, f"expected {methods} here, received {request.method[:20]}", {"Allow": methods})
    return _answered(request, error)


def _answered(request: Request, error: HTTPException) -> Response:
    if wants_page(request) and not path_below(request).startswith("/api/"):
        return _error_page(request, error)
    return problem(error.status_code, str(error.detail), error.headers)


def _error_page(request: Request, error: HTTPException) -> Response:
    """Answer a person; the words of a missing address are not those of a missing film."""
    words, title, detail = words_for(request), HTTPStatus(error.status_code).phrase, str(error.detail)
    if detail == title:
        title, detail = words("Not Found"), words("There is no page at this address.")
    else:
        detail = words.english(f"{detail[:1].upper()}{detail[1:]}.")
    root = str(request.scope.get("root_path", ""))
    return filled_in(request, "error.html", error.status_code, error.headers, root=root, title=title, detail=detail)


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes at the path of a request; Starlette names those of the first one only."""

    def is_answered(method: str) -> bool:
        # `HeadMiddleware` answers HEAD as GET.
        scope = {**request.scope, "method": "GET" if method == "HEAD" else method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    # `HeadMiddleware` answers HEAD as GET.
    return {
        method for method in ("DELETE", "GET", "HEAD", "POST") if is_answered("GET" if method == "HEAD" else method)
    }


async def _validation_problem(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return problem(422, "; ".join(map(_fault, error.errors())))


def _fault(fault: Mapping[str, Any]) -> str:
    """Describe what is wrong with a parameter, or with how several go together, which has no name."""
    name = ".".join(map(str, fault["loc"][1:]))
    message = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else fault["msg"]
    return f"{name}: {message}" if name else message
