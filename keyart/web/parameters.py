"""Parameters of addresses: those that a route does not take are refused, rather than left without effect."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode

from fastapi import HTTPException, Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from keyart.web.schemas.films import RENAMED


async def refuse_unknown_parameters(request: Request) -> None:
    """Answer 422 where an address has a parameter that its route does not take; all of the API depend on it."""
    known = set(_names(request.scope["route"].dependant))
    known |= {old for old, new in RENAMED.items() if new in known}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        takes = f"it takes {', '.join(sorted(known - RENAMED.keys()))}" if known else "it takes none"
        raise HTTPException(422, f"{unknown[0][:100]}: this address has no such parameter; {takes}")


class Spelling:
    """Writes the queries of one route in one way: sorted by name, without what is the default anyway."""

    def __init__(self, dependant: Dependant) -> None:
        plain = (str, int, float)
        self._defaults = {
            (name, str(field.default)) for name, field in _fields(dependant) if isinstance(field.default, plain)
        }

    def of(self, query: str) -> str:
        """Write a query; those that mean the same are mostly, and those that do not are never, written alike."""
        pairs = parse_qsl(query, keep_blank_values=True)
        if len({name for name, _ in pairs}) < len(pairs):
            # Of a name that comes twice, which one counts is for the route to say.
            return query
        return urlencode(sorted(set(pairs) - self._defaults))


def _names(dependant: Dependant) -> Iterator[str]:
    return (name for name, _ in _fields(dependant))


def _fields(dependant: Dependant) -> Iterator[tuple[str, FieldInfo]]:
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from annotation.model_fields.items()
        else:
            yield field.alias, field.field_info
