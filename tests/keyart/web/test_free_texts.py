"""Free texts of the API with control or invisible characters are refused, or cleaned where they are only looked up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import BaseModel, ValidationError

from keyart.web.schemas.films import FilmsQuery, ImageMixQuery, NewFilmRecord

HOSTILE = ["a\x9b31mb", "Dr\u202eama", "a\u200bb"]
# What they are given is only looked up, or shown as the name of a file.
CLEANED = {"query", "name"}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    ("schema", "others", "fields"),
    [
        (NewFilmRecord, {"title": "A"}, ("director", "cast", "keyword", "genre")),
        (FilmsQuery, {"films": [6]}, ("genre",)),
        (ImageMixQuery, {}, ("text", "unlike_text", "genre")),
    ],
)
def test_lists_of_texts_are_refused(
    schema: type[BaseModel], others: dict[str, Any], fields: tuple[str, ...], text: str
) -> None:
    for field in fields:
        with pytest.raises(ValidationError, match=rf"{field}\.0\n.*without control or invisible characters"):
            schema(**others, **{field: [text]})


def _texts(schema: dict[str, Any]) -> bool:
    """Return whether a parameter takes any text."""
    kinds = [schema, schema.get("items", {}), *schema.get("anyOf", [])]
    return any(kind.get("type") == "string" and "enum" not in kind and "const" not in kind for kind in kinds)


def _parameters(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield method, path and name of the parameters in addresses that take any text."""
    for path, operations in document["paths"].items():
        for method in {"get", "post"} & set(operations):
            for parameter in operations[method].get("parameters", []):
                if parameter["in"] == "query" and _texts(parameter["schema"]):
                    yield method, path, parameter["name"]


@pytest.mark.parametrize("text", HOSTILE)
def test_parameters_of_every_address_are_refused_by_name_or_cleaned(address: str, text: str) -> None:
    found = set(_parameters(requests.get(f"{address}/openapi.json", timeout=60).json()))
    assert {"genre", "text", "director", "encoder", "query"} <= {name for _, _, name in found}
    for method, path, name in sorted(found):
        url = address + path.replace("{movie_id}", "1").replace("{user_id}", "1").replace("{other}", "2")
        answer = requests.request(method, url, params={name: text, "title": "A"} | {name: text}, timeout=60)
        if name in CLEANED:
            assert text not in answer.text
        else:
            assert answer.status_code in (400, 422), (path, name, answer.text)
            assert name in answer.json()["detail"], (path, name, answer.text)
