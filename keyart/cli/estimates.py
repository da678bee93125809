"""Estimates as people, CSV and JSON have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cf.evaluation.metrics import Estimate


def number(value: float, form: str = ".3f") -> str:
    """Write a number."""
    return "–" if value != value else f"{value:{form}}"


def estimate(measured: Estimate, form: str = ".3f", unit: str = "") -> str:
    """Write an estimate with its interval."""
    if measured.value != measured.value:
        return "–"
    return f"{measured.value:{form}}{unit} [{measured.low:{form}}, {measured.high:{form}}]"


def cells(name: str, measured: Estimate) -> dict[str, float]:
    """Lay an estimate out in three columns of CSV."""
    return {name: measured.value, f"{name}_low": measured.low, f"{name}_high": measured.high}


def nulled(value: Any) -> Any:
    """Put null in the place of what could not be measured: JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: nulled(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [nulled(part) for part in value]
    return None if value != value else value
