"""Build the rows of an index: normalize features, and for a shortlist fit a basis and tune its lengths.

Some films are held out from fitting the basis. Their true nearest films are computed in the same pass over the features
that projects them; shortlists are then made just long enough for the target recall.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import faiss
import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.progress import Advance, ignore
from index.backends.exact import ExactRows
from index.backends.projection import Projected, Projections, fit_basis, residuals
from index.backends.shortlist import ShortlistRows, Sizes
from index.embedding import N_DIMENSIONS, MapShape, Similarity, WhitenedEmbedding, why_impossible, why_unsuitable
from index.generation import Generation
from index.options import IndexOptions, Target
from index.plan import RANKS, Plan, make_plan
from index.recall import RECALL_KS, TIE, Trial, TrueNeighbors, hold_out, make_trial, measure, recall_of
from index.record import BuildRecord, Growth
from index.source import FilmFeatures, Ids
from index.vectors import FloatMatrix, faults, mean_row, unit_rows

# The recall measured on some hundred films may be off by some thousandths, so shortlists aim so much of the way higher.
_MARGIN = 0.3
# A film of the index may have near duplicates in it, sequels and other prints of one artwork, which are easy to find.
# What is nearest to an image from elsewhere is as far away as the neighbors of a film from this rank on, so its
# shortlist must be as long as theirs.
_FAR_RANK = 10
# Training a quantizer on more films than this does not improve it.
_N_TRAIN = 100_000
_CHUNK_ROWS = 50_000
_MAX_LISTED = 2000
# What is read in one go in the time that FAISS is called for one row; a narrow row is looked up in about half of it.
_CALL_BYTES = 15_000
_ROUNDING = 1e-5


def build_generation(
    features: FilmFeatures,
    options: IndexOptions,
    map_shape: MapShape | None,
    plan: Plan | None,
    rng: np.random.Generator,
    advance: Advance,
) -> tuple[Generation, BuildRecord]:
    """Build the first generation of an index, and measure it; films that cannot be compared are left out."""
    began = time.perf_counter()
    target = Target.of(options)
    left_out = faulty_films(features)
    good = without_films(features, left_out)
    plan = plan or plan_for(good, target, center=bool(options.center))
    compared, mean, embedding = good, mean_row(good) if options.center else None, None
    growth = Growth(len(good))
    if plan.similarity == "whitened":
        embedding, growth = _fit_embedding(good, map_shape, rng)
        compared, mean = embedding.embed(good), None
    advance(len(left_out))
    rows, trial = _build_rows(compared, plan, mean, rng, target.target_recall, advance)
    if isinstance(rows, ShortlistRows) and embedding is None:
        growth = Growth(len(good), float(residuals(rows.projected(trial.rows)).mean()))
    build_s = round(time.perf_counter() - began, 2)
    quality = measure(rows, trial, target.target_recall)
    generation = Generation(good.movie_ids, tuple(good.poster_sha256s), rows, growth, left_out, embedding)
    record = BuildRecord(target, plan.reason, plan.similarity_because, plan.n_bytes, build_s, quality)
    return generation, record


def build_beside(
    features: FilmFeatures, films: Generation, target: Target, rng: np.random.Generator
) -> tuple[Generation, BuildRecord]:
    """Build an index of other posters in the space of the films' index: by its embedding, or less its mean."""
    began = time.perf_counter()
    left_out = faulty_films(features)
    good = without_films(features, left_out)
    embedding, mean = films.embedding, films.rows.mean
    compared = good if embedding is None else embedding.embed(good)
    memory_bytes, is_embedded = target.max_memory_bytes, embedding is not None
    plan = make_plan(len(good), compared.n_features, "auto", memory_bytes, embedded=is_embedded)
    plan = replace(plan, similarity=films.similarity, similarity_because="as the films are")
    rows, trial = _build_rows(compared, plan, mean, rng, target.target_recall, ignore)
    build_s = round(time.perf_counter() - began, 2)
    quality = measure(rows, trial, target.target_recall)
    hashes = tuple(good.poster_sha256s)
    generation = Generation(good.movie_ids, hashes, rows, Growth(len(good)), left_out, embedding)
    return generation, BuildRecord(target, plan.reason, plan.similarity_because, plan.n_bytes, build_s, quality)


def _build_rows(
    compared: FilmFeatures,
    plan: Plan,
    mean: FloatMatrix | None,
    rng: np.random.Generator,
    target_recall: float,
    advance: Advance,
) -> tuple[ExactRows | ShortlistRows, Trial]:
    if plan.kind != "exact":
        return build_shortlist(compared, plan, mean, rng, target_recall, advance)
    rows = ExactRows.build(compared, mean, half=plan.similarity == "whitened")
    trial = make_trial(rows, rng)
    advance(len(compared))
    return rows, trial


def plan_for(features: FilmFeatures, target: Target, *, center: bool = False, takes_text: bool = False) -> Plan:
    """Choose what is compared, and how, of films that are all `comparable`.

    `takes_text` says that words are compared with the features, too. Raises ConfigError where no index fits into the
    memory.
    """
    similarity, because = _choose_similarity(features, target.similarity, center=center, takes_text=takes_text)
    n_columns = min(features.n_features, N_DIMENSIONS) if similarity == "whitened" else features.n_features
    embedded = similarity == "whitened"
    plan = make_plan(len(features), n_columns, target.kind, target.max_memory_bytes, embedded=embedded)
    return replace(plan, similarity=similarity, similarity_because=because)


def _choose_similarity(
    features: FilmFeatures, wanted: Similarity | Literal["auto"], *, center: bool, takes_text: bool
) -> tuple[Similarity, str]:
    if wanted == "cosine":
        return wanted, "as requested"
    if wanted == "whitened":
        reason = why_impossible(len(features))
        return ("cosine", reason) if reason else (wanted, "as requested")
    if takes_text:
        return "cosine", "words can be compared with features as they are only"
    if center:
        return "cosine", "the mean of the features is subtracted instead"
    if reason := why_unsuitable(features):
        return "cosine", reason
    return "whitened", f"{len(features):,} films are enough to learn from how they differ"


def _fit_embedding(
    features: FilmFeatures, map_shape: MapShape | None, rng: np.random.Generator
) -> tuple[WhitenedEmbedding, Growth]:
    """Fit an embedding, and measure on films held out from that what it leaves out of others."""
    held_out = hold_out(len(features), rng)
    others = np.setdiff1d(np.arange(len(features)), held_out)
    embedding = WhitenedEmbedding.fit(features.take(others) if len(others) else features, map_shape, rng)
    left_out = float(embedding.residuals(features.take(held_out)).mean())
    # Where directions span all columns, what they leave out are rounding errors.
    return embedding, Growth(len(features), left_out if left_out > _ROUNDING else 0.0)


def comparable(features: FilmFeatures) -> FilmFeatures:
    """Leave out films that cannot be compared; raises DataError where none is left."""
    return without_films(features, faulty_films(features))


def faulty_films(features: FilmFeatures) -> dict[int, str]:
    """Return why films cannot be compared, by movie_id."""
    reasons: dict[int, str] = {}
    start = 0
    for block in features.blocks():
        reasons |= {int(features.movie_ids[start + row]): reason for row, reason in faults(block).items()}
        start += len(block)
    return reasons


def without_films(features: FilmFeatures, left_out: Mapping[int, str]) -> FilmFeatures:
    """Leave out films; raises DataError where none is left."""
    if not left_out:
        return features
    if len(left_out) == len(features):
        movie_id, reason = next(iter(left_out.items()))
        raise DataError(f"none of the {len(features)} films can be compared; movie_id {movie_id}: {reason}")
    return features.take(np.flatnonzero(~np.isin(features.movie_ids, list(left_out))))


def build_shortlist(
    features: FilmFeatures,
    plan: Plan,
    mean: FloatMatrix | None,
    rng: np.random.Generator,
    target_recall: float,
    advance: Advance = ignore,
) -> tuple[ShortlistRows, Trial]:
    """Fit a basis, project all films, and tune shortlists for the recall of 1, 10 and 100 hits.

    Returns also the held-out films to measure by.
    """
    held_out = hold_out(len(features), rng)
    # A single film is held out, and yet all that there is to fit.
    others = np.setdiff1d(np.arange(len(features)), held_out) if len(features) > 1 else held_out
    rank = min(plan.rank, len(others), features.n_features)
    basis, _ = fit_basis(features.take(others), rank, mean, rng)
    projected, trial = _project(features, basis, mean, held_out, advance)
    aim = target_recall + _MARGIN * (1 - target_recall)
    rank, sizes = _choose_rank(projected.rows, trial, plan, features, aim)
    rows = ShortlistRows(
        features,
        np.ascontiguousarray(basis[:, :rank]),
        Projections(_encode(projected.rows[:, :rank], plan, rng), projected.lengths, projected.checksums),
        mean,
        sizes,
    )
    return _lengthened(rows, trial, plan.n_lists, aim), trial


def _project(
    features: FilmFeatures, basis: FloatMatrix, mean: FloatMatrix | None, held_out: Ids, advance: Advance
) -> tuple[Projected, Trial]:
    """Read every film once: for its projection, and for its cosines with those held out."""
    projected = Projected.zeros(basis.shape[1], len(features))
    nearest = TrueNeighbors(held_out, unit_rows(features.read(held_out), mean)[0], len(features))
    start = 0
    for block in features.blocks():
        units, lengths = unit_rows(block, mean)
        projected.put(start, block, lengths, units @ basis)
        nearest.add_block(start, units)
        start += len(block)
        advance(len(block))
    return projected, nearest.trial()


def _choose_rank(
    projected: npt.NDArray[np.float16], trial: Trial, plan: Plan, features: FilmFeatures, target_recall: float
) -> tuple[int, Sizes]:
    """Choose the basis that costs a query least: a shorter one is searched faster, and needs a longer list."""
    row_bytes = features.n_features * features.dtype.itemsize
    longest = projected.shape[1]
    best: tuple[float, int, Sizes] | None = None
    for rank in [rank for rank in RANKS if rank < longest] + [longest]:
        sizes = _sizes(_ranks_of_neighbors(projected[:, :rank], trial), target_recall)
        n_searched = len(projected) if not plan.n_lists else len(projected) / 8
        # A row comes from the disk, or from far apart in memory: twice the cost of what is read in one go.
        cost_bytes = 2.0 * rank * n_searched + (2.0 * row_bytes + _CALL_BYTES) * sizes.for_hits(10)
        if best is None or cost_bytes < best[0]:
            best = (cost_bytes, rank, sizes)
    if best is None:
        raise ValueError("a basis has one direction at least")
    return best[1], replace(best[2], n_probe=max(1, plan.n_lists // 32) if plan.n_lists else 0)


def _ranks_of_neighbors(projected: npt.NDArray[np.float16], trial: Trial) -> Ids:
    """Return each true neighbor's rank by projection, from 0; of shape (n, k)."""
    queries = projected[trial.rows].astype(np.float32)
    neighbor_scores = np.einsum("ijk,ik->ij", projected[trial.neighbors].astype(np.float32), queries)
    ranks = np.zeros(trial.neighbors.shape, np.int64)
    for start in range(0, len(projected), _CHUNK_ROWS):
        scores = queries @ projected[start : start + _CHUNK_ROWS].astype(np.float32).T
        own = (trial.rows >= start) & (trial.rows < start + scores.shape[1])
        scores[np.flatnonzero(own), trial.rows[own] - start] = -np.inf
        for query, (row, values) in enumerate(zip(scores, neighbor_scores, strict=True)):
            # Sum and product differ by rounding, so that a film may seem to rank ahead of itself.
            ranks[query] += len(row) - np.searchsorted(np.sort(row), values + TIE, side="right")
    return ranks


def _sizes(ranks: Ids, target_recall: float) -> Sizes:
    by_k: dict[int, int] = {}
    for k in RECALL_KS:
        if k <= ranks.shape[1]:
            # One more for the query film itself, which is on its own list.
            enough = 2 + max(
                np.quantile(ranks[:, first : first + k] - first, target_recall, method="higher")
                for first in (0, min(_FAR_RANK, ranks.shape[1] - k))
            )
            by_k[k] = max(int(enough), k + 1, *by_k.values())
    return Sizes(by_k or {1: 2})


def _encode(projected: npt.NDArray[np.float16], plan: Plan, rng: np.random.Generator) -> faiss.Index:
    rank = projected.shape[1]
    # Product quantization cuts rows into equal parts. Without "np", FAISS spends a second on each part on tables that
    # are not used here.
    n_parts = next(n for n in range(max(1, rank // 8), 0, -1) if rank % n == 0)
    codec = f"PQ{n_parts}np" if plan.codec == "PQ" else plan.codec
    spec = f"IVF{plan.n_lists},{codec}" if plan.n_lists else codec
    codes = faiss.index_factory(rank, spec, faiss.METRIC_INNER_PRODUCT)
    sample = np.sort(rng.choice(len(projected), min(_N_TRAIN, len(projected)), replace=False))
    codes.train(projected[sample].astype(np.float32))
    for start in range(0, len(projected), _CHUNK_ROWS):
        codes.add(projected[start : start + _CHUNK_ROWS].astype(np.float32))
    return codes


def _lengthened(rows: ShortlistRows, trial: Trial, n_lists: int, target_recall: float) -> ShortlistRows:
    """Search more lists, then longer shortlists, until the measured recall reaches the target.

    What quantizing and inverted lists lose can only be measured.
    """
    while min(recall_of(rows, trial).values(), default=1.0) < target_recall:
        sizes = rows.sizes
        if 0 < sizes.n_probe < n_lists:
            rows = rows.with_sizes(replace(sizes, n_probe=min(2 * sizes.n_probe, n_lists)))
        elif sizes.for_hits(10) < min(len(rows), _MAX_LISTED):
            rows = rows.with_sizes(replace(sizes, by_k={k: 1 + n * 5 // 4 for k, n in sizes.by_k.items()}))
        else:
            break
    return rows
