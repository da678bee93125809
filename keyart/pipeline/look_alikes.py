"""Measure look-alikes: whether an embedding finds what people agree looks alike, and which of several does better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, DataError, KeyartError
from catalog.film import Film
from catalog.io.progress import Progress, silent
from index.source import FilmFeatures
from keyart.render.difference_sheet import Difference, write_difference_sheet
from keyart.render.plots import draw_measures
from keyart.similarity.evaluation.candidates import CANDIDATES, Candidate, check_candidates
from keyart.similarity.evaluation.differences import largest_differences
from keyart.similarity.evaluation.encoders import blended_candidate, encoders_gallery
from keyart.similarity.evaluation.gallery import (
    Gallery,
    Half,
    LeftOut,
    folder_gallery,
    in_half,
    poster_files,
    read_films,
    workspace_gallery,
)
from keyart.similarity.evaluation.questions import Pair, alternate_questions, distorted_questions, read_pairs
from keyart.similarity.evaluation.report import Measure, Measured, measure, unmeasured
from keyart.similarity.evaluation.tasks import (
    TASKS,
    AlternateTask,
    DistortionTask,
    HubnessTask,
    LabelTask,
    SeriesTask,
    Task,
    TaskName,
)
from keyart.workspace.encoders import name_of, open_views
from keyart.workspace.layout import Home, Workspace

if TYPE_CHECKING:
    import pandas as pd

_N_SHOWN = 8
NOTHING_TO_PLOT = "hubness is of all films together, so there are no intervals to plot; measure another task, too"


@dataclass(frozen=True)
class LookAlikeOptions:
    """What look-alikes are measured by.

    Parameters
    ----------
    embeddings : sequence of str or Candidate, default ("cosine", "centered", "whitened")
        What to compare, the first being the one that others are compared with. ``"cosine"`` compares features as they
        are, ``"centered"`` after subtracting their mean, ``"whitened"`` an embedding of them. A
        ``Candidate(name, embed)`` of
        ``keyart.similarity.evaluation.candidates`` is an embedding of your own: `embed` takes features of shape
        (n, n_features) and returns rows of length 1.
    tasks : sequence of str, default ()
        Any of "alternate", "series", "distortion", "genre", "decade" and "hubness"; by default all that can be
        measured.
    pairs : str or Path, optional
        For "alternate": a CSV with `movie_id` and `path` of another poster of the film, relative to the CSV; without
        `path`, ``6.jpg`` beside the CSV is of film 6.
    features : str, Path or tuple of (array-like, ndarray), optional
        Measure these in place of a workspace's: a folder that ``extract_images`` filled with pictures named by
        movie_id, or movie_ids, ascending, and features of shape (n, n_features) or maps (n, height, width, channels).
    films : str, Path or iterable of Film, optional
        For "series", "genre" and "decade", with `features`: a table of titles such as MovieLens' ``movies.csv``.
    posters : str or Path, optional
        For "alternate" and "distortion", with `features`: the folder of the posters, named by movie_id.
    half : {"all", "choose", "report"}, default "all"
        Ask about all films, or about one half: choose an embedding on one, and report its figures on the other. Films
        of one series are in the same half.
    n_distorted : int, default 50
        The number of posters that are distorted, in 21 ways each.
    seed : int, default 0
        Draws halves, posters, distortions and resamples.
    encoders : sequence of str, default ()
        The encoders of a workspace that are compared, each with every embedding, on the films that all of them have;
        ``"vgg16+resnet50"`` is a blend, whose similarities are the mean of theirs. By default the workspace's default.

    Raises
    ------
    ConfigError
        An embedding, a task or a half is unknown, or there is no embedding.
    TypeError
        An option is of another type.
    ValueError
        `n_distorted` is not positive, or `seed` is negative.
    """

    embeddings: Sequence[str | Candidate] = tuple(CANDIDATES)
    tasks: Sequence[str] = ()
    pairs: str | Path | None = None
    features: str | Path | tuple[npt.ArrayLike, npt.NDArray[Any]] | None = None
    films: str | Path | Iterable[Film] | None = None
    posters: str | Path | None = None
    half: Half = "all"
    n_distorted: int = 50
    seed: int = 0
    encoders: Sequence[str] = ()

    def __post_init__(self) -> None:
        if isinstance(self.encoders, str):
            raise TypeError(f"encoders: expected a sequence of names, received {self.encoders!r}; put it into a list")
        if self.encoders and self.features is not None:
            raise ConfigError("encoders are those of a workspace, not of a folder of features; leave one out")
        check_candidates(self.embeddings)
        for name in self.tasks:
            if name not in TASKS:
                raise ConfigError(f"no task named {name!r}; there are {', '.join(TASKS)}")
        if self.half not in get_args(Half):
            raise ConfigError(f"expected one of the halves {', '.join(get_args(Half))}; received {self.half!r}")
        for name, least in (("n_distorted", 1), ("seed", 0)):
            _check_number(name, getattr(self, name), least)
        _check_features(self.features)


def _check_number(name: str, value: object, least: int) -> None:
    if not isinstance(value, Integral):
        raise TypeError(f"{name}: expected a whole number, received {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected {least} or more, received {value}")


def _check_features(features: object) -> None:
    """Raise TypeError where features are neither a folder nor a pair."""
    if (
        features is None
        or isinstance(features, str | Path)
        or (isinstance(features, tuple | list) and len(features) == 2)
    ):
        return
    raise TypeError(f"features: expected a folder or a pair (movie_ids, features), received {type(features).__name__}")


@dataclass(frozen=True)
class LookAlikeEvaluation:
    """How well embeddings find look-alikes.

    Parameters
    ----------
    embeddings : tuple of str
        Their names; the first is the one that others are compared with.
    measures : tuple of Measure
        Each has `task`, `measure`, `distortion` and `strength`, `n_questions`, `n_groups` and `figures`: for every
        embedding its name, its `value` and its `gain` over the first in percent, with 95 % intervals.
    left_out : tuple of LeftOut
        Films, pairs and posters that could not be measured: `kind`, `reason` and `names`.
    notes : tuple of str
        Why tasks or embeddings were not measured, and what a half does not apply to.
    n_films : int
        The number of films with features.
    half : str
        Which half of the films was asked about, or "all".
    seed : int
        What halves, posters and resamples were drawn with.
    gallery : Gallery
        The films.
    lists : mapping of str to ndarray
        By embedding, the rows of the ten nearest films of each film.
    """

    embeddings: tuple[str, ...]
    measures: tuple[Measure, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    n_films: int
    half: str
    seed: int
    gallery: Gallery
    lists: Mapping[str, npt.NDArray[Any]]

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON can hold.

        Returns
        -------
        dict
            The fields by name, without `gallery` and `lists`; what is not known is NaN.
        """
        return {
            "embeddings": list(self.embeddings),
            "half": self.half,
            "seed": self.seed,
            "n_films": self.n_films,
            "measures": [one.to_dict() for one in self.measures],
            "left_out": [{"kind": one.kind, "reason": one.reason, "names": list(one.names)} for one in self.left_out],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """Convert to a table, a row for each measure of each embedding.

        Returns
        -------
        DataFrame
            The columns task, measure, distortion, strength, embedding, value, low, high, gain, gain_low, gain_high,
            n_questions and n_groups.
        """
        import pandas as pd

        return pd.DataFrame(self.to_rows())

    def to_rows(self) -> list[dict[str, Any]]:
        """Convert to flat rows, one for each measure of each embedding.

        Returns
        -------
        list of dict
            As of `to_frame`.
        """
        return [row for one in self.measures for row in one.to_rows()]

    def plot(self, path: str | Path) -> None:
        """Plot by how much each embedding is better or worse than the first, with intervals.

        Parameters
        ----------
        path : str or Path
            The file to write: .png, .svg or .pdf.

        Raises
        ------
        ConfigError
            Hubness alone was measured, of which there are no intervals; or the file name has another ending.
        """
        first, *others = self.embeddings
        # The whole has no interval; each distortion would take a line of its own.
        shown = [one for one in self.measures if one.n_groups and one.distortion is None]
        if not shown:
            raise ConfigError(NOTHING_TO_PLOT)
        estimates = {
            f"{one.task}: {one.measure}": {
                figure.embedding: figure.gain if others else figure.value
                for figure in one.figures
                if figure.embedding in (others or [first])
            }
            for one in shown
        }
        draw_measures(estimates, f"% above {first}" if others else "value", bool(others), Path(path))

    def write_sheet(self, path: str | Path) -> None:
        """Draw the films whose lists differ most between the first two embeddings.

        Parameters
        ----------
        path : str or Path
            The file to write: .png, .jpg, .webp or .pdf.

        Raises
        ------
        ConfigError
            There is one embedding only, the posters are not known, or the file name has another ending.
        """
        if len(self.embeddings) < 2:
            raise ConfigError("a sheet of differences needs two embeddings; name another one")
        if not self.gallery.posters:
            raise ConfigError("a sheet needs the posters; name their folder")
        one, other = self.embeddings[:2]
        rows = largest_differences(self.lists[one], self.lists[other], _N_SHOWN)
        write_difference_sheet((one, other), [self._difference(row) for row in rows], Path(path))

    def _difference(self, row: int) -> Difference:
        return Difference(
            self._shown(row), *([self._shown(hit) for hit in self.lists[name][row]] for name in self.embeddings[:2])
        )

    def _shown(self, row: int) -> tuple[str, Path | None]:
        movie_id = int(self.gallery.features.movie_ids[row])
        film = self.gallery.films.get(movie_id)
        return film.label if film else str(movie_id), self.gallery.posters.get(movie_id)


def evaluate_look_alikes(
    home: Home | None = None, options: LookAlikeOptions | None = None, *, progress: Progress = silent
) -> LookAlikeEvaluation:
    """Measure whether embeddings find what people agree looks alike, on a workspace or on any features.

    Parameters
    ----------
    home : str, Path or Workspace, optional
        The workspace; not needed with `features` among the options.
    options : LookAlikeOptions, optional
        What to compare, and by what.
    progress : Progress, optional
        Shows the number of pictures and films that are done.

    Returns
    -------
    LookAlikeEvaluation
        Every measure of every embedding, with intervals.

    Raises
    ------
    ConfigError
        Neither a workspace nor features are named, or both.
    NotBuiltError
        There is no workspace, or it has no features.
    DataError
        A named task cannot be measured, or none can; a table is invalid; there are fewer than two films with features;
        or an embedding gives numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from keyart.pipeline import LookAlikeOptions, evaluate_look_alikes
    >>> features = np.random.default_rng(0).normal(size=(40, 8))
    >>> found = evaluate_look_alikes(options=LookAlikeOptions(features=(range(1, 41), features)))
    >>> found.embeddings
    ('cosine', 'centered', 'whitened')
    >>> [one.measure for one in found.measures]
    ['skewness', 'most lists with one', 'share in no list']
    """
    options = options or LookAlikeOptions()
    pairs = None if options.pairs is None else read_pairs(Path(options.pairs))
    gallery, embeddings, unfitted = _open_gallery(home, options)
    tasks, notes = _tasks(gallery, options, pairs, progress)
    if options.half != "all" and any(isinstance(task, HubnessTask) for task in tasks):
        notes = (*notes, "hubness is of all films, not of a half")
    measured: Measured = measure(embeddings, gallery, tasks, seed=options.seed, progress=progress)
    left_out = (*gallery.left_out, *(one for task in tasks for one in task.left_out))
    return LookAlikeEvaluation(
        tuple(measured.lists),
        measured.measures,
        left_out,
        (*notes, *unfitted, *measured.notes),
        len(gallery),
        options.half,
        options.seed,
        gallery,
        measured.lists,
    )


_Opened = tuple[Gallery, Sequence[str | Candidate], Sequence[str]]


def _open_gallery(home: Home | None, options: LookAlikeOptions) -> _Opened:
    """Open the films, and return the embeddings to compare, and why others cannot be."""
    if options.features is None:
        if home is None:
            raise ConfigError("name a workspace or features to measure")
        if options.films is not None or options.posters is not None:
            raise ConfigError("a workspace has films and posters of its own; films and posters go with features")
        return _workspace_gallery(Workspace.open(home), options)
    if home is not None:
        raise ConfigError("name either a workspace or features to measure, not both")
    films = _films(options.films)
    posters = poster_files(Path(options.posters)) if options.posters is not None else {}
    if isinstance(options.features, str | Path):
        return folder_gallery(options.features, films, posters), options.embeddings, ()
    movie_ids, maps = options.features
    return _array_gallery(movie_ids, np.asarray(maps), films, posters), options.embeddings, ()


def _workspace_gallery(workspace: Workspace, options: LookAlikeOptions) -> _Opened:
    by_name = {
        "+".join(map(name_of, views)): views for views in (open_views(workspace, one) for one in options.encoders)
    }
    each = {view.encoder: view for views in by_name.values() for view in views}
    if len(each) < 2:
        return workspace_gallery(next(iter(each.values()), workspace)), options.embeddings, ()
    gallery, columns = encoders_gallery(list(each.values()))
    candidates, unfitted = [], []
    for encoder, embedding in product(by_name, options.embeddings):
        name, parts = _column(encoder, embedding, options), [columns[name_of(view)] for view in by_name[encoder]]
        try:
            candidates.append(blended_candidate(name, embedding, parts))
        except DataError as error:
            unfitted.append(unmeasured(name, error))
    if not candidates:
        raise DataError("; ".join(unfitted))
    return gallery, candidates, unfitted


def _column(encoder: str, embedding: str | Candidate, options: LookAlikeOptions) -> str:
    """Name an embedding by what distinguishes it from the others."""
    name = embedding if isinstance(embedding, str) else embedding.name
    if len(options.encoders) == 1:
        return name
    return encoder if len(options.embeddings) == 1 else f"{encoder} {name}"


def _array_gallery(
    movie_ids: npt.ArrayLike, maps: npt.NDArray[Any], films: dict[int, Film], posters: dict[int, Path]
) -> Gallery:
    if maps.dtype.kind not in "fiub":
        raise TypeError(f"features: expected an array of real numbers, received one of {maps.dtype}")
    shape = maps.shape[1:]
    if len(shape) not in (1, 3) or not prod(shape):
        raise DataError(f"expected features (n, n_features) or maps of them, received the shape {maps.shape}")
    features = FilmFeatures.of(_checked_ids(movie_ids), maps.reshape(-1, prod(shape)))
    return Gallery(features, films, posters, map_shape=shape if len(shape) > 1 else None).checked()


def _checked_ids(movie_ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
    ids = np.asarray(movie_ids)
    if len(ids) and ids.dtype.kind not in "iu":
        raise TypeError(f"features: expected whole numbers as movie_ids, received {ids.dtype}")
    if ids.ndim != 1 or (ids < 1).any():
        raise DataError("expected a list of movie_ids of 1 or more")
    return ids.astype(np.int64)


def _films(films: str | Path | Iterable[Film] | None) -> dict[int, Film]:
    if films is None:
        return {}
    return read_films(Path(films)) if isinstance(films, str | Path) else {film.movie_id: film for film in films}


def _tasks(
    gallery: Gallery, options: LookAlikeOptions, pairs: Sequence[Pair] | None, progress: Progress
) -> tuple[list[Task], tuple[str, ...]]:
    """Prepare tasks; also why tasks that were not named cannot be measured."""
    half, seed = options.half, options.seed
    make: dict[TaskName, Callable[[], Task]] = {
        "alternate": partial(_alternate, gallery, pairs, options, progress),
        "series": partial(SeriesTask.of, gallery, half, seed),
        "distortion": partial(_distortion, gallery, options, progress),
        "genre": partial(LabelTask.of, "genre", gallery, half, seed),
        "decade": partial(LabelTask.of, "decade", gallery, half, seed),
        "hubness": HubnessTask,
    }
    tasks: list[Task] = []
    notes = []
    for name in TASKS:
        if options.tasks and name not in options.tasks:
            continue
        try:
            tasks.append(make[name]())
        except KeyartError as error:
            if name in options.tasks:
                raise type(error)(f"{name} cannot be measured: {error}") from error
            notes.append(f"{name} is not measured: {error}")
    return tasks, tuple(notes)


def _alternate(gallery: Gallery, pairs: Sequence[Pair] | None, options: LookAlikeOptions, progress: Progress) -> Task:
    if pairs is None:
        raise ConfigError("it needs a CSV of pairs, which name other posters of films")
    if not gallery.posters:
        raise ConfigError("it needs the folder of the posters, which are compared with the others")
    questions = alternate_questions(gallery, pairs, options.half, options.seed, progress)
    if not questions.items:
        reasons = "; ".join(str(one) for one in questions.left_out)
        raise DataError("there is no pair to ask about" + in_half(options.half) + (f"; {reasons}" if reasons else ""))
    return AlternateTask(questions)


def _distortion(gallery: Gallery, options: LookAlikeOptions, progress: Progress) -> Task:
    if not gallery.posters:
        raise ConfigError("it needs the folder of the posters, which are distorted")
    questions = distorted_questions(gallery, options.n_distorted, options.half, options.seed, progress)
    if not questions.items:
        raise DataError("no poster of a film with features can be read" + in_half(options.half))
    return DistortionTask(questions)
