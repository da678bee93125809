"""The panel about one film: as JSON for programs, and as a piece of the page that the server writes."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from catalog.errors import ConfigError, UnknownFilmError
from keyart.web.errors import PROBLEMS
from keyart.web.html import language_headers
from keyart.web.keeping import keep_button
from keyart.web.markup import Markup, element, joined
from keyart.web.routes.films import FilmPath
from keyart.web.schemas.details import FilmDetails
from keyart.web.schemas.films import FilmQuery, Hit, SimilarPage
from keyart.web.services.details import DetailService, Points
from keyart.web.services.films import FilmService
from keyart.web.words import Words, words_for
from keyart.web.workers import WorkerPool

_N_IN_ROW = 6


def film_panel_routes(
    films: FilmService,
    details: DetailService,
    looking: WorkerPool,
    drawing: WorkerPool,
    conditional: type[APIRoute],
) -> APIRouter:
    """Create the routes; `drawing` also reads the ratings at first."""
    router = APIRouter(responses=PROBLEMS, tags=["films"])
    questions = APIRouter(route_class=conditional)

    @questions.get(
        "/api/films/{movie_id}/details", summary="One film with its tags, ratings by stars, colors and links"
    )
    async def film_details(movie_id: FilmPath) -> FilmDetails:
        """Return all that the page shows beside a film."""
        return await drawing.run(details.details, movie_id)

    @router.get("/films/{movie_id}/panel", include_in_schema=False)
    async def film_panel(request: Request, movie_id: FilmPath) -> HTMLResponse:
        film = await drawing.run(details.details, movie_id)
        rows = await looking.run(_rows_of, films, film.movie_id)
        words = words_for(request)
        content = _panel(film, rows, await drawing.run(details.dots), words)
        return HTMLResponse(content, headers=language_headers(words))

    router.include_router(questions)
    return router


class _Rows(NamedTuple):
    """The nearest films by each side; those of content only where one of the others has none."""

    looks: list[Hit]
    liked: list[Hit]
    content: list[Hit]


def _rows_of(films: FilmService, movie_id: int) -> _Rows:
    looks, liked = (_one_side(films, movie_id, alpha=alpha, content=0.0) for alpha in (1.0, 0.0))
    return _Rows(looks, liked, [] if looks and liked else _one_side(films, movie_id, alpha="auto", content=1.0))


def _one_side(films: FilmService, movie_id: int, *, alpha: float | str, content: float) -> list[Hit]:
    """Return look-alikes by one side alone; none where the film cannot be compared by it."""
    try:
        page: SimilarPage = films.similar(
            movie_id, FilmQuery.model_validate({"k": _N_IN_ROW, "alpha": alpha, "content": content})
        )
    except (ConfigError, UnknownFilmError):
        return []
    return page.results


def _panel(film: FilmDetails, rows: _Rows, dots: Points, words: Words) -> Markup:
    return joined(
        element("div", _tags(film, words), _links(film), _palette(film, words), class_="about"),
        element("div", _histogram(film, words), _place(film, dots, words), class_="charts"),
        element("div", *_written(rows, words), class_="rows"),
    )


def _written(rows: _Rows, words: Words) -> list[Markup]:
    """Write a row for each side that the film can be compared by."""
    sides = (
        (words("Looks alike"), _Side("looks", words("looks")), rows.looks),
        (words("Liked alike"), _Side("liked", words("liked")), rows.liked),
        (words("Alike by genres, tags, year"), _Side("content", words("content")), rows.content),
    )
    written = [_row(name, side, hits, words) for name, side, hits in sides if hits]
    reasons = (words("It has no poster here to compare."), words("Too few people have rated it to say."))
    return written or [element("section", element("p", " ".join(reasons)))]


class _Side(NamedTuple):
    """What films are compared by: the name of its style, and in words."""

    style: str
    name: str


def _tags(film: FilmDetails, words: Words) -> Markup:
    return (
        element("p", words.english(", ".join(film.tags)), class_="tags", title=words("Tags")) if film.tags else Markup()
    )


def _links(film: FilmDetails) -> Markup:
    named = (("TMDB", film.tmdb_url), ("IMDb", film.imdb_url))
    links = [element("a", name, href=url, rel="noreferrer") for name, url in named if url]
    return element("p", *links, class_="out") if links else Markup()


def _palette(film: FilmDetails, words: Words) -> Markup:
    """Draw the colors side by side, as wide as their shares; SVG, as the page's policy allows no styles in markup."""
    if not film.palette:
        return Markup()
    left, bars = 0.0, []
    for swatch in film.palette:
        title = element("title", f"{swatch.color}, {swatch.share:.0%}")
        bars.append(
            element("rect", title, x=f"{left:.1f}", width=f"{100 * swatch.share:.1f}", height=10, fill=swatch.color)
        )
        left += 100 * swatch.share
    label = words("Colors of the poster: {colors}", colors=", ".join(swatch.color for swatch in film.palette))
    return _drawing("0 0 100 10", label, *bars, class_="palette", preserveAspectRatio="none")


def _histogram(film: FilmDetails, words: Words) -> Markup:
    if not film.stars:
        return Markup()
    most = max(each.n_ratings for each in film.stars)
    bars = []
    for n, each in enumerate(film.stars):
        height = 40 * each.n_ratings / most
        title = element("title", words("{stars} stars: {n}", stars=f"{each.stars:g}", n=str(each.n_ratings)))
        # What is pointed at is as high as the drawing, however few ratings there are.
        column = element("rect", x=10 * n, width=10, height=40, class_="column")
        bar = element("rect", x=10 * n + 1, y=f"{40 - height:.1f}", width=8, height=f"{height:.1f}")
        bars.append(element("g", title, column, bar))
    counts = ", ".join(f"{each.stars:g}: {each.n_ratings}" for each in film.stars)
    label = words("Ratings by stars: {counts}", counts=counts)
    drawing = _drawing("0 0 100 40", label, *bars, class_="histogram")
    return element("figure", drawing, element("figcaption", words("½ to 5 stars")))


def _place(film: FilmDetails, dots: Points, words: Words) -> Markup:
    """Draw where the film lies among the films of the atlas."""
    place = film.atlas
    if place is None:
        return Markup()
    path = "".join(f"M{50 + 48 * x:.0f} {50 + 48 * y:.0f}h0" for x, y in dots)
    own = element("circle", cx=f"{50 + 48 * place.x:.1f}", cy=f"{50 + 48 * place.y:.1f}", r=4)
    drawing = _drawing("0 0 100 100", "", element("path", d=path), own, class_="place")
    label = words("{title} on the atlas", title=film.title)
    link = element("a", drawing, href=f"atlas?film={film.movie_id}", aria_label=label)
    caption = _caption(place.cluster, str(place.n_films), words)
    return element("figure", link, element("figcaption", caption))


def _caption(cluster: str, n: str, words: Words) -> Markup:
    if not cluster:
        return words.markup("a cluster of {n} films", n=n)
    return words.markup("{cluster}, {n} films", cluster=_cluster_name(cluster, words), n=n)


def _cluster_name(cluster: str, words: Words) -> Markup:
    """Write the name of a cluster: genres in the language of the page, other words in English."""
    parts = [joined(words(part)) if part in words.texts else words.english(part) for part in cluster.split(" · ")]
    return joined(parts[0], *(joined(" · ", part) for part in parts[1:]))


def _drawing(box: str, label: str, *shapes: Markup, **attributes: str) -> Markup:
    named = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    written = {"viewBox": box, **attributes, **named}
    return element("svg", *shapes, **written)


def _row(name: str, side: _Side, hits: list[Hit], words: Words) -> Markup:
    films = element("ol", *(_hit(hit, side, words) for hit in hits), role="list")
    return element("section", element("h3", name), films, aria_label=name, class_=side.style)


def _hit(hit: Hit, side: _Side, words: Words) -> Markup:
    score = {"looks": hit.visual, "liked": hit.cf, "content": hit.content}[side.style] or 0.0
    label = f"{hit.title} ({hit.year})" if hit.year else hit.title
    if hit.has_poster:
        picture = element("img", src=f"posters/{hit.movie_id}?width=160", alt="", width=160, height=240)
    else:
        title = joined(element("b", hit.title), element("i", str(hit.year or "")))
        picture = element("span", title, class_="plain", aria_hidden="true")
    meter = element("meter", min=0, max=1, value=max(0.0, score), class_=side.style, aria_label=side.name)
    frame = element("span", picture, class_="frame")
    number = element("span", f"{side.name} {score:.2f}", class_="score")
    link = element(
        "a",
        frame,
        element("span", label, class_="label"),
        href=f"?film={hit.movie_id}",
        data_film=hit.movie_id,
        title=label,
    )
    return element("li", link, keep_button(hit.movie_id, label, words), number, meter)
