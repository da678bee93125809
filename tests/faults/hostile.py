"""What reads files from elsewhere, valid files for each, and ways of spoiling them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from catalog.content_table import read_content
from catalog.errors import KeyartError, QueryError, UnknownFilmError
from catalog.film_table import read_film_table, read_rated_films
from catalog.films import Catalog
from catalog.io.archives import unpacked
from catalog.movielens import FILE_NAMES, read_films
from catalog.titles import parse_title, series_key, title_key
from cf.ratings import read_movielens, read_ratings
from features.encoders.loading import load_backbone
from features.encoders.pair import Pair
from features.encoders.text import load_text
from features.images import decode_image
from features.options import ExtractOptions
from features.preprocessing_files import read_preprocessing
from features.store import FeatureStore
from features.whitening import Whitening
from keyart.atlas.build import AtlasOptions, make_atlas
from keyart.atlas.record import Atlas
from keyart.cold_start.new_film import read_new_films
from keyart.pipeline.status import read_status
from keyart.recommend.models import open_model
from keyart.recommend.personal_files import read_personal_file
from keyart.similarity.blending import open_hybrid
from keyart.workspace.encoders import list_encoders, name_of
from keyart.workspace.index import open_built_index
from keyart.workspace.layout import Workspace
from posters.database import Origin, Source
from posters.id_export import read_live_ids
from posters.importing import import_csv, import_folder
from posters.store import PosterStore
from posters.validation import verify_image
from tests.faults.small_workspace import make_workspace
from tests.posters.pictures import draw_poster
from tests.word_pair import save_pair

Files = dict[str, bytes]


@dataclass(frozen=True)
class Target:
    """A reader of files: valid ones, by name in a folder, and what reads that folder."""

    valid: Callable[[], Files]
    read: Callable[[Path], object]
    # What means something to the reader, and is put where it does not belong.
    words: Sequence[bytes] = ()
    # Makes what belongs together fit again: checksums, archives.
    finish: Callable[[Files], Files] = lambda files: files
    # Whether it takes seconds to begin.
    is_heavy: bool = False

    def run(self, files: Files, folder: Path) -> str:
        """Read files; returns how that ended. Any error but a KeyartError is raised."""
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in self.finish(files).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.read(folder)
        except KeyartError as error:
            # A message is one that can be printed.
            str(error).encode()
            return type(error).__name__
        return "read"


# What means something to nearly every reader.
_WORDS = (
    *(b"0", b"-1", b"1e999", b"nan", b"2147483648", b"9" * 400, b"\0", b"\xff\xfe", b"\xed\xa0\x80"),
    *(b'"', b"'", b"\n", b"\r", b",", b"|", b"::", b"\t", b"{", b"}", b"[", b"]", b"(", b")", b"null", b"true"),
    *(b"../", b"/dev/zero", b"\x1b]0;", b" ", b"(1995)", b"=1+1"),
    *(text.encode() for text in ("\u202e", "\u0130", "e\u0301", "\U0001f600")),
)


@dataclass(frozen=True)
class Edit:
    """One way of spoiling a file: where, as a share of its length, and how."""

    what: str
    file: int
    at: float
    length: int
    number: int
    word: bytes

    def apply(self, content: bytes) -> bytes:
        """Spoil a content."""
        at = int(self.at * len(content))
        end = at + self.length
        match self.what:
            case "flip":
                return (
                    content[:at] + bytes([content[at] ^ (1 << self.number % 8)]) + content[at + 1 :] if content else b""
                )
            case "cut":
                return content[:at]
            case "drop":
                return content[:at] + content[end:]
            case "repeat":
                return content[:at] + content[at:end] * (self.number % 50) + content[end:]
            case "put":
                return content[:at] + self.word + content[at:]
            case "over":
                return content[:at] + self.word + content[at + len(self.word) :]
            case "swap":
                return content[end:] + content[at:end] + content[:at]
        return self.word


_EDITS = ("flip", "flip", "cut", "drop", "repeat", "put", "over", "swap", "replace")


def spoiled(target: Target) -> st.SearchStrategy[Files]:
    """Draw the files of a target, spoiled in up to four places."""
    valid = target.valid()
    names = sorted(valid)
    words = st.one_of(st.sampled_from([*_WORDS, *target.words]), st.binary(max_size=40))
    edits = st.builds(
        Edit,
        st.sampled_from(_EDITS),
        st.integers(0, len(names) - 1),
        st.floats(0, 0.999),
        st.integers(1, 64),
        st.integers(0, 255),
        words,
    )

    def apply(chosen: list[Edit]) -> Files:
        files = dict(valid)
        for edit in chosen:
            name = names[edit.file]
            # A file of many megabytes is another matter.
            files[name] = edit.apply(files[name])[: 1 << 20]
        return files

    return st.lists(edits, min_size=1, max_size=4).map(apply)


_MOVIELENS = {
    "movies.csv": b'movieId,title,genres\n1,"Harbor, The (1990)",Drama|Comedy\n'
    b"2,Caf\xc3\xa9 (a.k.a. Tea) (1991),(no genres listed)\n",
    "links.csv": b"movieId,imdbId,tmdbId\n1,0114709,862\n2,0113277,\n",
    "tags.csv": b"userId,movieId,tag,timestamp\n1,1,fun,1\n2,1, Fun ,2\n",
    "ratings.csv": b"userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,0.5,964982704\n2,2,5.0,964982705\n",
}
_ML_1M = {
    "movies.dat": "1::Café, Le (1990)::Drama|Comedy\n2::Tea (1991)::Action\n".encode("latin-1"),
    "ratings.dat": b"1::1::5::978300760\n1::2::3::978302109\n",
    "tags.dat": b"1::1::fun::978300760\n",
}
_GENRES = b"|".join(b"01"[bit : bit + 1] for bit in (0, 1) * 9 + (0,))
_ML_100K = {
    "u.item": b"1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)|"
    + _GENRES
    + b"\n",
    "u.data": b"196\t1\t3\t881250949\n186\t1\t3\t891717742\n",
}
_METADATA = {
    "movies_metadata.csv": b"adult,genres,id,imdb_id,original_title,release_date,title\n"
    b"False,\"[{'id': 16, 'name': 'Animation'}]\",862,tt0114709,Toy Story,1995-10-30,Toy Story\n",
    "links_small.csv": b"movieId,imdbId,tmdbId\n1,0114709,862\n",
    "ratings_small.csv": b"userId,movieId,rating,timestamp\n1,1,2.5,1260759144\n",
}
_TABLE = {
    "films.csv": b"movie_id,title,year,genres,imdb_id,tmdb_id\n7,Own Film,1999,Drama,tt0114709,862\n8,Other,,,,\n",
    "rated.csv": b"userId,movieId,rating,timestamp,title\n1,7,3.5,1,Own Film\n",
}
_CONTENT = {
    "content.csv": b"movie_id,director,cast,keywords\n1,Jane Doe,Ann|Bob,harbor|night\ntt0113277,,Eve,\n",
    "new.csv": b"path,title,year,genres,director,cast,keywords\n"
    b"1.jpg,Own Film,1999,Drama,Jane Doe,Ann|Bob,night\n2.jpg,,,,,,\n",
}
# A poster for every file that names its film.
_IMPORTED = {
    "posters.csv": b"movie_id,path\n1,Film 1/poster.jpg\ntt0000002,Film 2/folder.jpg\n",
    "Film 1/movie.nfo": b'<movie><title>Film 1</title><year>1981</year><uniqueid type="imdb">tt0000001</uniqueid>'
    b"<tmdbid>101</tmdbid></movie>",
    "Film 2/Film 2.nfo": b"https://www.imdb.com/title/tt0000002/\n",
}
_PERSONAL = {
    "letterboxd.csv": b"Date,Name,Year,Letterboxd URI,Rating\n2026-01-02,Heat,1995,https://boxd.it/a,4.5\n",
    "imdb.csv": b"Const,Your Rating,Date Rated,Title,Title Type,Year\ntt0113277,9,2026-01-02,Heat,movie,1995\n",
    "trakt.json": b'[{"rated_at":"2026-01-02T00:00:00.000Z","rating":8,"type":"movie",'
    b'"movie":{"title":"Heat","year":1995,"ids":{"trakt":1,"imdb":"tt0113277","tmdb":949}}}]',
}
_PREPROCESSING = {
    "own.json": b'{"preprocessing": "rgb,127,128,size=256"}',
    "preprocessor_config.json": b'{"image_processor_type": "ViTImageProcessor", "do_resize": true, '
    b'"size": {"height": 224, "width": 224}, "resample": 2, "do_rescale": true, "do_normalize": true, '
    b'"rescale_factor": 0.00392156862745098, '
    b'"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}',
    "open_clip_config.json": b'{"model_cfg": {"vision_cfg": {"image_size": 224}}, "preprocess_cfg": '
    b'{"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic", "resize_mode": "shortest"}}',
}


def _read_data_set(folder: Path) -> object:
    with unpacked(folder, FILE_NAMES) as opened:
        return read_films(opened), read_movielens(opened)


def _read_imported(folder: Path) -> None:
    for name in ("Film 1/poster.jpg", "Film 2/folder.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(_poster())
    films = list(_catalog())
    with PosterStore.open(folder / "store") as store:
        _each(
            lambda: import_csv(folder / "posters.csv", films, store),
            lambda: import_folder(folder, films, store, by="name"),
        )


@cache
def _poster() -> bytes:
    return draw_poster(1, size=(30, 45))


def _read_each(folder: Path, read: Callable[[Path], object]) -> None:
    """Read all files of a folder; what is wrong with one must not hide the others."""
    error = None
    for path in sorted(folder.iterdir()):
        try:
            read(path)
        except KeyartError as wrong:
            error = wrong
    if error:
        raise error


def _read_archive(folder: Path) -> object:
    with unpacked(folder / "ml.zip", FILE_NAMES) as opened:
        return read_films(opened), read_movielens(opened)


def _zipped(files: Files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _ratings_parquet() -> Files:
    table = {"userId": [1, 1, 2], "movieId": [1, 2, 2], "rating": [4.0, 0.5, 5.0], "timestamp": [1, 2, 3]}
    stream = io.BytesIO()
    pd.DataFrame(table).to_parquet(stream, index=False)
    return {"ratings.parquet": stream.getvalue()}


def _read_titles(folder: Path) -> None:
    text = (folder / "titles.txt").read_bytes().decode(errors="surrogateescape")
    with _catalog() as catalog:
        for line in text.split("\n")[:20]:
            parse_title(line)
            title_key(line)
            series_key(title_key(line))
            catalog.suggest(line, 5)
            with suppress(UnknownFilmError):
                catalog.find(line)


def _pictures() -> Files:
    kinds = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
    return {f"{kind}": draw_poster(1, kind, (60, 90)) for kind in kinds}


def _read_picture(path: Path) -> None:
    content = path.read_bytes()
    verify_image(content)
    decode_image(content)


@cache
def _folder() -> Path:
    """Make what targets begin with: a workspace and its sources."""
    folder = Path(tempfile.mkdtemp(prefix="keyart-hostile-"))
    make_atlas(Workspace.open(make_workspace(folder)), AtlasOptions())
    return folder


@cache
def _catalog() -> Catalog:
    return Catalog.open(_folder() / "workspace" / "catalog.sqlite")


def _files_of(*parts: str) -> Files:
    home = _folder() / "workspace"
    paths = [path for part in parts for path in (home.glob(part))]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted(paths)}


def _beside(folder: Path) -> Workspace:
    """Complete a workspace by the files that are not spoiled."""
    home = _folder() / "workspace"
    for path in home.rglob("*"):
        target = folder / path.relative_to(home)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return Workspace.open(folder)


def _read_catalog(folder: Path) -> object:
    with Catalog.open(folder / "catalog.sqlite") as catalog:
        found = [list(catalog), catalog.added(), catalog.tags(), catalog.genres(), catalog.fact("ratings")]
        return found, catalog.suggest("film", 5), catalog.find("Film 1")


def _read_posters(folder: Path) -> None:
    with PosterStore.open_to_read(folder / "posters") as store:
        store.posters()
        store.records()
        store.states()
    with PosterStore.open(folder / "posters") as store, store.writer_lock():
        store.put(3, draw_poster(9), Origin(Source.IMPORT))


def _read_shards(folder: Path) -> None:
    store = FeatureStore.open(folder / "features")
    rows = store.rows()
    for _ in store.blocks(rows):
        pass
    store.rows(check=True)
    store.skipped()
    store.options()


def _with_checksums(files: Files) -> Files:
    """Let the records of shards have the lengths and checksums of the files beside them."""
    fitting = dict(files)
    for name in files:
        if name.endswith(".json") and "features-" in name:
            stem = name.removesuffix(".json")
            facts = {
                suffix: {"n_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for suffix in ("npy", "parquet")
                if (content := files.get(f"{stem}.{suffix}")) is not None
            }
            try:
                record = json.loads(files[name])
                record["files"] = facts
                fitting[name] = json.dumps(record).encode()
            except (ValueError, TypeError):
                continue
    return fitting


def _whitening() -> Files:
    fitted = Whitening.fit(np.random.default_rng(0).normal(size=(20, 6)))
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder) / "whitening.npz")
        return {"whitening.npz": (Path(folder) / "whitening.npz").read_bytes()}


def _read_whitening(folder: Path) -> None:
    Whitening.open(folder / "whitening.npz")(np.ones((1, 6)))


def _read_databases(folder: Path) -> None:
    workspace = _beside(folder)
    _each(
        lambda: Catalog.open(workspace.catalog_path).close(),
        lambda: PosterStore.open_to_read(workspace.posters_dir).close(),
        lambda: read_status(workspace),
    )


def _pair() -> Files:
    with tempfile.TemporaryDirectory() as folder:
        pair = save_pair(Path(folder) / "pair")
        return {path.relative_to(pair).as_posix(): path.read_bytes() for path in pair.rglob("*") if path.is_file()}


def _read_pair(folder: Path) -> None:
    pair = Pair.find(folder)
    load_text(pair.textual, pair.tokenizer, pair.text_options())(["red moon", "\U0001f600 moon"])


def _read_records(folder: Path) -> None:
    workspace = _beside(folder)
    _each(
        lambda: open_hybrid(workspace),
        lambda: Atlas.open(workspace.atlas_dir),
        lambda: open_built_index(workspace),
        lambda: open_model(workspace, "item-cosine"),
        lambda: list(map(name_of, list_encoders(workspace))),
        lambda: read_status(workspace),
    )


def _each(*reads: Callable[[], object]) -> None:
    """Call all functions, and raise the last of their errors."""
    error = None
    for read in reads:
        try:
            read()
        except KeyartError as wrong:
            error = wrong
    if error:
        raise error


def _records() -> Files:
    hybrid = {"kind": "keyart-hybrid", "version": 1, "model": "item-cosine", "compared": "cosine", "buckets": []}
    blending = {"cf_share": 0.5, "n_ratings_at_half": 10.0, "calibration": "percentile"}
    records = _files_of(
        "workspace.json", "index/index.json", "atlas/atlas.json", "cf/*/*.json", "features/features.json"
    )
    return {**records, "hybrid.json": json.dumps({**hybrid, "blending": blending}).encode()}


@cache
def _keras_members() -> Files:
    from tests.keyart.conftest import save_tiny_network

    with tempfile.TemporaryDirectory() as folder:
        save_tiny_network(Path(folder) / "tiny.keras")
        with zipfile.ZipFile(Path(folder) / "tiny.keras") as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def _network(folder: Path) -> None:
    (path,) = (path for path in folder.iterdir() if path.suffix in (".keras", ".onnx"))
    load_backbone(ExtractOptions(str(path), preprocessing="caffe", batch_size=1), folder)


class _Server:
    """The application in an event loop of its own, called without a network."""

    def __init__(self) -> None:
        from keyart.web.app import make_app

        self._loop = asyncio.new_event_loop()
        self._app = make_app(_folder() / "workspace", read_only=True)

    def post(self, path: str, content_type: bytes, body: bytes, query: bytes = b"") -> int:
        """Return the status of an answer."""
        headers = [(b"content-type", content_type), (b"host", b"127.0.0.1"), (b"content-length", b"%d" % len(body))]
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
                 "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "headers": headers,
                 "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)}  # fmt: skip
        sent: list[dict[str, Any]] = []
        received = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return received.pop() if received else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        self._loop.run_until_complete(self._app(scope, receive, send))
        return int(sent[0]["status"])


@cache
def _server() -> _Server:
    return _Server()


def _uploads() -> Files:
    boundary = b"----x"
    picture = b'--%s\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n%s\r\n' % (
        boundary,
        draw_poster(1, size=(30, 45)),
    )
    field = b'--%s\r\nContent-Disposition: form-data; name="k"\r\n\r\n3\r\n--%s--\r\n' % (boundary, boundary)
    return {
        "type.txt": b"multipart/form-data; boundary=" + boundary,
        "form": picture + field,
        "query.txt": urlencode({"k": 3, "alpha": "auto", "genre": "Drama"}).encode(),
        "ratings.json": b'{"ratings": {"1": 4.5, "2": 3}, "k": 5}',
        "embedding.json": json.dumps({"embedding": [0.5] * 64, "k": 3}).encode(),
    }


def _upload(folder: Path) -> None:
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    query = content["query.txt"].replace(b"\0", b"")
    statuses = [
        _server().post("/api/similar", content["type.txt"], content["form"], query),
        _server().post("/api/similar/embedding", b"application/json", content["embedding.json"]),
        _server().post("/api/recommendations", b"application/json", content["ratings.json"]),
        _server().post("/api/ratings", content["type.txt"], content["form"]),
    ]
    if max(statuses) >= 500:
        raise AssertionError(f"the server answers with {statuses}")
    if min(statuses) >= 400:
        raise QueryError("refused")


TARGETS: dict[str, Target] = {
    "movielens": Target(lambda: _MOVIELENS, _read_data_set),
    "ml-1m": Target(lambda: _ML_1M, _read_data_set),
    "ml-100k": Target(lambda: _ML_100K, _read_data_set),
    "movies-dataset": Target(lambda: _METADATA, _read_data_set),
    "tables": Target(lambda: _TABLE, lambda folder: _each(
        lambda: read_film_table(folder / "films.csv"),
        lambda: read_rated_films(folder / "rated.csv", {}),
        lambda: read_ratings(folder / "rated.csv"),
    )),
    "content": Target(lambda: _CONTENT, lambda folder: _each(
        lambda: read_content(folder / "content.csv"),
        lambda: read_new_films(folder / "new.csv", ["Drama"], titled=False),
    )),
    "imported-posters": Target(lambda: _IMPORTED, _read_imported),
    "archive": Target(lambda: {"ml.zip": _zipped(_MOVIELENS)}, _read_archive),
    "archive-members": Target(lambda: _MOVIELENS, _read_archive, finish=lambda files: {"ml.zip": _zipped(files)}),
    "gzip": Target(lambda: {f"{name}.gz": _gzipped(text) for name, text in _MOVIELENS.items()}, _read_data_set),
    "ratings-parquet": Target(_ratings_parquet, lambda folder: read_ratings(folder / "ratings.parquet")),
    "personal-ratings": Target(lambda: _PERSONAL, lambda folder: _read_each(folder, read_personal_file)),
    "id-export": Target(
        lambda: {"ids.json.gz": _gzipped(b'{"id":862,"adult":false}\n{"id":949}\n'), "ids.json": b'{"id":862}\n'},
        lambda folder: _read_each(folder, lambda path: read_live_ids(str(path), [862, 949], _no_download)),
    ),
    "titles": Target(
        lambda: {"titles.txt": "Harbor, The (1990)\nSe7en (a.k.a. Seven) (1995)\nfilm 1\nAmélie\n".encode()},
        _read_titles,
    ),
    "images": Target(_pictures, lambda folder: _read_each(folder, _read_picture)),
    "preprocessing": Target(lambda: _PREPROCESSING, lambda folder: _read_each(folder, read_preprocessing)),
    "shards": Target(lambda: _files_of("features/*"), _read_shards),
    "shards-with-checksums": Target(lambda: _files_of("features/*"), _read_shards, finish=_with_checksums),
    "catalog-database": Target(lambda: _files_of("catalog.sqlite"), _read_catalog),
    "poster-database": Target(lambda: _files_of("posters/posters.sqlite"), _read_posters),
    "records": Target(_records, _read_records),
    "checksums-of-databases": Target(lambda: _files_of("*.sqlite.json", "posters/*.sqlite.json"), _read_databases),
    "whitening": Target(_whitening, _read_whitening),
    "text-networks": Target(_pair, _read_pair),
    "uploads": Target(_uploads, _upload, is_heavy=True),
    "onnx": Target(lambda: {"network.onnx": (_folder() / "network.onnx").read_bytes()}, _network),
    "keras": Target(lambda: {"tiny.keras": _zipped(_keras_members())}, _network, is_heavy=True),
    "keras-members": Target(
        _keras_members, _network, finish=lambda files: {"tiny.keras": _zipped(files)}, is_heavy=True
    ),
}  # fmt: skip


def _no_download(_url: str, _what: str) -> bytes:
    raise AssertionError("nothing is to be downloaded")
