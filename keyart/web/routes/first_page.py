"""The page of look-alikes; without a question it begins with what can be asked, filled in by the server."""

from __future__ import annotations

import hashlib
from pathlib import Path
from string import Template

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from catalog.film import Film
from keyart.web.conditional import is_unchanged
from keyart.web.markup import Markup, element, joined
from keyart.web.services.films import FilmService
from keyart.web.workers import WorkerPool

_PAGE = Path(__file__).parents[1] / "static" / "index.html"
_QUESTIONS = ("film", "text", "like")
# Twelve columns by four rows on a wide screen.
_N_POSTERS = 48
# So many are in the first screen of a phone; the others are fetched as far as they are scrolled to.
_N_AT_ONCE = 12
_DESCRIPTION = "a face in the dark"


def add_first_page(app: FastAPI, service: FilmService, pool: WorkerPool) -> None:
    """Add the page of look-alikes, at the address of the server itself."""

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        is_first = not any(name in request.query_params for name in _QUESTIONS)
        content = await pool.run(_first_page, service) if is_first else _page(Markup())
        headers = {"ETag": f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'}
        if is_unchanged(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return HTMLResponse(content, headers=headers)


def _first_page(service: FilmService) -> str:
    return _page(_first(service.well_known(_N_POSTERS), takes_text=service.is_known_to_take_text()))


def _page(first: Markup) -> str:
    # Until the script is there, words say that something comes.
    state, status = (' class="first"', "") if first else ("", "Looking for films that look alike …")
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(state=state, status=status, first=first)


def _first(films: list[Film], *, takes_text: bool) -> Markup:
    """Write what the page begins with: what it is for, where to drop a picture, examples, and a wall of posters."""
    words = ", a few words" if takes_text else ""
    return element(
        "section",
        element(
            "div",
            element("h2", "Find films by the look of their posters", id="first-name"),
            element(
                "p", f"Start from a film, a picture{words} or several films at once, and see which posters look like "
                "it, and which films the same people like."
            ),
            element(
                "label",
                element("strong", "Drop a picture here"),
                element("span", "a poster, a photo of one, any image; or choose a file, or paste one"),
                for_="picture",
                class_="drop",
            ),
            class_="hero",
        ),
        element("ul", *_examples(films, takes_text=takes_text), id="examples", role="list", aria_label="Examples"),
        element("ol", *map(_poster, range(len(films)), films), id="wall", role="list", aria_label="Well-known films"),
        id="first",
        aria_labelledby="first-name",
    )  # fmt: skip


def _poster(rank: int, film: Film) -> Markup:
    link = element("a", _image(film, film.label, at_once=rank < _N_AT_ONCE), href=f"?film={film.movie_id}")
    return element("li", link, title=film.label)


def _image(film: Film, alt: str, *, at_once: bool = True) -> Markup:
    address = f"posters/{film.movie_id}?width=160"
    return element("img", src=address, alt=alt, width=160, height=240, loading="eager" if at_once else "lazy")


def _examples(films: list[Film], *, takes_text: bool) -> list[Markup]:
    """Write links to three kinds of questions, as far as there are films for them."""
    if len(films) < 5:
        return []
    one, first, second, liked, avoided = films[:5]
    examples = [
        _example(f"?film={one.movie_id}", "Looks like ", one),
        _example(f"?film={first.movie_id}&like={second.movie_id}", "Between two: ", first, " and ", second),
    ]
    if takes_text:
        address = f"?text={_DESCRIPTION.replace(' ', '+')}"
        return [*examples, _example(address, f"Described in words: “{_DESCRIPTION}”")]
    address = f"?film={liked.movie_id}&unlike={avoided.movie_id}"
    return [*examples, _example(address, "Like ", liked, ", but not like ", avoided)]


def _example(address: str, *parts: str | Film) -> Markup:
    images = [_image(part, "") for part in parts if isinstance(part, Film)]
    words = [element("b", part.title) if isinstance(part, Film) else part for part in parts]
    return element("li", element("a", *images, element("span", joined(*words)), href=address))
