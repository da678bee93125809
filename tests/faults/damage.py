"""Damage the files of a small workspace, one by one, and compare all answers with those of the whole one."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from zipfile import BadZipFile

import numpy as np

import keyart
from catalog.errors import KeyartError
from features.options import ExtractOptions
from index.options import IndexOptions
from keyart import pipeline
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.pipeline.status import read_status
from keyart.recommend.analysis import best_rated
from keyart.web.services.atlas import AtlasService
from keyart.web.services.thumbnails import Thumbnails
from keyart.workspace.layout import Workspace
from tests.damage import flipped
from tests.faults.small_workspace import N_FILMS, make_workspace, save_network
from tests.keyart.pipeline.test_alternates import put_alternates

# The kinds of files, by the patterns of their names.
KINDS = (
    *("workspace.json", "hybrid.json", "catalog.sqlite", "catalog.sqlite.json", "ratings-*.parquet"),
    *("posters/posters.sqlite", "posters/posters.sqlite.json", "posters/*.jpg"),
    *("features/features.json", "features/skipped.json"),
    *(f"features/features-*.{suffix}" for suffix in ("npy", "parquet", "json")),
    *("index/index.json", "index/*.npz", "index/*.npy", "index/*.faiss"),
    *("looks/looks.json", "looks/*.npz", "cf/cold-start/cold-start.json", "cf/cold-start/*.npz"),
    *("cf/item-cosine/item-cosine.json", "cf/item-cosine/*.npz", "cf/ease/ease.json", "cf/ease/*.npz"),
    *("atlas/atlas.json", "atlas/*.npz", "atlas/*.webp"),
)
# Those of a workspace with two encoders, one of whitened features, shortlists, and further posters of a film.
FURTHER_KINDS = (
    *("posters/alternates/*.jpg", "workspace.json", "posters/posters.sqlite", "features/features.json"),
    *("index/index.json", "index/*-basis.npy", "index/*-lengths.npz", "index/*.faiss"),
    *("index/alternates/index.json", "index/alternates/*.faiss", "index/alternates/*.npz"),
    *(f"features/alternates/{name}" for name in ("features.json", "features-*.npy", "features-*.parquet")),
    *("features/alternates/features-*.json", "features/alternates/skipped.json"),
    *(f"encoders/other/features/{name}" for name in ("features.json", "whitening.npz", "features-*.npy")),
    *("encoders/other/features/features-*.parquet", "encoders/other/features/features-*.json"),
    *(f"encoders/other/index/{name}" for name in ("index.json", "*-basis.npy", "*-lengths.npz", "*.faiss")),
    *("encoders/other/features/alternates/whitening.npz", "encoders/other/features/alternates/features-*.npy"),
    *("encoders/other/index/alternates/index.json", "encoders/other/index/alternates/*.npz"),
)
# Without them, nothing shows that they were there.
RECORDS = frozenset(
    {
        *("hybrid.json", "features/skipped.json", "catalog.sqlite.json", "posters/posters.sqlite.json"),
        *("features/features-*.json", "encoders/other/features/features-*.json"),
        "features/alternates/skipped.json",
    }
)
# SQLite's counter of changes and the id of a file, which are no content: others are a change by another program.
_REVISION = frozenset((*range(24, 28), *range(68, 72)))

# A note on the whole workspace.
_USUAL = "the blend was tuned: looks count for"

Answers = dict[str, Any]
Ask = Callable[[Path, Path], Iterable[tuple[str, Callable[[], Any]]]]


def make_whole(folder: Path) -> Path:
    """Make a workspace that has all parts."""
    home = make_workspace(folder)
    pipeline.fit(home, "ease")
    pipeline.tune(home, n_films=4)
    with keyart.open(home) as engine:
        engine.cold_start([keyart.NewFilm(home / "posters" / "1.jpg")])
    make_atlas(Workspace.open(home), AtlasOptions())
    return home


def make_further(folder: Path) -> Path:
    """Make a workspace with shortlists, two encoders, one of whitened features, and further posters of a film."""
    home = make_workspace(folder)
    put_alternates(home, 5, 102, 177)
    whitened = ExtractOptions(str(save_network(folder / "other.onnx")), pooling="gem", whiten=True)
    pipeline.extract(home, whitened)
    pipeline.build(home, IndexOptions(kind="shortlist"), encoder="other")
    pipeline.extract(home, ExtractOptions(str(folder / "network.onnx")))
    pipeline.build(home, IndexOptions(kind="shortlist"), encoder="network")
    pipeline.build(home)
    return home


def further_questions(home: Path, picture: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what a workspace of two encoders is asked, and by which."""

    def ask(encoder: str, query: Any) -> Any:
        with keyart.open(home, encoder) as engine:
            return _looks(engine, query)

    for encoder in ("network", "other", "network+other"):
        yield f"similar by {encoder}", lambda encoder=encoder: [ask(encoder, film) for film in (1, 5)]
        yield f"picture by {encoder}", lambda encoder=encoder: ask(encoder, keyart.Image(picture))
    yield "info", lambda: _info(home)


def questions(home: Path, picture: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what a workspace is asked, by the names of commands."""

    def ask(question: Callable[[keyart.Engine], Any]) -> Any:
        with keyart.open(home) as engine:
            return question(engine)

    yield "similar", lambda: ask(_similar)
    yield "recommend", lambda: ask(_recommended)
    yield "cold-start", lambda: ask(lambda engine: _cold_start(engine, picture))
    yield "explore", lambda: best_rated(Workspace.open(home), 5, 1, 5.0)
    yield "info", lambda: _info(home)
    yield "serve", lambda: _served(home)
    yield "atlas", lambda: _atlas(home)


def answers(asked: Iterable[tuple[str, Callable[[], Any]]], names: frozenset[str] | None = None) -> Answers:
    """Return what a workspace answers, or the error that says why not; any other error is passed on."""
    found: Answers = {}
    for name, question in asked:
        if names is None or name in names:
            try:
                found[name] = question()
            except KeyartError as error:
                found[name] = error
    return found


def _similar(engine: keyart.Engine) -> Any:
    return _looks(engine, 1)


def _looks(engine: keyart.Engine, query: Any) -> Any:
    result = engine.similar(query, 5)
    _refuse(result.notes)
    return [(hit.movie_id, hit.score) for hit in result]


def _recommended(engine: keyart.Engine) -> Any:
    result = engine.recommend(1, 5)
    _refuse(result.notes)
    return [(film.movie_id, film.score) for film in result.films]


def _cold_start(engine: keyart.Engine, picture: Path) -> Any:
    (result,) = engine.cold_start([keyart.NewFilm(picture)])
    _refuse(result.notes)
    look_alikes = [(hit.movie_id, hit.score) for hit in result.look_alikes]
    return look_alikes, result.expected, [(fan.user_id, fan.score) for fan in result.audience]


def _atlas(home: Path) -> Any:
    report = make_atlas(Workspace.open(home), AtlasOptions(rebuild=True))
    _refuse(report.notes)
    return report.atlas.positions.tolist()


def _refuse(notes: Collection[str]) -> None:
    """Raise an error of notes: whoever reads them knows that something is missing."""
    if said := [note for note in notes if not note.startswith(_USUAL)]:
        raise KeyartError("; ".join(said))


def _info(home: Path) -> Any:
    status = read_status(Workspace.open(home))
    # What is said of damage differs, and so it should.
    _refuse(status.notes)
    return status.to_dict() | {"home": ""}


def _served(home: Path) -> Any:
    workspace = Workspace.open(home)
    service = AtlasService(workspace, lambda _name, _succeeded: None)
    try:
        atlas = service.map()
        sheets = [each for name in atlas.sheets for each in (service.sheet_path(name), service.small_sheet(name))]
        drawn = [each.read_bytes() for each in sheets if isinstance(each, Path)]
    finally:
        service.close()
    thumbnails = Thumbnails.open(workspace.posters_dir)
    # The server answers 404, which the page shows as a film without a poster.
    _refuse([f"film {film} has no poster here" for film in range(1, N_FILMS + 1) if film not in thumbnails])
    return atlas.body, drawn, [thumbnails.jpeg(film, 64) for film in range(1, N_FILMS + 1)]


def flips(content: bytes, n: int, random: Random) -> Iterator[bytes]:
    """Yield content with one bit changed, `n` times."""
    for _ in range(n):
        yield flipped(content, random)


def is_harmless(path: Path, before: bytes, after: bytes) -> bool:
    """Return whether a change is none of what a file says, such as white space of JSON, or SQLite's counter and id."""
    if path.suffix == ".json":
        try:
            return bool(json.loads(before) == json.loads(after))
        except ValueError:
            return False
    if path.name == "whitening.npz":
        # Its arrays have a hash, what the archive says about them does not.
        return _have_same_arrays(before, after)
    changed = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    return path.suffix == ".sqlite" and all(at in _REVISION for at in changed)


def _have_same_arrays(one: bytes, other: bytes) -> bool:
    try:
        with np.load(BytesIO(one)) as before, np.load(BytesIO(other)) as after:
            same = [np.array_equal(before[name], after[name]) for name in before.files]
            return before.files == after.files and all(same)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return False


class Damaged:
    """Copies of a whole workspace in which one file is damaged."""

    def __init__(self, whole: Path, folder: Path, ask: Ask = questions) -> None:
        self.whole, self._folder, self._ask = whole, folder, ask
        self.picture = whole / "posters" / "1.jpg"
        shutil.copy(self.picture, folder / "picture.jpg")
        self.picture = folder / "picture.jpg"
        self.right = answers(ask(self._copy(), self.picture))
        assert not [name for name, answer in self.right.items() if isinstance(answer, Exception)], self.right

    def _copy(self) -> Path:
        home = self._folder / "copy"
        shutil.rmtree(home, ignore_errors=True)
        return Path(shutil.copytree(self.whole, home))

    def file_of(self, kind: str, random: Random) -> Path:
        """Choose a file of a kind; its path from the workspace."""
        return random.choice(sorted(self.whole.glob(kind))).relative_to(self.whole)

    def wrong_with(self, name: Path, damage: Callable[[Path], None], asked: frozenset[str] | None = None) -> list[str]:
        """Damage a file of a copy; return which answers are neither right nor an error that names what is wrong."""
        home = self._copy()
        damage(home / name)
        is_named = not pipeline.check(home).is_whole if (home / "workspace.json").exists() else True
        wrong = [
            f"{question} answered {answer!r:.300} where {self.right[question]!r:.300} is right"
            for question, answer in answers(self._ask(home, self.picture), asked).items()
            if not isinstance(answer, KeyartError) and answer != self.right[question]
        ]
        return wrong if is_named else [*wrong, "check named nothing"]
