"""The packages that keyart asks for itself; ``python -m tests.dependencies`` prints their names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PROJECT: dict[str, Any] = tomllib.loads(
    (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]
_OF_DEVELOPERS = {"bench", "dev", "docs"}


def direct_dependencies() -> list[Requirement]:
    """List what an installation with all extras asks for."""
    extras = {name: lines for name, lines in PROJECT["optional-dependencies"].items() if name not in _OF_DEVELOPERS}
    lines = {*PROJECT["dependencies"], *(line for lines in extras.values() for line in lines)}
    return [Requirement(line) for line in sorted(lines) if not line.startswith("keyart[")]


if __name__ == "__main__":
    print(*sorted({requirement.name for requirement in direct_dependencies()}))
