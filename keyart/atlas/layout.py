"""Positions and clusters of posters on the map, computed from their features.

Features are read in blocks and reduced to rows of length 1 in a truncated basis, whose inner products approximate the
cosines of `keyart similar`. Everything else is computed from these rows.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from itertools import count

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from catalog.errors import ConfigError
from catalog.extras import pip_install, require
from index.backends.projection import fit_basis, project
from index.source import FilmFeatures
from index.vectors import FloatMatrix, faults, unit_rows

Labels = npt.NDArray[np.int32]

# Of 2,000 real posters, 100 directions keep 88 of 100 nearest neighbors and 50 keep 76; more make little difference on
# the map.
_RANK = 100
_PERPLEXITY = 30
_N_NEIGHBORS = 10
# Of the map, whose half side is 1: what counts as the same part of it.
_BANDWIDTH = 0.1
_N_SHIFTS = 5
_FEWEST_CLUSTERS, _MOST_CLUSTERS = 2, 30
_BLOCK_ROWS = 1024
# Of the side of the map: less than a pixel, until one comes so near that posters no longer touch.
_GAP = 2e-4
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


class Method(StrEnum):
    """How rows are laid out in a plane."""

    TSNE = "tsne"
    UMAP = "umap"


def require_libraries(method: Method) -> None:
    """Raise ConfigError unless the libraries of a layout are installed."""
    require("atlas", "the atlas")
    if method is Method.UMAP and find_spec("umap") is None:
        raise ConfigError(f"--method umap needs umap-learn: {pip_install('umap-learn')}; without --method, it is t-SNE")


def sound(features: FilmFeatures) -> npt.NDArray[np.intp]:
    """Return the rows of films whose features are finite and not zero."""
    wrong: list[int] = []
    start = 0
    for block in features.blocks():
        wrong += [start + row for row in faults(block)]
        start += len(block)
    return np.setdiff1d(np.arange(len(features)), wrong)


def find_basis(features: FilmFeatures, seed: int) -> FloatMatrix:
    """Compute the directions in which posters differ most, of shape (n_features, rank)."""
    rank = min(_RANK, len(features), features.n_features)
    return fit_basis(features, rank, None, np.random.default_rng(seed))[0]


def reduce(features: FilmFeatures, basis: FloatMatrix, advance: Callable[[int], None] = lambda _: None) -> FloatMatrix:
    """Project posters onto a basis; rows have length 1."""
    rows = np.zeros((len(features), basis.shape[1]), np.float32)
    start = 0
    for block in features.blocks():
        rows[start : start + len(block)] = unit_rows(project(unit_rows(block, None)[0], basis), None)[0]
        start += len(block)
        advance(len(block))
    return rows


def lay_out(rows: FloatMatrix, method: Method, seed: int) -> FloatMatrix:
    """Lay films out in a plane, similar ones near each other; positions of shape (n, 2) in [-1, 1].

    For rows of length 1, Euclidean neighbors are those of the cosine. The layout starts from the first two principal
    components, which keeps the large shape of the map the same from one run to the next.

    References
    ----------
    .. [1] L. van der Maaten, "Accelerating t-SNE using tree-based algorithms", JMLR 15, 2014.
    .. [2] D. Kobak, P. Berens, "The art of using t-SNE for single-cell transcriptomics", Nature Communications 10,
       2019: why to begin with the first principal components.
    .. [3] L. McInnes, J. Healy, J. Melville, "UMAP: uniform manifold approximation and projection", 2018.
    """
    if len(rows) < 4:
        # t-SNE needs four; so few posters have no layout worth computing.
        return apart(np.zeros((len(rows), 2), np.float32), gap=0.5)
    first = _principal_plane(rows)
    layout = _tsne(rows, first, seed) if method is Method.TSNE else _umap(rows, first, seed)
    layout -= (layout.min(axis=0) + layout.max(axis=0)) / 2
    return apart((layout / max(float(np.abs(layout).max()), 1e-9)).astype(np.float32))


def place(new: FloatMatrix, rows: FloatMatrix, positions: FloatMatrix) -> FloatMatrix:
    """Place new films on an existing map, among their nearest neighbors.

    References
    ----------
    .. [1] D. Comaniciu, P. Meer, "Mean shift: a robust approach toward feature space analysis", PAMI 24(5), 2002.
    """
    placed = np.empty((len(new), 2), np.float32)
    k = min(_N_NEIGHBORS, len(rows))
    for start in range(0, len(new), _BLOCK_ROWS):
        cosines = new[start : start + _BLOCK_ROWS] @ rows.T
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        # Of rows of length 1 the squared distance is 2 - 2 cos.
        squares = np.maximum(2 - 2 * np.take_along_axis(cosines, nearest, axis=1), 1e-6)
        placed[start : start + _BLOCK_ROWS] = _densest(positions[nearest], 1 / squares)
    return apart(placed, taken=positions)


def _densest(places: FloatMatrix, weights: FloatMatrix) -> FloatMatrix:
    """Find the densest point of weighted positions: (m, k, 2) and (m, k) to (m, 2).

    The neighbors of a film often lie in two or three parts of the map, and their mean in none of these: of 200 real
    posters, 21 of 100 nearest were among the 30 nearest on the map when placed at the mean, and 42 when placed so.
    """
    result = np.median(places, axis=1)
    for _ in range(_N_SHIFTS):
        apart_ = ((places - result[:, None]) ** 2).sum(axis=2)
        # Far from all of them, weights are even rather than zero.
        pull = weights * (np.exp(-apart_ / (2 * _BANDWIDTH**2)) + 1e-9)
        result = np.einsum("mk,mkd->md", pull / pull.sum(axis=1, keepdims=True), places)
    return result.astype(np.float32)


def apart(positions: FloatMatrix, *, taken: FloatMatrix | None = None, gap: float = _GAP) -> FloatMatrix:
    """Move films that are nearer than `gap` to another, each along a spiral to a free position."""
    moved = positions.copy()
    settled = np.empty((0, 2), np.float32) if taken is None else taken
    crowded = _crowded(moved, settled, gap)
    alone = np.setdiff1d(np.arange(len(moved)), crowded)
    tree = cKDTree(np.concatenate([settled, moved[alone]]))
    for number, film in enumerate(crowded.tolist()):
        moved[film] = _free_place(moved[film], tree, moved[crowded[:number]], gap)
    return moved


def default_n_clusters(n_films: int) -> int:
    """Choose a number of clusters that fits a legend, by the number of films."""
    return int(np.clip(round(np.sqrt(n_films) / 2), _FEWEST_CLUSTERS, _MOST_CLUSTERS))


def find_centroids(rows: FloatMatrix, n_clusters: int, seed: int) -> FloatMatrix:
    """Cluster films by k-means; centroids by descending size of their clusters.

    References
    ----------
    .. [1] D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    from sklearn.cluster import KMeans

    n_differing = len(np.unique(rows, axis=0))
    fitted = KMeans(min(n_clusters, n_differing), n_init=4, random_state=seed).fit(rows)
    order = np.argsort(-np.bincount(fitted.labels_), kind="stable")
    return np.ascontiguousarray(fitted.cluster_centers_[order], np.float32)


def nearest_centroid(rows: FloatMatrix, centroids: FloatMatrix) -> Labels:
    """Return the number of each film's nearest centroid."""
    # In |row - centroid|² the row's own length is the same for all centroids.
    nearest: Labels = np.argmax(rows @ centroids.T - (centroids**2).sum(axis=1) / 2, axis=1).astype(np.int32)
    return nearest


def _principal_plane(rows: FloatMatrix) -> FloatMatrix:
    """Project rows onto their first two principal components, scaled down as t-SNE needs its initial layout."""
    centered = rows - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    axes = vectors[:, np.argsort(-values)[:2]]
    # The decomposition leaves the sign of an axis open, which must not mirror the map.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    plane = np.zeros((len(rows), 2), np.float32)
    plane[:, : axes.shape[1]] = centered @ axes
    return plane * (1e-4 / max(float(plane[:, 0].std()), 1e-12))


def _tsne(rows: FloatMatrix, first: FloatMatrix, seed: int) -> FloatMatrix:
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    layout = TSNE(2, perplexity=perplexity, init=first, random_state=seed)
    # Its many short parallel steps cost more in waiting than they save, on a busy machine ten times as much.
    with threadpool_limits(1):
        fitted: FloatMatrix = layout.fit_transform(rows)
    return fitted


def _umap(rows: FloatMatrix, first: FloatMatrix, seed: int) -> FloatMatrix:
    import umap

    # With a seed UMAP uses one thread, and warns unless n_jobs is 1.
    n_neighbors = min(15, len(rows) - 1)
    layout = umap.UMAP(n_neighbors=n_neighbors, init=first / first.std() * 5, random_state=seed, n_jobs=1)
    fitted: FloatMatrix = layout.fit_transform(rows)
    return fitted


def _crowded(positions: FloatMatrix, settled: FloatMatrix, gap: float) -> npt.NDArray[np.intp]:
    """Return the rows that are too near to another; of two movable films the later one."""
    near = {later for _, later in cKDTree(positions).query_pairs(gap)}
    if len(settled) and len(positions):
        near |= set(np.flatnonzero(cKDTree(settled).query(positions)[0] < gap).tolist())
    return np.array(sorted(near), np.intp)


def _free_place(position: FloatMatrix, tree: cKDTree, others: FloatMatrix, gap: float) -> FloatMatrix:
    """Find the nearest position on a spiral that is free of the films of the tree and of the others."""
    for step in count(1):
        angle, radius = step * _GOLDEN_ANGLE, 1.2 * gap * np.sqrt(step)
        tried: FloatMatrix = position + np.float32(radius) * np.array([np.cos(angle), np.sin(angle)], np.float32)
        away = np.linalg.norm(others - tried, axis=1).min(initial=np.inf)
        if away >= gap and tree.query(tried)[0] >= gap:
            return tried
    raise AssertionError("a spiral has no end")
