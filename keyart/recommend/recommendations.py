"""Recommend films to one user of a workspace, or from ratings they bring: rated films and unrated ones together.

A recommender cannot score films that nobody has rated; the cold-start model can, from their content. `UserRecommender`
opens both once for many requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse

from catalog.film import Film, Titled
from catalog.lazy import lazy
from catalog.scored_ids import ScoredIds
from catalog.text import plural
from cf.base import Ids, Recommender, rows_of
from cf.models.popularity import DampedMean
from cf.ratings import RatingMatrix
from keyart.recommend.history import LIKED_FROM, history_of, liked, select
from keyart.recommend.models import open_model, record_path
from keyart.recommend.new_films import Entry, UnratedFilms, merge, n_new_wanted
from keyart.recommend.personal_ratings import PersonalRatings
from keyart.recommend.reasons import THEY, YOU, LikedFilm, Person, Reason, Reasoner, reasons_of_means
from keyart.workspace.changes import Snapshot
from keyart.workspace.contents import open_films_and_ratings, rating_matrix
from keyart.workspace.layout import Workspace

if TYPE_CHECKING:
    import pandas as pd

# The default share of new films for a user without ratings.
_FRESH_WITHOUT_RATINGS = 0.2


@dataclass(frozen=True)
class RecommendedFilm(Titled):
    """A film recommended to a user.

    Parameters
    ----------
    rank : int
        From 1.
    movie_id : int
        MovieLens id.
    title : str
        As in MovieLens, without the year.
    year : int or None
        Year of release, where known.
    score : float
        The predicted stars, within the scale of the ratings; or a preference on the model's own scale, where it
        predicts no stars.
    mean_rating : float or None
        The mean of its ratings, in stars; None without ratings.
    n_ratings : int
        The number of its ratings.
    new : bool, default False
        Whether it had no ratings when the model was fitted: it is recommended for its poster, genres and year.
    imdb_id : str, optional
        IMDb's number, zero-padded, without ``tt``.
    tmdb_id : int, optional
        TMDB's number.
    by : tuple of str
        What it is recommended by, the most important first: taste (the user's ratings and those of others); for a new
        film looks, genres and year, or people and words; everybody or expected mean, where nothing is known of the
        user.
    because : tuple of LikedFilm
        The one or two films that the user liked and that speak for it most.
    why : str
        Both as a sentence.
    """

    rank: int
    movie_id: int
    title: str
    year: int | None
    score: float
    mean_rating: float | None
    n_ratings: int
    new: bool = False
    imdb_id: str | None = None
    tmdb_id: int | None = None
    by: tuple[str, ...] = ()
    because: tuple[LikedFilm, ...] = ()
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values.

        Returns
        -------
        dict
            The fields; because is a list of movie_id, title, year and rating.
        """
        return asdict(self) | {"by": list(self.by), "because": [asdict(film) for film in self.because]}


@dataclass(frozen=True)
class Recommendation:
    """Films recommended to a user.

    Parameters
    ----------
    model : str
        The name of the recommender.
    gives_stars : bool
        Whether scores are stars.
    films : tuple of RecommendedFilm
        Best first.
    notes : tuple of str
        Remarks in plain English, such as films that were ignored.
    """

    model: str
    gives_stars: bool
    films: tuple[RecommendedFilm, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``keyart recommend --json`` prints them.

        Returns
        -------
        dict
            model, gives_stars, results: a list of films, as the fields of `RecommendedFilm`; notes.
        """
        results = [film.to_dict() for film in self.films]
        facts = {"model": self.model, "gives_stars": self.gives_stars}
        return {**facts, "results": results, "notes": list(self.notes)}

    def to_frame(self) -> pd.DataFrame:
        """Convert to a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per film, best first: rank, movie_id, title, year, score, mean_rating, n_ratings, new, imdb_id,
            tmdb_id, by, because, why.
        """
        import pandas as pd

        columns = [one.name for one in fields(RecommendedFilm)]
        return pd.DataFrame([film.to_dict() for film in self.films], columns=columns).astype({"tmdb_id": "Int64"})


class UserRecommender:
    """A recommender of a workspace with its ratings, films and cold-start model; create it with `open`.

    Safe from several threads. A recommendation takes milliseconds; opening takes seconds, and memory for the model:
    `ease` holds four bytes for each pair of films.
    """

    def __init__(
        self,
        model: Recommender,
        notes: tuple[str, ...],
        ratings: RatingMatrix,
        films: Mapping[int, Film],
        unrated: UnratedFilms | None,
        snapshot: Snapshot,
    ) -> None:
        self.model = model
        self._notes = notes
        self._ratings = ratings
        self._films = films
        self._unrated = unrated
        self._snapshot = snapshot

    @classmethod
    def open(cls, workspace: Workspace, name: str, *, with_new: bool = True) -> Self:
        """Open a fitted model, and the cold-start model unless `with_new` is False."""
        # Before anything is read: files that change meanwhile make it outdated, not wrong.
        snapshot = Snapshot.take((workspace.catalog_path, workspace.features_dir, record_path(workspace, name)))
        films, ratings = open_films_and_ratings(workspace)
        matrix = rating_matrix(ratings)
        model, notes = open_model(workspace, name, ratings.source)
        unrated = UnratedFilms.open(workspace, list(films.values()), model.movie_ids_) if with_new else None
        return cls(model, notes, matrix, films, unrated, snapshot)

    def is_current(self) -> bool:
        """Return whether the files that it was read from are unchanged."""
        return self._snapshot.is_current()

    def for_user(self, user_id: int, k: int, fresh: float | None = None) -> Recommendation:
        """Recommend films to a user of the workspace; `fresh` is the least share of new films, 0 for none."""
        own = self._own(user_id)
        if user_id not in self.model.user_ids_:
            if len(own.movie_ids):
                return self._for_history(own, own, k, fresh, self._notes, THEY)
            return self._without_ratings(f"{self.model.name} knows no user {user_id}", k, fresh, self._notes)
        (rated,) = self.model.recommend([user_id], max(k, len(self.model.movie_ids_)), raw=True)
        # The user may have rated more films since the model was fitted.
        person = Person(own, self._unrated.factors_of(user_id) if self._unrated else None, THEY)
        return self._merged(rated, person, k, fresh, self._notes)

    def for_ratings(
        self, history: RatingMatrix, k: int, fresh: float | None = None, *, source: str = "what was rated"
    ) -> Recommendation:
        """Recommend films from the ratings of one person, one row.

        For the cold-start model and for models of choices, only films that were `liked` count.
        """
        chosen = select(history, liked(history))
        notes = (*self._notes, *self._remarks_on(history, chosen, source))
        return self._for_history(history, chosen, k, fresh, notes, YOU)

    def for_personal(self, personal: PersonalRatings, k: int, fresh: float | None = None) -> Recommendation:
        """Recommend films from the ratings of a file, and note what it was matched to."""
        result = self.for_ratings(personal.history(), k, fresh, source=personal.name)
        return replace(result, notes=(f"{personal.name}: {personal.summary()}", *result.notes))

    def _for_history(
        self,
        history: RatingMatrix,
        chosen: RatingMatrix,
        k: int,
        fresh: float | None,
        notes: tuple[str, ...],
        pronoun: str,
    ) -> Recommendation:
        known = history if self.model.predicts_stars else chosen
        n_films = max(k, len(self.model.movie_ids_))
        (rated,) = self.model.recommend_new(known, n_films, exclude_seen=False, raw=True)
        if not len(rated) or not np.isin(known.movie_ids, self.model.movie_ids_).any():
            why = f"{self.model.name} cannot recommend from these ratings"
            return self._without_ratings(why, k, fresh, notes, history.movie_ids)
        person = Person(history, self._unrated.factors_of_new(chosen) if self._unrated else None, pronoun)
        return self._merged(rated, person, k, fresh, notes)

    def _merged(
        self, rated: ScoredIds, person: Person, k: int, fresh: float | None, notes: tuple[str, ...]
    ) -> Recommendation:
        """Merge known films, by their raw scores, with new ones for a person's factors."""
        seen = person.history.movie_ids
        rated = self._shown(rated, seen)
        new: list[Entry] = []
        if self._unrated is not None and person.factors is not None and fresh != 0:
            new = self._unrated.by_preference(person.factors, rated, set(seen.tolist()))
        ranked = merge(rated, new, k, fresh or 0.0)
        reasons = Reasoner(self.model, self._unrated, self._films).reasons(ranked, person)
        # To a user who has rated everything, new films are shown on the scale of the cold-start model.
        gives_stars = self.model.predicts_stars and len(rated) > 0
        if gives_stars:
            stars = self.model.on_scale(np.array([entry.score for entry in ranked], np.float32)).tolist()
            ranked = [replace(entry, score=score) for entry, score in zip(ranked, stars, strict=True)]
        notes = (*notes, *_remarks(rated, new, k, fresh))
        return self._recommendation(self.model.name, gives_stars, ranked, notes, reasons)

    def _without_ratings(
        self, why: str, k: int, fresh: float | None, notes: tuple[str, ...], seen: Ids = ()
    ) -> Recommendation:
        """Recommend the best rated films, and among them the new films with the highest expected means."""
        rated = self._shown(self._best_rated, seen)
        new = self._unrated.by_mean(set(seen)) if self._unrated and fresh != 0 else []
        ranked = merge(rated, new, k, _FRESH_WITHOUT_RATINGS if fresh is None else fresh)
        why += ": these are the films that people like best" + (", and new ones" if new else "")
        notes = (*notes, why, *_remarks(rated, new, k, fresh))
        return self._recommendation(DampedMean.name, True, ranked, notes, reasons_of_means(ranked))

    @lazy
    def _best_rated(self) -> ScoredIds:
        model = self.model
        damped = DampedMean().fit(RatingMatrix(model.user_ids_, model.movie_ids_, model.seen_))
        nobody = RatingMatrix(np.ones(1, np.int32), model.movie_ids_, sparse.csr_array((1, len(model.movie_ids_))))
        (best,) = damped.recommend_new(nobody, max(1, len(model.movie_ids_)))
        return best

    def _shown(self, films: ScoredIds, seen: Ids) -> ScoredIds:
        """Leave out films that were seen, and those that have left the catalog since the model was fitted."""
        is_present = np.isin(films.ids, np.fromiter(self._films, np.int64, len(self._films)))
        return films.take(is_present & ~np.isin(films.ids, np.asarray(seen, np.int32)))

    def _own(self, user_id: int) -> RatingMatrix:
        """Return the current ratings of a user, which may be none."""
        (row,) = rows_of(self._ratings.user_ids, [user_id])
        own = self._ratings.values[[row] if row >= 0 else []]
        return history_of(self._ratings.movie_ids[own.indices], own.data)

    def _remarks_on(self, history: RatingMatrix, chosen: RatingMatrix, source: str) -> Iterator[str]:
        name = self.model.name
        if unknown := np.setdiff1d(history.movie_ids, self.model.movie_ids_).tolist():
            listed = ", ".join(map(str, unknown[:10])) + (", …" if len(unknown) > 10 else "")
            yield f"{plural(len(unknown), 'film')} of {source} without ratings here, passed over: {listed}"
        if not self.model.is_personal:
            yield f"{name} ranks films alike for everybody: {source} only leaves out what has been seen"
        elif not self.model.predicts_stars and (n := len(history.movie_ids) - len(chosen.movie_ids)):
            yield (
                f"{name} goes by which films were liked, not by stars: {plural(n, 'rating does', 'ratings do')} not "
                f"count, below {LIKED_FROM:g} stars and not above the mean of {source}"
            )

    def _recommendation(
        self, name: str, gives_stars: bool, ranked: list[Entry], notes: tuple[str, ...], reasons: Mapping[int, Reason]
    ) -> Recommendation:
        films = []
        for rank, entry in enumerate(ranked, start=1):
            film, reason = self._films[entry.movie_id], reasons[entry.movie_id]
            facts = film.movie_id, film.title, film.year, entry.score, film.mean_rating, film.n_ratings
            known_by = entry.new, film.imdb_id, film.tmdb_id
            films.append(RecommendedFilm(rank, *facts, *known_by, reason.by, reason.because, reason.sentence))
        return Recommendation(name, gives_stars, tuple(films), notes)


def recommend(workspace: Workspace, name: str, user_id: int, k: int, fresh: float | None = None) -> Recommendation:
    """Recommend films to a user of the workspace once; for more requests, keep a `UserRecommender`."""
    return UserRecommender.open(workspace, name, with_new=fresh != 0).for_user(user_id, k, fresh)


def recommend_new(
    workspace: Workspace, name: str, personal: PersonalRatings, k: int, fresh: float | None = None
) -> Recommendation:
    """Recommend films from one person's ratings; see `keyart.recommend.personal_ratings`."""
    return UserRecommender.open(workspace, name, with_new=fresh != 0).for_personal(personal, k, fresh)


def _remarks(rated: ScoredIds, new: list[Entry], k: int, fresh: float | None) -> Iterator[str]:
    if not len(rated):
        yield "every film that the model knows has been rated already"
    wanted = n_new_wanted(fresh or 0.0, k)
    if wanted and not new:
        yield "no new film has a poster, genres or a year; add some with `keyart add`"
    elif len(new) < wanted:
        yield f"new films requested: {wanted}; available: {len(new)}"
