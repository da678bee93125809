"""How to build an index."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from index.embedding import Similarity
from index.plan import Kind


@dataclass(frozen=True)
class Target:
    """The options an index was built with, defaults filled in; recorded as ``asked`` in ``index.json``."""

    kind: Kind | Literal["auto"] = "auto"
    target_recall: float = 0.99
    max_memory_bytes: int | None = None
    similarity: Similarity | Literal["auto"] = "auto"

    @classmethod
    def of(cls, options: IndexOptions, earlier: Target | None = None) -> Target:
        """Fill unset options from an earlier index, else with the defaults."""
        given = {field.name: getattr(options, field.name) for field in fields(cls)}
        return replace(earlier or cls(), **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class IndexOptions:
    """How to build an index of posters.

    An option that is None keeps the value that the workspace's index was built with; without an earlier index it takes
    the default named below.

    Parameters
    ----------
    kind : "auto", "exact" or "shortlist", optional
        How a query is answered. ``"exact"`` compares it with every film. ``"shortlist"`` compares it with those films
        that are most similar after a projection onto fewer dimensions, which is faster and takes less memory for
        more than some thousand films, and may miss a film. ``"auto"``, the default, chooses by the number of films
        and `max_memory_bytes`. The similarities returned are exact cosines in either case.
    center : bool, optional
        Subtract the mean of all films' features before comparing, so that similarities are cosines of centered
        features. By default only for an encoder with random weights, whose features all point in nearly the same
        direction.
    target_recall : float, optional
        The share of the truly nearest films that a shortlist should find, between 0 and 1, exclusive; by default
        0.99. An exact index always finds all of them.
    max_memory_bytes : int, optional
        The memory in bytes that answering queries may take, shared pages of the index's files included. By default a
        quarter of the machine's memory.
    rebuild : bool, default False
        Build the index anew, even where adding and removing films would bring it up to date.
    similarity : "cosine", "whitened" or "auto", optional
        What is compared. ``"cosine"`` takes the features as they are. ``"whitened"`` takes an embedding of them, fitted
        to the films of this catalog, which finds other posters of a film more often (docs/look-alikes.md); fewer than
        32 films have none, and are compared by ``"cosine"``. ``"auto"``,
        the default, is ``"whitened"`` from 256 films on, unless their posters are nearly all alike or the mean of the
        features is subtracted, else ``"cosine"``.

    Raises
    ------
    ValueError
        `kind` or `similarity` is unknown, `target_recall` is not between 0 and 1, or `center` is given with
        ``similarity="whitened"``, which subtracts a mean anyway.
    """

    kind: Kind | Literal["auto"] | None = None
    center: bool | None = None
    target_recall: float | None = None
    max_memory_bytes: int | None = None
    rebuild: bool = False
    similarity: Similarity | Literal["auto"] | None = None

    def __post_init__(self) -> None:
        if self.kind not in (None, "auto", *get_args(Kind)):
            raise ValueError(f"expected the kind auto, exact or shortlist, received {self.kind!r}")
        if self.similarity not in (None, "auto", *get_args(Similarity)):
            raise ValueError(f"expected the similarity auto, cosine or whitened, received {self.similarity!r}")
        if self.similarity == "whitened" and self.center is not None:
            raise ValueError("a whitened embedding subtracts a mean of its own; leave center out")
        if self.target_recall is not None and not 0 < self.target_recall < 1:
            raise ValueError(f"the recall should lie between 0 and 1, received {self.target_recall}")
