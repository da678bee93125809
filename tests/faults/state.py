"""What a workspace says of itself: its parts, by name, each as a value that can be compared."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from catalog.errors import KeyartError, NotBuiltError
from catalog.films import Catalog
from cf.ratings import Ratings
from features.store import FeatureStore
from keyart.atlas.record import Atlas
from keyart.cli import main
from keyart.engine import Engine
from keyart.recommend.models import fitted_models, open_model
from keyart.similarity.blending import open_hybrid
from keyart.workspace.encoders import list_encoders, name_of
from keyart.workspace.index import open_built_index
from keyart.workspace.layout import Workspace
from posters.store import Poster, PosterStore

# What differs from one run to the next, or follows from names that are drawn.
_VOLATILE = frozenset(
    ("build_s", "latency_ms", "fit_s", "xxh3", "sha256", "n_bytes", "size", "files", "arrays", "name", "checksum")
)
_DRAWN = re.compile(r"[0-9a-f]{8,}|\.\d+\.tmp")


@dataclass
class State:
    """The parts of a workspace by name, the errors in place of parts, and the names of all files."""

    parts: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    # Posters whose files are gone, as the workspace itself says.
    missing: list[str] = field(default_factory=list)

    def put(self, name: str, read: Callable[[], object]) -> None:
        """Add a part; an error that says what to do takes its place, any other one is raised."""
        try:
            value = read()
        except NotBuiltError:
            return
        except KeyartError as error:
            self.errors[name] = f"{type(error).__name__}: {error}"
            return
        if value is not None:
            self.parts[name] = digest(value)

    def lacking(self, other: State) -> set[str]:
        """Return the parts that another state has beside these."""
        return other.parts.keys() - self.parts.keys()


def read_state(folder: Path) -> State:
    """Read all parts of a workspace in a folder, and what else is in that folder."""
    state = State(files=dict(Counter(plain_name(path, folder) for path in folder.rglob("*") if not path.is_dir())))
    home = folder / "ws"
    try:
        workspace = Workspace.open(home)
    except NotBuiltError:
        return state
    except KeyartError as error:
        state.errors["workspace"] = str(error)
        return state
    _put_catalog(state, workspace)
    _put_posters(state, workspace)
    for view in list_encoders(workspace):
        _put_encoder(state, view)
    for name in fitted_models(workspace):
        state.put(f"model {name}", lambda name=name: _model(workspace, name))
    state.put("neighbors", lambda: _table(folder / "neighbors.parquet"))
    _put_answers(state, home)
    _put_check(state, home)
    return state


def _put_catalog(state: State, workspace: Workspace) -> None:
    def read() -> object:
        with Catalog.open(workspace.catalog_path) as catalog:
            name = catalog.fact("ratings")
            ratings = Ratings.open(workspace.ratings_path(name)).digest() if name else None
            facts = [catalog.fact(fact) for fact in ("numbering", "ratings", "source")]
            tables = [list(map(str, rows)) for rows in (catalog, catalog.added(), catalog.tags())]
            return [tables, ratings, facts]

    state.put("catalog", read)


def _put_posters(state: State, workspace: Workspace) -> None:
    def read() -> None:
        with PosterStore.open_to_read(workspace.posters_dir) as store:
            whole = {}
            for poster in store.posters():
                state.put(f"poster {poster.movie_id}", lambda poster=poster: whole.update(_hashed(poster)))
            for record in store.records():
                if record.state == "missing":
                    state.missing += [f"poster {record.movie_id}"] if record.reason else []
                elif f"poster {record.movie_id}" not in state.errors:
                    facts = [record.sha256, record.state, record.source, record.poster_path]
                    content = [whole.get(record.movie_id), *facts]
                    state.parts[f"poster {record.movie_id}"] = digest(content)

    state.put("posters", read)


def _put_encoder(state: State, view: Workspace) -> None:
    name = name_of(view)

    def read_features() -> object:
        store = FeatureStore.open(view.features_dir)
        rows = store.rows(check=True)
        blocks = np.concatenate(list(store.blocks(rows))) if len(rows) else []
        for movie_id, sha256, row in zip(rows.picture_ids, rows.poster_sha256s, blocks, strict=True):
            state.parts[f"{name}: features of {movie_id}"] = digest([sha256, row])
        state.parts[f"{name}: skipped"] = digest(list(map(str, store.skipped())))
        return store.identity.as_dict()

    def read_index() -> object:
        index = open_built_index(view)
        nearest = index.similar(index.movie_ids.tolist(), 5)
        scored = [(one.ids, np.round(one.scores, 4)) for one in nearest]
        return [index.movie_ids, scored, _record(view.index_dir / "index.json")]

    def read_atlas() -> object:
        atlas = Atlas.open(view.atlas_dir)
        sheets = [_hash((view.atlas_dir / name).read_bytes()) for sheet in atlas.sheets for name in sheet.files]
        return [vars(atlas), sheets]

    state.put(f"{name}: features", read_features)
    state.put(f"{name}: index", read_index)
    state.put(f"{name}: atlas", read_atlas)
    state.put(f"{name}: hybrid", lambda: repr(open_hybrid(view)))
    state.put(f"{name}: cold start", lambda: _arrays_of(view.cold_start_dir / "cold-start.json"))


def _put_answers(state: State, home: Path) -> None:
    try:
        engine = Engine.open(home)
    except NotBuiltError:
        return
    except KeyartError as error:
        state.errors["engine"] = str(error)
        return
    with engine:
        for film in (1, 2):

            def ask(film: int = film) -> object:
                answer = engine.similar(film, k=5)
                state.notes[f"similar to {film}"] = list(answer.notes)
                return [(hit.movie_id, round(hit.score, 4)) for hit in answer.hits]

            state.put(f"similar to {film}", ask)


def _put_check(state: State, home: Path) -> None:
    """Run the commands that look at everything."""
    for command in ("info", "check"):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main([command, "--home", str(home)])
            except SystemExit as left:
                code = left.code
        text = (out.getvalue() + err.getvalue()).strip()
        if "No such command" in text:
            continue
        if "unexpected" in text or "Traceback" in text:
            raise AssertionError(f"keyart {command}: {text}")
        # What is not there yet is no error.
        if code and not text.startswith("keyart: no "):
            state.errors[f"keyart {command}"] = text


def _model(workspace: Workspace, name: str) -> object:
    model, notes = open_model(workspace, name)
    folder = workspace.model_dir(name)
    return [notes, _arrays_of(next(path for path in folder.glob("*.json") if path.stem in (name, model.name)))]


def _arrays_of(record_path: Path) -> object:
    if not record_path.is_file():
        return None
    text = record_path.read_text()
    names = [path.name for path in record_path.parent.glob("*.npz") if path.name in text]
    return [_record(record_path), [dict(np.load(record_path.parent / name)) for name in names]]


def _record(path: Path) -> object:
    return _lasting(json.loads(path.read_text())) if path.is_file() else None


def _table(path: Path) -> object:
    return pd.read_parquet(path).to_dict("list") if path.is_file() else None


def _lasting(content: Any) -> Any:
    """Leave out what differs from one run to the next."""
    if isinstance(content, dict):
        return {key: _lasting(value) for key, value in content.items() if key not in _VOLATILE}
    return [_lasting(value) for value in content] if isinstance(content, list) else content


def plain_name(path: Path, folder: Path) -> str:
    """Return the name of a file without what is drawn; posters go by their films, shards by what they hold."""
    name = _DRAWN.sub("#", str(path.relative_to(folder)))
    name = re.sub(r"posters/(\d+)-#", r"posters/\1", name)
    return re.sub(r"features-\d+", "features-N", name)


def _hashed(poster: Poster) -> dict[int, str]:
    return {poster.movie_id: _hash(poster.read())}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(value: object) -> str:
    """Hash a value of lists, mappings, arrays and plain values."""
    hasher = hashlib.sha256()
    for part in _bytes_of(value):
        hasher.update(part)
    return hasher.hexdigest()[:16]


def _bytes_of(value: object) -> Iterator[bytes]:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield f"{key}=".encode()
            yield from _bytes_of(value[key])
    elif isinstance(value, list | tuple):
        yield f"[{len(value)}]".encode()
        for item in value:
            yield from _bytes_of(item)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    else:
        yield repr(value).encode()
