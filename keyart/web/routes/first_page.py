"""The page of look-alikes; without a question it begins with what can be asked, filled in by the server."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI, Request, Response

from catalog.film import Film
from keyart.web.html import answer
from keyart.web.html import page as filled
from keyart.web.keeping import keep_button
from keyart.web.markup import Markup, element, joined
from keyart.web.schemas.films import GenreFacts
from keyart.web.services.films import FilmService
from keyart.web.words import Words, words_for
from keyart.web.workers import WorkerPool

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
        is_first, words = not any(map(request.query_params.get, _QUESTIONS)), words_for(request)
        genre = request.query_params.get("wall")
        first = await pool.run(_first_of, service, words, genre) if is_first else Markup()
        content = _page(first, words, request.url.query)
        return answer(request, content, words)


def _first_of(service: FilmService, words: Words, genre: str | None) -> Markup:
    if genre and genre in service.genres():
        return _first_of_genre(service.genre(genre), service.best_of_genre(genre, _N_POSTERS), words)
    notice = words("There is no genre “{genre}” here.", genre=genre) if genre else ""
    return _first(service.well_known(_N_POSTERS), words, notice, takes_text=service.is_known_to_take_text())


def _page(first: Markup, words: Words, query: str) -> str:
    # Until the script is there, words say that something comes.
    state, status = (' class="first"', "") if first else ("", words("Looking for films that look alike …"))
    return filled("index.html", words, query, state=Markup(state), status=status, first=first)


def _first(films: list[Film], words: Words, notice: str = "", *, takes_text: bool) -> Markup:
    """Write what the page begins with: what it is for, where to drop a picture, examples, and a wall of posters."""
    return element(
        "section",
        element("p", notice) if notice else "",
        element(
            "div",
            element("h2", words("Find films by the look of their posters"), id="first-name"),
            element("p", _introduction(words, takes_text=takes_text)),
            element(
                "label",
                element("strong", words("Drop a picture here")),
                element("span", words("a poster, a photo of one, any image; or choose a file, or paste one")),
                for_="picture",
                class_="drop",
            ),
            class_="hero",
        ),
        _list(_examples(films, words, takes_text=takes_text), "ul", id="examples", aria_label=words("Examples")),
        _wall(joined(*(_poster(rank, film, words) for rank, film in enumerate(films))), words),
        id="first",
        tabindex=-1,
        aria_labelledby="first-name",
    )


def _first_of_genre(genre: GenreFacts, films: list[tuple[Film, bool]], words: Words) -> Markup:
    heading = element("h2", words("Well-known films: {genre}", genre=words(genre.name)), id="first-name")
    n = words(
        "{n} of {all} films of this genre: those with a poster first, then by how many ratings they have.",
        n=str(len(films)),
        all=str(genre.n_films),
    )
    cards = (_titled(rank, film, words, has_poster=has) for rank, (film, has) in enumerate(films))
    wall = _wall(joined(*cards), words)
    return element("section", heading, element("p", n), wall, id="first", aria_labelledby="first-name")


def _introduction(words: Words, *, takes_text: bool) -> str:
    if takes_text:
        return words(
            "Start from a film, a picture, a few words or several films at once, and see which posters look like it, "
            "and which films the same people like."
        )
    return words(
        "Start from a film, a picture or several films at once, and see which posters look like it, and which films "
        "the same people like."
    )


def _list(items: Iterable[Markup], kind: str, **attributes: str) -> Markup:
    return element(kind, *items, role="list", **attributes)


def _wall(items: Markup, words: Words) -> Markup:
    return _list([items], "ol", id="wall", aria_label=words("Well-known films"))


def _poster(rank: int, film: Film, words: Words) -> Markup:
    return _item(film, words, _image(film, film.label, at_once=rank < _N_AT_ONCE))


def _titled(rank: int, film: Film, words: Words, *, has_poster: bool) -> Markup:
    # A title that is shown is not said twice.
    picture = _image(film, "", at_once=rank < _N_AT_ONCE) if has_poster else _plain(film)
    return _item(film, words, picture, element("span", film.label))


def _plain(film: Film) -> Markup:
    title = joined(element("b", film.title), element("i", str(film.year or "")))
    return element("div", element("div", title, class_="plain", aria_hidden="true"), class_="frame")


def _item(film: Film, words: Words, *shown: Markup) -> Markup:
    link = element("a", *shown, href=f"?film={film.movie_id}")
    return element("li", link, keep_button(film.movie_id, film.label, words), title=film.label)


def _image(film: Film, alt: str, *, at_once: bool = True) -> Markup:
    address = f"posters/{film.movie_id}?width=160"
    return element("img", src=address, alt=alt, width=160, height=240, loading="eager" if at_once else "lazy")


def _examples(films: list[Film], words: Words, *, takes_text: bool) -> list[Markup]:
    """Write links to three kinds of questions, as far as there are films for them."""
    if len(films) < 5:
        return []
    one, first, second, liked, avoided = films[:5]
    examples = [
        _example(f"?film={one.movie_id}", words.markup("Looks like {film}", film=_named(one)), one),
        _example(
            f"?film={first.movie_id}&like={second.movie_id}",
            words.markup("Between two: {film} and {other}", film=_named(first), other=_named(second)),
            first,
            second,
        ),
    ]
    if takes_text:
        # The words that a network takes are English.
        caption = words.markup("Described in words: “{text}”", text=words.english(_DESCRIPTION))
        return [*examples, _example(f"?text={_DESCRIPTION.replace(' ', '+')}", caption)]
    caption = words.markup("Like {film}, but not like {other}", film=_named(liked), other=_named(avoided))
    return [*examples, _example(f"?film={liked.movie_id}&unlike={avoided.movie_id}", caption, liked, avoided)]


def _named(film: Film) -> Markup:
    return element("b", film.title)


def _example(address: str, caption: Markup, *films: Film) -> Markup:
    images = [_image(film, "") for film in films]
    return element("li", element("a", *images, element("span", caption), href=address))
