"""The steps that learn from ratings: fit recommenders, tune their weight in the blend, evaluate them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from catalog.errors import ConfigError
from catalog.films import Catalog
from catalog.io.progress import Progress, silent
from cf.evaluation import splits
from cf.evaluation.evaluation import Scorecard
from cf.evaluation.splits import Split
from cf.hybrid.calibration import Calibration
from cf.hybrid.tuning import Tuning
from cf.hybrid.tuning import tune as tune_blend
from cf.models.neighbors import ItemCosine
from cf.ratings import Ratings
from keyart.recommend.models import FitReport, compare, ensure_fitted, fit_model, light_models, notes_on
from keyart.render.plots import draw_scorecards
from keyart.similarity.blending import MIN_ALPHA, check_model, compared_by, reset_hybrid, save_hybrid
from keyart.similarity.content import ContentSimilarity
from keyart.similarity.tuning import held_out_queries
from keyart.workspace.contents import open_ratings
from keyart.workspace.hints import names_workspace
from keyart.workspace.index import open_built_index
from keyart.workspace.layout import Home, Workspace

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

    from cf.models.spark_als import GridPoint

SplitKind = Literal["user", "random", "time", "cold", "folds"]


@names_workspace
def fit(home: Home, model: str, parameters: Mapping[str, Any] | None = None) -> FitReport:
    """Fit a recommender on the ratings of a workspace and store it there.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.
    model : str
        A recommender's name, as ``keyart fit`` lists them: "ease", "als", …
    parameters : mapping of str to object, optional
        Parameters of the recommender, in place of its defaults.

    Returns
    -------
    FitReport
        How many users, films and ratings it learned from, and the seconds that took.

    Raises
    ------
    ConfigError
        There is no such recommender or parameter, or what it needs is not installed.
    NotBuiltError
        There is no workspace, or it has no ratings.
    StoreError
        The model cannot be written; an earlier one is untouched.
    """
    workspace = Workspace.open(home)
    return fit_model(workspace, model, open_ratings(workspace), parameters)


@names_workspace
def grid_search(
    home: Home,
    n_factors: Sequence[int],
    n_iterations: Sequence[int],
    penalties: Sequence[float],
    *,
    n_folds: int = 3,
    seed: int = 0,
    spark: SparkSession | None = None,
) -> list[GridPoint]:
    """Try every combination of the parameters of ``spark-als`` by cross-validation on the ratings of a workspace.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.
    n_factors, n_iterations : sequence of int
        Spark's rank and maxIter.
    penalties : sequence of float
        Spark's regParam.
    n_folds : int, default 3
        Every rating is held out in one of them.
    seed : int, default 0
        Draws the folds, and the first factors.
    spark : SparkSession, optional
        By default one is opened, and closed again.

    Returns
    -------
    list of GridPoint
        The combinations, the one of the least squared error first.

    Raises
    ------
    ConfigError
        Spark is not installed, or refuses a parameter.
    NotBuiltError
        There is no workspace, or it has no ratings.
    """
    from cf.models import spark_als

    ratings = open_ratings(Workspace.open(home))
    return spark_als.grid_search(ratings, n_factors, n_iterations, penalties, n_folds=n_folds, seed=seed, spark=spark)


@dataclass(frozen=True)
class TuneReport:
    """The tuned weight of ratings, and how well the blend does by the number of ratings.

    Parameters
    ----------
    model : str
        The recommender that supplies item similarities.
    tuning : Tuning
        The blend, and its scores for films with so many ratings.
    notes : tuple of str
        What a reader should know, a sentence each.
    """

    model: str
    tuning: Tuning
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``keyart tune --json`` prints them.

        Returns
        -------
        dict
            model, blending (cf_share, n_ratings_at_half, calibration, content_share), buckets, notes.
        """
        return {"model": self.model, **asdict(self.tuning), "notes": list(self.notes)}


@names_workspace
def tune(
    home: Home,
    model: str = ItemCosine.name,
    *,
    calibration: str = "percentile",
    min_alpha: float = MIN_ALPHA,
    n_films: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> TuneReport:
    """Tune how much ratings and content count beside looks, by how many ratings there are, and store it.

    Three tenths of each user's ratings are held out; a blend is good if it ranks first what the same users liked there.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.
    model : str, default "item-cosine"
        The recommender that supplies item similarities; it is fitted if it is not yet.
    calibration : {"percentile", "z-score", "min-max", "reciprocal-rank"}, default "percentile"
        How item similarities are brought to the scale of visual ones.
    min_alpha : float in [0, 1], default 0.5
        Ratings count at most 1 - `min_alpha`; 0 allows what goes by ratings alone.
    n_films : int, default 200
        How many films are judged for each range of numbers of ratings.
    seed : int, default 0
        Draws what is held out.
    progress : Progress, optional
        Shows how far it is.

    Returns
    -------
    TuneReport
        The blend and its scores.

    Raises
    ------
    ConfigError
        There is no such recommender or calibration, it has no item similarities, or `min_alpha` is out of range.
    NotBuiltError
        There are no ratings, no index of posters, or no film has both.
    """
    check_model(model)
    try:
        chosen = Calibration(calibration)
    except ValueError as error:
        raise ConfigError(f"expected a calibration of {', '.join(Calibration)}; received {calibration!r}") from error
    if not 0 <= min_alpha <= 1:
        raise ConfigError(f"expected a min_alpha from 0 to 1, received {min_alpha}")
    workspace = Workspace.open(home)
    ratings = open_ratings(workspace)
    index = open_built_index(workspace)
    with Catalog.open(workspace.catalog_path) as catalog:
        content = ContentSimilarity.of(catalog)
    queries = held_out_queries(
        index.comparison(), ratings, model, content, n_films=n_films, seed=seed, progress=progress
    )
    tuning = tune_blend(queries, chosen, 1 - min_alpha)
    ensure_fitted(workspace, model, ratings)
    compared = compared_by(index.similarity, centered=index.centered)
    save_hybrid(workspace, model, tuning, compared, ratings.source)
    least = 1 - tuning.blending.cf_share
    note = f"without content, alpha is at least {least:g}; `keyart tune --reset` returns to the defaults"
    return TuneReport(model, tuning, (note,))


@names_workspace
def reset_tuning(home: Home) -> bool:
    """Return to the blend that holds without tuning.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.

    Returns
    -------
    bool
        Whether the blend was tuned.

    Raises
    ------
    NotBuiltError
        The workspace does not exist.
    """
    return reset_hybrid(Workspace.open(home))


@dataclass(frozen=True)
class Evaluation:
    """Recommenders compared on the same splits.

    Parameters
    ----------
    scorecards : tuple of Scorecard
        One per recommender: RMSE, MAE, Recall, NDCG, MRR with 95 % intervals, coverage, novelty and cost.
    k : int
        How many recommended films count.
    """

    scorecards: tuple[Scorecard, ...]
    k: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know, a sentence each."""
        return notes_on(self.scorecards)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values.

        Returns
        -------
        dict
            k, models: a list of scorecards, estimates as value, low and high; NaN where there is nothing to measure;
            notes.
        """
        models = [card.to_dict() for card in self.scorecards]
        return {"k": self.k, "models": models, "notes": list(self.notes)}

    def to_frame(self) -> pd.DataFrame:
        """Convert to a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per recommender, indexed by name; an estimate has the columns rmse, rmse.low and rmse.high.
        """
        import pandas as pd

        frame = pd.json_normalize([card.to_dict() for card in self.scorecards])
        return frame.rename(columns=lambda name: name.removesuffix(".value")).set_index("name")

    def plot(self, path: str | Path) -> None:
        """Plot RMSE against NDCG.

        Parameters
        ----------
        path : str or Path
            A .png, .svg or .pdf file.

        Raises
        ------
        ConfigError
            Matplotlib is not installed, or the ending is another one.
        StoreError
            The file cannot be written.
        """
        draw_scorecards(self.scorecards, self.k, Path(path))


@names_workspace
def evaluate(
    home: Home,
    models: Sequence[str] = (),
    split: SplitKind | Iterable[Split] = "user",
    *,
    k: int = 10,
    relevant_from: float = 0.0,
    test_share: float = 0.2,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Compare recommenders on the ratings of a workspace: all on the same splits, with full rankings.

    Parameters
    ----------
    home : str, Path or Workspace
        The workspace.
    models : sequence of str, optional
        Names as ``keyart fit`` lists them; by default all that need neither TensorFlow nor Spark.
    split : {"user", "random", "time", "cold", "folds"} or iterable of Split, default "user"
        How ratings are held out: a share of each user's, of all, the latest, all of some films, or each fifth in turn.
    k : int, default 10
        How many recommended films count.
    relevant_from : float, default 0
        The stars from which a held-out rating counts as relevant.
    test_share : float, default 0.2
        The share that is held out.
    seed : int, default 0
        Draws what is held out.
    progress : Progress, optional
        Shows how far it is, for each split.

    Returns
    -------
    Evaluation
        A scorecard per recommender, in their order.

    Raises
    ------
    ConfigError
        There is no such recommender, or what it needs is not installed.
    NotBuiltError
        There is no workspace.
    DataError
        There are too few ratings to split.
    """
    parts = _splits(home, split, test_share, seed) if isinstance(split, str) else split
    names = list(models) or light_models()
    return Evaluation(tuple(compare(names, parts, {}, k=k, relevant_from=relevant_from, progress=progress)), k)


def _splits(home: Home, kind: str, share: float, seed: int) -> Iterable[Split]:
    ratings = open_ratings(Workspace.open(home))
    if kind == "folds":
        return splits.k_fold(ratings, seed=seed)
    if kind == "time":
        return [splits.by_time(ratings, share)]
    seeded: Mapping[str, Callable[[Ratings, float, int], Split]] = {
        "user": splits.by_user,
        "random": splits.random_split,
        "cold": splits.item_cold,
    }
    if kind not in seeded:
        raise ConfigError(f"expected one of the splits {', '.join(get_args(SplitKind))}; received {kind!r}")
    return [seeded[kind](ratings, share, seed)]
