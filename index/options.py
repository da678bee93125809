"""What can be asked of an index when it is built."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from index.plan import Kind


@dataclass(frozen=True)
class Target:
    """What an index is built for; the record of an index holds it under ``asked``."""

    kind: Kind | Literal["auto"] = "auto"
    target_recall: float = 0.99
    max_memory_bytes: int | None = None


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

    Raises
    ------
    ValueError
        `kind` is unknown, or `target_recall` is not between 0 and 1.
    """

    kind: Kind | Literal["auto"] | None = None
    center: bool | None = None
    target_recall: float | None = None
    max_memory_bytes: int | None = None
    rebuild: bool = False

    def __post_init__(self) -> None:
        if self.kind not in (None, "auto", *get_args(Kind)):
            raise ValueError(f"expected the kind auto, exact or shortlist, received {self.kind!r}")
        if self.target_recall is not None and not 0 < self.target_recall < 1:
            raise ValueError(f"the recall should lie between 0 and 1, received {self.target_recall}")

    def target(self, earlier: Target | None = None) -> Target:
        """Replace what is None by that of an earlier index, else by the defaults.

        Parameters
        ----------
        earlier : Target, optional
            What the workspace's index was built for.

        Returns
        -------
        Target
            Complete.
        """
        earlier = earlier or Target()
        given = {field.name: getattr(self, field.name) for field in fields(Target)}
        return replace(earlier, **{name: value for name, value in given.items() if value is not None})
