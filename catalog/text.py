"""Text for people."""

from __future__ import annotations


def plural(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun, and a verb where it has one: "1 film", "2,345 films", "1 film has"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def first_line(error: BaseException, n_most: int = 300) -> str:
    """Return the first line of what an error of another library says, cut where it is long."""
    line = " ".join(str(error).strip().partition("\n")[0].split())
    return line if len(line) <= n_most else f"{line[: n_most - 2].rstrip()} …"
