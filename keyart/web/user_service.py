"""What is known of people's tastes, behind the routes: each part opened when it is first asked for, and anew when old.

Plain calls, made in threads, that know nothing of HTTP.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from catalog.errors import NotBuiltError
from catalog.film import Film
from cf.registry import MODELS, model_class
from keyart.recommend.history import history_of
from keyart.recommend.models import fitted_models
from keyart.recommend.onboarding import FilmsToRate
from keyart.recommend.recommendations import Recommendation, UserRecommender
from keyart.recommend.users import Viewer, Viewers
from keyart.web.schemas import FilmFacts
from keyart.web.user_schemas import (
    FittedModel,
    RatedFilm,
    RatingsQuestion,
    Recommendations,
    RecommendedTo,
    UserFacts,
    UserListed,
    UserQuestion,
)
from keyart.workspace.layout import Workspace

# A model of many films takes much memory, so those that were asked last stay open, and no more.
_N_OPEN = 2
# Who is shown films to rate has not chosen them: what gets fewer stars was not liked.
_LIKED_FROM = 3.0
_N_BEST = 12


class Ageing(Protocol):
    """What can tell that it is old."""

    def is_current(self) -> bool:
        """Tell whether it still holds.

        Returns
        -------
        bool
            False once it has to be opened anew.
        """
        ...


Opened = TypeVar("Opened", bound=Ageing)


class Kept(Generic[Opened]):
    """Something that takes long to open: opened when it is first asked for, by one thread at a time, and anew when old.

    Parameters
    ----------
    open_ : callable
        Opens it.
    """

    def __init__(self, open_: Callable[[], Opened]) -> None:
        self._open = open_
        self._opened: Opened | None = None
        self._opening = threading.Lock()

    def __call__(self) -> Opened:
        """Give it, opened.

        Returns
        -------
        object
            As it stands in the workspace now.

        Raises
        ------
        KeyartError
            It cannot be opened; the next call tries again.
        """
        opened = self._opened
        if opened is not None and opened.is_current():
            return opened
        with self._opening:
            # Another thread may have opened it while this one waited.
            if self._opened is None or not self._opened.is_current():
                # Two of them at once would take twice the memory.
                self._opened = None
                self._opened = self._open()
            return self._opened


class Tastes:
    """What the page for a user and its API ask. Safe to use from several threads; nothing is opened before it is asked.

    Parameters
    ----------
    home : Path
        The workspace folder.
    has_poster : callable
        Tells of a movie_id whether a poster can be shown.
    """

    def __init__(self, home: Path, has_poster: Callable[[int], bool]) -> None:
        self._workspace = Workspace.open(home)
        self._has_poster = has_poster
        self._viewers = Kept(lambda: Viewers.open(self._workspace))
        self._films_to_rate = Kept(lambda: FilmsToRate.open(self._workspace))
        self._recommenders: OrderedDict[str, Kept[UserRecommender]] = OrderedDict()
        self._choosing = threading.Lock()

    def models(self) -> list[FittedModel]:
        """List the recommenders that were fitted, the default first.

        Returns
        -------
        list of FittedModel
            Maybe none.
        """
        names = fitted_models(self._workspace)
        return [
            FittedModel(
                name=name,
                summary=MODELS[name].summary,
                gives_stars=model_class(name).predicts_stars,
                takes_new_users=model_class(name).takes_new_users,
                default=place == 0,
            )
            for place, name in enumerate(sorted(names, key=lambda name: name != "ease"))
        ]

    def users(self, digits: str, k: int) -> list[UserListed]:
        """List the users whose number begins so.

        Parameters
        ----------
        digits : str
            What somebody has typed.
        k : int
            How many at most.

        Returns
        -------
        list of UserListed
            By number.

        Raises
        ------
        NotBuiltError
            There are no ratings.
        """
        return [_listed(viewer) for viewer in self._viewers().beginning_with(digits, k)]

    def random_user(self) -> UserListed:
        """Draw any user.

        Returns
        -------
        UserListed
            Another each time.

        Raises
        ------
        NotBuiltError
            There are no ratings.
        """
        return _listed(self._viewers().drawn())

    def user(self, user_id: int) -> UserFacts | None:
        """Tell of a user.

        Parameters
        ----------
        user_id : int
            Whom.

        Returns
        -------
        UserFacts or None
            None where there is nobody of that number.

        Raises
        ------
        NotBuiltError
            There are no ratings.
        """
        viewers = self._viewers()
        viewer = viewers.find(user_id)
        if viewer is None:
            return None
        best = [
            RatedFilm(rating=stars, **self._facts(film).model_dump())
            for film, stars in viewers.best_rated(user_id, _N_BEST, self._has_poster)
        ]
        return UserFacts(**_listed(viewer).model_dump(), best_rated=best)

    def films_to_rate(self, k: int, offset: int, seed: int) -> list[FilmFacts]:
        """List films that are worth asking a newcomer about.

        Parameters
        ----------
        k : int
            How many.
        offset : int
            How many to pass over.
        seed : int
            Another seed asks about other films.

        Returns
        -------
        list of FilmFacts
            The most telling first.

        Raises
        ------
        NotBuiltError
            There are no ratings.
        """
        return [self._facts(film) for film in self._films_to_rate().listed(k, offset, seed)]

    def for_user(self, user_id: int, question: UserQuestion) -> Recommendations:
        """Recommend films to a user.

        Parameters
        ----------
        user_id : int
            Whom.
        question : UserQuestion
            How many films, and by which model.

        Returns
        -------
        Recommendations
            Best first.

        Raises
        ------
        KeyartError
            As `UserRecommender`.
        """
        return self._answer(self._recommender(question.model).for_user(user_id, question.k, question.fresh))

    def for_ratings(self, question: RatingsQuestion) -> Recommendations:
        """Recommend films to somebody new.

        Parameters
        ----------
        question : RatingsQuestion
            What they rated, how many films they want, and by which model.

        Returns
        -------
        Recommendations
            Best first.

        Raises
        ------
        KeyartError
            As `UserRecommender`.
        """
        stars = {rated.movie_id: rated.rating for rated in question.ratings}
        history = history_of(list(stars), list(stars.values()))
        recommender = self._recommender(question.model)
        found = recommender.for_ratings(history, question.k, question.fresh, liked_from=_LIKED_FROM)
        return self._answer(found)

    def _recommender(self, name: str | None) -> UserRecommender:
        """Give the model of a name, or the default one."""
        if name is None:
            models = self.models()
            if not models:
                raise NotBuiltError("no recommender has been fitted here; run `keyart fit ease`")
            name = models[0].name
        with self._choosing:
            kept = self._recommenders.setdefault(name, Kept(partial(UserRecommender.open, self._workspace, name)))
            self._recommenders.move_to_end(name)
            while len(self._recommenders) > _N_OPEN:
                self._recommenders.popitem(last=False)
        return kept()

    def _answer(self, found: Recommendation) -> Recommendations:
        results = [
            RecommendedTo(**row, has_poster=self._has_poster(row["movie_id"])) for row in found.to_dict()["results"]
        ]
        return Recommendations(
            model=found.model, gives_stars=found.gives_stars, results=results, notes=list(found.notes)
        )

    def _facts(self, film: Film) -> FilmFacts:
        return FilmFacts.of(film, self._has_poster(film.movie_id))


def _listed(viewer: Viewer) -> UserListed:
    return UserListed(user_id=viewer.user_id, n_ratings=viewer.n_ratings, mean_rating=viewer.mean_rating)
