"""Evaluate every recommender under the protocols of published results.

Each protocol can run alone, to reproduce one result of the documentation; without a name, all run. Models have their
default parameters, the same for every fold.

    python benchmarks/recommenders.py --data DIR [five-fold canonical top-n latest-small two-tower ranking autoencoder
        inversion]

DIR holds ml-100k/, ml-latest-small/ and, for the autoencoder, ml-1m/.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import lapack

from catalog.io.archives import unpacked
from catalog.movielens import RATING_NAMES
from cf.evaluation.evaluation import Scorecard, evaluate, predict_stars
from cf.evaluation.splits import Split, by_user, k_fold, random_split, read_split
from cf.ratings import Ratings, read_movielens, read_ratings
from cf.registry import MODELS, make

RATING = [
    *("damped-mean", "baseline", "user-cosine", "item-cosine", "sgd", "als", "spark-als", "bayesian"),
    *("keras-relu", "keras-sigmoid", "ranking"),
]
RANKING = [
    *("most-rated", "damped-mean", "baseline", "item-cosine", "sgd", "als", "bayesian", "keras-sigmoid"),
    *("implicit-als", "ease-plain", "ease", "implicit-autoencoder", "two-tower"),
]
SEEDS = (0, 1, 2)
TOP = (1, 5, 10, 50, 100)
EASE_STRENGTHS = (100, 300, 1_000, 3_000, 10_000)
# Star Wars twice, beside The Empire Strikes Back and American Beauty, by the ids of ml-1m; ml-100k has others.
STAR_WARS = ([260, 260], [1196, 2858])


def five_fold(data_dir: Path) -> None:
    # RMSE and MAE as in Surprise's README: the mean over random folds.
    ratings = read_movielens(data_dir / "ml-100k")
    print_rating("ML-100k, random 5-fold (seed 0)", RATING, list(k_fold(ratings, 5)))


def canonical(data_dir: Path) -> None:
    # The splits that come with ML-100k; compare u1 with GC-MC .905 and GLocal-K .889.
    folder = data_dir / "ml-100k"
    splits = [read_split(folder / f"u{fold}.base", folder / f"u{fold}.test") for fold in range(1, 6)]
    print_rating("ML-100k, u1 to u5", RATING, splits)


def latest_small(data_dir: Path) -> None:
    print_rating("ml-latest-small, 80/20", RATING, [random_split(read_movielens(data_dir / "ml-latest-small"))])


def top_n(data_dir: Path) -> None:
    # All rated films are relevant, as in the table of recommenders-team.
    ratings = read_movielens(data_dir / "ml-100k")
    print_header(f"ML-100k, 75/25 of each user, seeds {SEEDS}", "NDCG@10", "by seed", "Recall@10", "MRR")
    for name in present(RANKING):
        cards = [scorecard(name, [by_user(ratings, 0.25, seed)]) for seed in SEEDS]
        by_seed = " ".join(f"{card.ndcg.value:.4f}" for card in cards)
        means = [np.mean([getattr(card, measure).value for card in cards]) for measure in ("ndcg", "recall", "mrr")]
        print(f"| {name} | {means[0]:.4f} | {by_seed} | {means[1]:.4f} | {means[2]:.4f} |", flush=True)


def two_tower(data_dir: Path) -> None:
    # Ranked among all films, as in the tutorial, which does not exclude films seen in training.
    split = tutorial_split(data_dir)
    print_header("ML-100k shuffled with seed 42, 80,000/20,000", *(f"top-{k}" for k in TOP), "fit")
    for name in present(["most-rated", "two-tower"]):
        model, fit_s = fitted(name, split.train)
        for exclude_seen in (False, True):
            found = model.recommend(split.test.user_ids, max(TOP), exclude_seen=exclude_seen)
            pairs = zip(found, split.test.movie_ids, strict=True)
            positions = [np.flatnonzero(one.ids == film) for one, film in pairs]
            rank = np.array([found[0] if len(found) else max(TOP) for found in positions])
            row = " | ".join(f"{(rank < k).mean():.4f}" for k in TOP)
            print(f"| {name}{', seen left out' * exclude_seen} | {row} | {fit_s:.1f} s |", flush=True)


def ranking(data_dir: Path) -> None:
    split = tutorial_split(data_dir)
    for name in present(["baseline", "ranking"]):
        model, fit_s = fitted(name, split.train)
        errors = predict_stars(model, split.train, split.test)[0] - split.test.values
        print(f"{name}: RMSE {np.sqrt(np.mean(errors**2)):.4f}, fitted in {fit_s:.1f} s", flush=True)


def autoencoder(data_dir: Path) -> None:
    # Only the 500 most rated films, for all models.
    for folder in ("ml-100k", "ml-1m"):
        ratings = packed_ratings(data_dir / folder)
        movie_ids, n_ratings, _ = ratings.film_statistics()
        most_rated = ratings.of_films(movie_ids[np.argsort(-n_ratings, kind="stable")[:500]])
        print_losses(f"The 500 most rated films of {folder}", most_rated)
        print_header(f"The same films, 75/25 of each user, seeds {SEEDS}", "NDCG@10")
        for name in present(["autoencoder", "implicit-autoencoder", "ease-plain", "ease"]):
            cards = [scorecard(name, [by_user(most_rated, 0.25, seed)]) for seed in SEEDS]
            print(f"| {name} | {np.mean([card.ndcg.value for card in cards]):.4f} |", flush=True)


def print_losses(title: str, ratings: Ratings) -> None:
    # The article takes plain means and no penalty, and hides "a random part" of the preferences.
    plain = {"damping": 0.0, "weight_decay": 0.0}
    print_header(title, "hidden", "loss", "Star Wars to its sequel", "to American Beauty")
    for name, parameters in (("autoencoder", {}), *(("plain", {**plain, "hidden_share": n}) for n in (0.1, 0.2, 0.5))):
        model: Any = make("autoencoder", **parameters).fit(ratings.matrix())
        to_sequel, to_other = model.distances(*STAR_WARS)
        print(
            f"| {name} | {model.hidden_share} | {model.losses_[-1]:.4f} | {to_sequel:.4f} | {to_other:.4f} |",
            flush=True,
        )
    for share in (0.1, 0.2, 0.5):
        strength, loss, of_others = ease_loss(plain_preferences(ratings), share)
        print(
            f"| EASE, strength {strength:,} | {share} | {loss:.4f}; of other users {of_others:.4f} |  |  |", flush=True
        )


def plain_preferences(ratings: Ratings) -> np.ndarray:
    """Return what ratings say beyond the plain means of film and user, as the article has it; NaN where unknown."""
    values = ratings.matrix().values
    stars = np.full(values.shape, np.nan, np.float32)
    stars[np.repeat(np.arange(values.shape[0]), np.diff(values.indptr)), values.indices] = values.data
    mean = np.nanmean(stars)
    of_film, of_user = np.nanmean(stars, axis=0) - mean, np.nanmean(stars, axis=1, keepdims=True) - mean
    return np.asarray(stars - mean - of_film - of_user, np.float32)


def ease_loss(preferences: np.ndarray, hidden_share: float) -> tuple[int, float, float]:
    """Return the strength of EASE that predicts a tenth of the users best, its loss on the others, and on these.

    EASE learns from the others. As for the autoencoder, the loss is 0.2 times the mean square error on all known
    preferences and 0.8 times that on hidden ones.
    """
    learned, left_out = np.split(np.random.default_rng(0).permutation(preferences), [int(0.9 * len(preferences))])
    filled = np.nan_to_num(learned).astype(np.float64)
    gram = filled.T @ filled

    def losses(strength: int) -> tuple[float, float]:
        inverse = np.linalg.inv(gram + strength * np.eye(len(gram)))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        of_learned, of_left_out = (masked_loss(users, weights, hidden_share) for users in (learned, left_out))
        return of_learned, of_left_out

    found = {strength: losses(strength) for strength in EASE_STRENGTHS}
    strength = min(found, key=lambda each: found[each][1])
    return strength, *found[strength]


def masked_loss(preferences: np.ndarray, weights: np.ndarray, hidden_share: float) -> float:
    known, filled = ~np.isnan(preferences), np.nan_to_num(preferences)
    hidden = known & (np.random.default_rng(1).random(known.shape) < hidden_share)
    squares = np.square(filled - (filled * ~hidden / (1 - hidden_share)) @ weights)
    return float(0.2 * squares[known].mean() + 0.8 * squares[hidden].mean())


def inversion(data_dir: Path) -> None:
    # EASE has to invert one matrix of films x films; the rest should cost little. Processor time varies less than
    # time where other work goes on.
    columns = ("users", "films", "fit", "inversion", "ratio", "of processor time")
    print_header("EASE beside the inversion of films x films alone, in turn, medians", *columns)
    for folder in ("ml-100k", "ml-latest-small"):
        matrix = read_movielens(data_dir / folder).matrix()
        n_users, n_films = matrix.values.shape
        for name in present(["ease", "ease-plain"]):
            rounds = [(seconds(partial(make(name).fit, matrix)), inversion_seconds(n_films)) for _ in SEEDS]
            (ours, of_processor), (bare, bare_of_processor) = np.median(rounds, axis=0)
            row = f"{ours:.2f} s | {bare:.2f} s | {ours / bare:.2f} | {of_processor / bare_of_processor:.2f}"
            print(f"| {name}, {folder} | {n_users:,} | {n_films:,} | {row} |", flush=True)


def inversion_seconds(n_films: int) -> tuple[float, float]:
    """Time the inversion of a symmetric, positive definite matrix by Cholesky."""
    rows = np.random.default_rng(0).standard_normal((64, n_films))
    matrix = rows.T @ rows + n_films * np.eye(n_films)
    return seconds(lambda: lapack.dpotri(lapack.dpotrf(matrix.T, clean=False, overwrite_a=True)[0], overwrite_c=True))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that work takes, and those of the processor."""
    started, started_on_processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - started_on_processor


def tutorial_split(data_dir: Path) -> Split:
    ratings = read_ratings(data_dir / "ml-100k" / "u.data")
    order = np.random.default_rng(42).permutation(len(ratings))
    return Split("shuffled with seed 42", ratings.where(order[:80_000]), ratings.where(order[80_000:]))


def print_header(title: str, *columns: str) -> None:
    print(f"\n{title}\n\n| model | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")


def print_rating(title: str, names: Sequence[str], splits: Sequence[Split]) -> None:
    print_header(title, "RMSE", "by split", "MAE", "predicted", "fit")
    for name in present(names):
        cards = [scorecard(name, [split]) for split in splits]
        rmse, mae, predicted, fit_s = (
            float(np.mean(values))
            for values in zip(*((c.rmse.value, c.mae.value, c.predicted, c.fit_s) for c in cards), strict=True)
        )
        by_split = " ".join(f"{card.rmse.value:.4f}" for card in cards)
        print(f"| {name} | {rmse:.4f} | {by_split} | {mae:.4f} | {predicted:.1%} | {fit_s:.1f} s |", flush=True)


def scorecard(name: str, splits: Iterable[Split]) -> Scorecard:
    (card,) = evaluate({name: lambda: make(name)}, splits, n_resamples=1)
    return card


def fitted(name: str, train: Ratings) -> tuple[Any, float]:
    started = time.perf_counter()
    return make(name).fit(train.matrix()), time.perf_counter() - started


def packed_ratings(folder: Path) -> Ratings:
    with unpacked(folder, RATING_NAMES) as opened:
        return read_movielens(opened)


def present(names: Sequence[str]) -> list[str]:
    return [name for name in names if name in MODELS and name in ONLY]


PROTOCOLS: dict[str, Callable[[Path], None]] = {
    "five-fold": five_fold,
    "canonical": canonical,
    "top-n": top_n,
    "latest-small": latest_small,
    "two-tower": two_tower,
    "ranking": ranking,
    "autoencoder": autoencoder,
    "inversion": inversion,
}
ONLY: set[str] = set(MODELS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("protocols", nargs="*", choices=[[], *PROTOCOLS], help="by default all")
    parser.add_argument("--data", type=Path, required=True, help="the folder of ml-100k/, ml-latest-small/ and ml-1m/")
    parser.add_argument("--models", nargs="*", help="only these")
    arguments = parser.parse_args()
    if arguments.models:
        ONLY.intersection_update(arguments.models)
    for name in arguments.protocols or PROTOCOLS:
        PROTOCOLS[name](arguments.data)


if __name__ == "__main__":
    main()
