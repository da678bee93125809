"""Users, films to rate and recommendations; each part is opened on first use and follows the workspace."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

from catalog.errors import UnknownFilmError
from catalog.film import Film
from catalog.film_ids import parse_film_id
from catalog.matching import FilmMatcher
from cf.registry import MODELS, model_class
from keyart.recommend.history import history_of
from keyart.recommend.models import default_model, fitted_models, notes_on_default, record_path
from keyart.recommend.onboarding import FilmsToRate
from keyart.recommend.personal_files import PersonalFile
from keyart.recommend.personal_ratings import Status, match_ratings
from keyart.recommend.recommendations import Recommendation, UserRecommender
from keyart.recommend.users import User, Users
from keyart.web.schemas.films import FilmFacts
from keyart.web.schemas.users import (
    FittedModel,
    PersonalRatingsFacts,
    PersonalRow,
    RatedFilm,
    RatingsQuery,
    RecommendationQuery,
    Recommendations,
    RecommendedFilm,
    UserFacts,
    UserSummary,
)
from keyart.workspace.films import list_films, poster_list_paths
from keyart.workspace.hints import complete, home_option
from keyart.workspace.layout import Home, Workspace
from keyart.workspace.reloading import OnReload, Reloading

# A model of many films takes much memory, so only the most recently used ones stay open.
_MAX_OPEN_MODELS = 2
_N_BEST = 12


class UserService:
    """Answers about users, and recommends films. Safe to use from several threads."""

    def __init__(
        self,
        home: Home,
        has_poster: Callable[[int], bool],
        on_reload: OnReload = lambda _name, _outcome: None,
    ) -> None:
        self._workspace = workspace = Workspace.open(home)
        self._has_poster = has_poster
        self._on_reload = on_reload
        self._users = Reloading(
            "users", lambda: Users.open(workspace), lambda: [workspace.catalog_path], on_reload=on_reload
        )
        self._films_to_rate = Reloading(
            "films to rate",
            lambda: FilmsToRate.open(workspace),
            lambda: (workspace.catalog_path, workspace.features_dir, *poster_list_paths(workspace)),
            on_reload=on_reload,
        )
        self._matcher = Reloading(
            "films by id and title",
            lambda: FilmMatcher(list_films(workspace)),
            lambda: [workspace.catalog_path],
            on_reload=on_reload,
        )
        self._models: OrderedDict[str, Reloading[UserRecommender]] = OrderedDict()
        self._lock = Lock()

    def close(self) -> None:
        """Stop following the workspace."""
        parts: list[Reloading[Any]] = [self._users, self._films_to_rate, self._matcher, *self._models.values()]
        for part in parts:
            part.close()

    def models(self) -> list[FittedModel]:
        """List the fitted recommenders, the default first."""
        names = fitted_models(self._workspace)
        return [
            FittedModel(
                name=name,
                summary=MODELS[name].summary,
                gives_stars=model_class(name).predicts_stars,
                takes_new_users=model_class(name).takes_new_users,
                default=name == names[0],
            )
            for name in names
        ]

    def state(self) -> list[str]:
        """Return the state of what requests read anew: which recommenders are fitted."""
        return fitted_models(self._workspace)

    def users(self, digits: str, k: int) -> list[UserSummary]:
        """List the users whose user_id begins with some digits."""
        with self._users.use() as users:
            return [_summary(user) for user in users.beginning_with(digits, k)]

    def random_user(self) -> UserSummary:
        """Choose a random user."""
        with self._users.use() as users:
            return _summary(users.drawn())

    def user(self, user_id: int) -> UserFacts | None:
        """Describe a user; None for one without ratings."""
        with self._users.use() as users:
            user = users.find(user_id)
            if user is None:
                return None
            best = users.best_rated(user_id, _N_BEST, self._has_poster)
        rated = [RatedFilm(rating=stars, **self._facts(film).model_dump()) for film, stars in best]
        return UserFacts(**_summary(user).model_dump(), best_rated=rated)

    def films_to_rate(self, k: int, offset: int, seed: int) -> list[FilmFacts]:
        """List films to ask a new user about."""
        with self._films_to_rate.use() as films:
            return [self._facts(film) for film in films.listed(k, offset, seed)]

    def for_user(self, user_id: int, query: RecommendationQuery) -> Recommendations:
        """Recommend films to a user."""
        name = query.model or default_model(self._workspace)
        with self._model(name).use() as recommender:
            return self._response(
                recommender.for_user(user_id, query.k, query.fresh), name, by_default=query.model is None
            )

    def for_ratings(self, query: RatingsQuery) -> Recommendations:
        """Recommend films to somebody who brings their own ratings."""
        with self._matcher.use() as matcher:
            stars = {_movie_id(matcher, rated.movie_id): rated.rating for rated in query.ratings}
        history = history_of(list(stars), list(stars.values()))
        name = query.model or default_model(self._workspace)
        with self._model(name).use() as recommender:
            return self._response(
                recommender.for_ratings(history, query.k, query.fresh), name, by_default=query.model is None
            )

    def match_ratings(self, file: PersonalFile) -> PersonalRatingsFacts:
        """Match the ratings of a file to films."""
        with self._matcher.use() as matcher:
            result = match_ratings(file, matcher)
        stars = result.stars()
        films = {one.films[0].movie_id: one.films[0] for one in result.ratings if one.status is Status.MATCHED}
        return PersonalRatingsFacts(
            source=result.source,
            summary=result.summary(),
            counts=result.counts(),
            ratings=[
                RatedFilm(rating=stars[film.movie_id], **self._facts(film).model_dump()) for film in films.values()
            ],
            others=[
                PersonalRow(line=one.row.line, title=one.row.label, status=one.status)
                for one in result.ratings
                if one.status is not Status.MATCHED
            ],
        )

    def _model(self, name: str) -> Reloading[UserRecommender]:
        """Return a model; opening one may close the least recently used."""
        if name not in fitted_models(self._workspace):
            # Raises what is wrong; a model that cannot be opened displaces none that is open.
            UserRecommender.open(self._workspace, name)
        with self._lock:
            model = self._models.setdefault(name, self._watched_model(name))
            self._models.move_to_end(name)
            evicted = [self._models.popitem(last=False)[1] for _ in range(len(self._models) - _MAX_OPEN_MODELS)]
        for one in evicted:
            one.close(wait=False)
        return model

    def _watched_model(self, name: str) -> Reloading[UserRecommender]:
        workspace = self._workspace
        return Reloading(
            f"model {name}",
            lambda: UserRecommender.open(workspace, name),
            lambda: (workspace.catalog_path, workspace.features_dir, record_path(workspace, name)),
            on_reload=self._on_reload,
        )

    def _response(self, recommendation: Recommendation, name: str, *, by_default: bool) -> Recommendations:
        option = home_option(self._workspace.home)
        notes = recommendation.notes
        if by_default:
            notes = (*notes_on_default(name), *notes)
        response = recommendation.to_dict() | {"notes": [complete(note, option) for note in notes]}
        response["results"] = [
            RecommendedFilm(**row, has_poster=self._has_poster(row["movie_id"])) for row in response["results"]
        ]
        return Recommendations(**response)

    def _facts(self, film: Film) -> FilmFacts:
        return FilmFacts.of(film, self._has_poster(film.movie_id))


def _movie_id(matcher: FilmMatcher, name: int | str) -> int:
    """Return the movie_id of a film that a request names by another id."""
    film_id = None if isinstance(name, int) else parse_film_id(name)
    if film_id is None:
        return int(name)
    films = matcher.by_id(film_id)
    if len(films) != 1:
        raise UnknownFilmError(f"{len(films) or 'no'} {'films have' if films else 'film has'} the {film_id}")
    return films[0].movie_id


def _summary(user: User) -> UserSummary:
    return UserSummary(user_id=user.user_id, n_ratings=user.n_ratings, mean_rating=user.mean_rating)
