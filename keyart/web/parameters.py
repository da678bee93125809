"""Parameters of addresses: those that a route does not take are refused, rather than left without effect."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import HTTPException, Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from keyart.web.schemas.films import RENAMED


async def refuse_unknown_parameters(request: Request) -> None:
    """Answer 422 where an address has a parameter that its route does not take; all of the API depend on it."""
    known = set(_names(request.scope["route"].dependant))
    known |= {old for old, new in RENAMED.items() if new in known}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        takes = f"it takes {', '.join(sorted(known - RENAMED.keys()))}" if known else "it takes none"
        raise HTTPException(422, f"{unknown[0][:100]}: this address has no such parameter; {takes}")


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from annotation.model_fields
        else:
            yield field.alias
