"""Measure several embeddings on the same questions, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog.errors import DataError
from catalog.io.progress import Advance, Progress, silent
from cf.evaluation.metrics import Estimate
from index.source import Ids
from keyart.similarity.evaluation.candidates import Candidate, check_candidates, fit_candidate
from keyart.similarity.evaluation.gallery import Gallery
from keyart.similarity.evaluation.paired import compare
from keyart.similarity.evaluation.tasks import Outcome, Task, TaskName, View

_UNKNOWN = Estimate(*[float("nan")] * 3)


@dataclass(frozen=True)
class Figure:
    """A measure of one embedding; `gain` is by how many percent it is above that of the first."""

    embedding: str
    value: Estimate
    gain: Estimate

    def cells(self) -> dict[str, float]:
        """Convert to columns."""
        value, gain = self.value, self.gain
        cells = {"value": value.value, "low": value.low, "high": value.high}
        return cells | {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}


@dataclass(frozen=True)
class Measure:
    """One measure of all embeddings; of a distorted poster, also how it was distorted."""

    task: TaskName
    measure: str
    n_questions: int
    n_groups: int
    figures: tuple[Figure, ...]
    distortion: str | None = None
    strength: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)

    def to_rows(self) -> list[dict[str, Any]]:
        """Convert to flat rows, one for each embedding."""
        what = {name: getattr(self, name) for name in ("task", "measure", "distortion", "strength")}
        counts = {name: getattr(self, name) for name in ("n_questions", "n_groups")}
        return [what | {"embedding": one.embedding} | one.cells() | counts for one in self.figures]


@dataclass(frozen=True)
class Measured:
    """All measures, and each embedding's list of ten of every film, as rows."""

    measures: tuple[Measure, ...]
    lists: dict[str, Ids]
    # Why embeddings were left out.
    notes: tuple[str, ...] = ()


def measure(
    wanted: Sequence[str | Candidate],
    gallery: Gallery,
    tasks: Sequence[Task],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Measured:
    """Fit embeddings to the films and measure them, one after the other; the first is what others are compared with.

    Those that cannot be fitted to these films are left out; raises DataError where none can.
    """
    check_candidates(wanted)
    candidates, notes = _fitted(wanted, gallery)
    outcomes: list[list[Outcome]] = []
    lists = {}
    with progress("evaluate", len(candidates) * len(gallery), "films") as advance:
        for candidate in candidates:
            result, lists[candidate.name] = _outcomes(candidate, gallery, tasks, advance)
            outcomes.append(result)
    rows = zip(*outcomes, strict=True)
    return Measured(tuple(_measure([*lists], row, seed) for row in rows), lists, tuple(notes))


def unmeasured(name: str, error: DataError) -> str:
    """Return the note of an embedding that was left out."""
    return f"{name} is not measured: {error}"


def _fitted(wanted: Sequence[str | Candidate], gallery: Gallery) -> tuple[list[Candidate], list[str]]:
    """Fit embeddings; also return why some cannot be."""
    candidates, notes = [], []
    for one in wanted:
        try:
            candidates.append(fit_candidate(one, gallery.features, gallery.map_shape))
        except DataError as error:
            notes.append(unmeasured(one if isinstance(one, str) else one.name, error))
    if not candidates:
        raise DataError("; ".join(notes))
    return candidates, notes


def _outcomes(
    candidate: Candidate, gallery: Gallery, tasks: Sequence[Task], advance: Advance
) -> tuple[list[Outcome], Ids]:
    # The rows of one embedding at a time are in memory.
    view = View(candidate, gallery.features, advance)
    return [outcome for task in tasks for outcome in task.outcomes(view)], view.lists


def _measure(names: Sequence[str], outcomes: Sequence[Outcome], seed: int) -> Measure:
    """Compare the outcomes of one measure."""
    first = outcomes[0]
    if first.groups:
        estimates = compare([one.values for one in outcomes], first.groups, seed)
    else:
        values = (float(one.values[0]) for one in outcomes)
        estimates = [(Estimate(value, float("nan"), float("nan")), _UNKNOWN) for value in values]
    figures = (Figure(name, *pair) for name, pair in zip(names, estimates, strict=True))
    n_groups = len(set(first.groups))
    return Measure(
        first.task,
        first.measure,
        len(first.values) if first.groups else 0,
        n_groups,
        tuple(figures),
        first.distortion,
        first.strength,
    )
