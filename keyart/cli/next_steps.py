"""What to try after the demonstration: commands that work as they stand, for a catalog, a recommender and a study."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from catalog.extras import EXTRAS, is_installed, pip_install

_PURPOSES = {
    "web": "the page to search and click through the films",
    "atlas": "all posters on one map",
    "plots": "plots",
}
_STEPS = """\
Next, for a catalog:
  {keyart} similar "Midnight Ledger (1947)" --home {home} --sheet {sheet}
  [atlas] {keyart} atlas --home {home}
  [web] {keyart} serve --home {home}
  {keyart} load films.csv               # your films, with the columns movie_id and title
  {keyart} import posters/ --by movie   # their posters, named by movie_id: 1.jpg
  {keyart} extract                      # their features; offline, with --encoder efficientnet-lite0
  {keyart} build                        # the index: then similar, atlas and serve work as above

Next, for a recommender:
  {keyart} fit ease --home {home}
  {keyart} recommend 42 --home {home}
  {keyart} load ml-latest-small/        # MovieLens, from https://grouplens.org/datasets/movielens/

Next, for a study:
  {keyart} evaluate models most-rated ease --home {home}
  [plots] {keyart} evaluate models most-rated ease --plot {plot} --home {home}
  A whole study in one script is in the source as examples/research.py.
"""


def next_steps(home: Path) -> str:
    """Describe the next steps in a workspace; for a command whose extra is missing, how to install it."""
    # Beside the workspace, as the folder in which the demonstration was started is the user's.
    sheet, plot = (shlex.quote(str(home.parent / name)) for name in ("look-alikes.png", "models.png"))
    text = _STEPS.format(keyart=_program(), home=shlex.quote(str(home)), sheet=sheet, plot=plot)
    lines = text.splitlines()
    return "\n".join(_available(lines))


def _available(lines: list[str]) -> Iterator[str]:
    for line in lines:
        extra, bracket, command = line.removeprefix("  [").partition("] ")
        if not bracket:
            yield line
        elif is_installed(extra):
            yield f"  {command}"
        else:
            yield f"  {pip_install(*EXTRAS[extra].values())}   # for {_PURPOSES[extra]}"


def _program() -> str:
    """Return how to type keyart: by its path where the shell would not find it, as after `make demo`."""
    path, installed = Path(sys.argv[0]), shutil.which("keyart")
    if path.name != "keyart" or not path.is_file() or (installed and path.samefile(installed)):
        return "keyart"
    return shlex.quote(str(path))
