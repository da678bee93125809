"""Save one generation after another into a folder until standard input is written to; run by `test_manifest`."""

from __future__ import annotations

import select
import sys
from itertools import cycle
from pathlib import Path

from catalog.io.locks import exclusive
from index.cosine import CosineIndex
from tests.contracts import films_of, random_features
from tests.index.kinds import KINDS

ALL = films_of(random_features(42, 120, 64))
N_FILMS = (120, 80, 60)


def main() -> None:
    folder, kind = Path(sys.argv[1]), KINDS[sys.argv[2]]
    built = [kind.build(films_of(ALL.arrays[0][:n])) for n in N_FILMS]
    grown = CosineIndex.open(folder, ALL)
    grown.remove(ALL.movie_ids[100:])
    for index in cycle([*built, grown]):
        with exclusive(folder):
            index.save(folder)
        if select.select([sys.stdin], [], [], 0)[0]:
            return


if __name__ == "__main__":
    main()
