"""What the service of films answers while its parts are of different moments."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from catalog.errors import DataError, UnknownFilmError
from catalog.films import Catalog
from keyart.similarity.content import ContentSimilarity
from keyart.similarity.query import Image
from keyart.web.schemas.films import FilmQuery, NewFilmRecord
from keyart.web.services import films
from keyart.web.services.films import FilmService
from posters.database import Origin, Source, State
from posters.store import PosterStore
from posters.validation import ImageFacts
from tests.posters.pictures import draw_blank, draw_poster

_IMPORTED = Origin(Source.IMPORT)
# Between them, a film of the catalog is hardly ever the first one drawn.
_STRANGERS = range(1000, 1100)


@pytest.fixture
def service(home: Path) -> Iterator[FilmService]:
    opened = FilmService.open(home)
    yield opened
    opened.close()


def _put_posters_of_strangers(home: Path) -> None:
    content = draw_poster(9)
    with PosterStore.open(home / "posters") as store, store.writer_lock(), store.transaction():
        for movie_id in _STRANGERS:
            store.put(movie_id, content, _IMPORTED)


def test_a_random_film_is_one_of_the_catalog(home: Path, service: FilmService) -> None:
    _put_posters_of_strangers(home)
    service.thumbnails.refresh()
    drawn = {service.random_film().movie_id for _ in range(60)}
    assert drawn <= {1, 2, 3, 5, 6}
    assert len(drawn) > 1


def test_no_random_film_is_found_where_only_strangers_have_posters(home: Path, service: FilmService) -> None:
    _put_posters_of_strangers(home)
    with PosterStore.open(home / "posters") as store, store.writer_lock():
        for movie_id in (1, 2, 3, 5, 6):
            store.mark(movie_id, State.NO_POSTER, "none")
    service.thumbnails.refresh()
    with pytest.raises(UnknownFilmError, match="no film has a poster; run `keyart"):
        service.random_film()


def test_an_upload_is_decoded_once_unless_it_may_be_no_poster(
    service: FilmService, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[bytes] = []
    verify = films.verify_image

    def counted(content: bytes) -> ImageFacts:
        verified.append(content)
        return verify(content)

    monkeypatch.setattr(films, "verify_image", counted)
    for image_format in ("JPEG", "PNG", "WEBP"):
        decoded = service.decode(draw_poster(3, image_format))
        assert verified == []
        assert decoded.pixels().tobytes() == Image(draw_poster(3, image_format)).pixels().tobytes()
    for content, reason in ((draw_blank(), "one color"), (draw_poster(3)[:1500], "cut off"), (b"", "empty file")):
        with pytest.raises(DataError, match=reason):
            service.decode(content)
    assert len(verified) == 2


def test_an_added_film_is_returned_though_the_engine_cannot_be_reopened(tastes_home: Path) -> None:
    service = FilmService.open(tastes_home)
    try:
        (tastes_home / "hybrid.json").write_text("{")
        added = service.add(draw_poster(77), NewFilmRecord(title="Brand New", year=2020))
    finally:
        service.close()
    assert added.new
    assert (added.film.title, added.film.has_poster) == ("Brand New", True)


def test_nobody_waits_for_what_a_reopened_engine_reads(tastes_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[str] = []
    of = ContentSimilarity.of

    def recorded(catalog: Catalog) -> ContentSimilarity:
        readers.append(threading.current_thread().name)
        return of(catalog)

    monkeypatch.setattr(ContentSimilarity, "of", recorded)
    service = FilmService.open(tastes_home)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="asks") as asking:
            asking.submit(service.similar, 1, FilmQuery()).result()
            assert readers == ["asks_0"]
            for n in (1, 2):
                service.add(draw_poster(70 + n), NewFilmRecord(title=f"Brand New {n}", year=2020))
                page = asking.submit(service.similar, f"Brand New {n}", FilmQuery(k=40)).result()
                assert "content" in page.sides
        assert readers.count("asks_0") == 1
        assert len(readers) >= 3
    finally:
        service.close()
