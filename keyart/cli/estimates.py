"""Format estimates for tables, CSV and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cf.evaluation.metrics import Estimate


def number(value: float, form: str = ".3f") -> str:
    """Format a number; NaN as a dash."""
    return "–" if value != value else f"{value:{form}}"


def estimate(measured: Estimate, form: str = ".3f", unit: str = "") -> str:
    """Format an estimate with its interval, where it has one; NaN as a dash."""
    if measured.value != measured.value:
        return "–"
    if measured.low != measured.low:
        return f"{measured.value:{form}}{unit}"
    return f"{measured.value:{form}}{unit} [{measured.low:{form}}, {measured.high:{form}}]"


def cells(name: str, measured: Estimate) -> dict[str, float]:
    """Return an estimate as three columns: `name`, and its lower and upper bound."""
    return {name: measured.value, f"{name}_low": measured.low, f"{name}_high": measured.high}


def nulled(value: Any) -> Any:
    """Replace NaN by None in plain values, since JSON has no NaN."""
    if isinstance(value, dict):
        return {name: nulled(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [nulled(part) for part in value]
    return None if value != value else value
