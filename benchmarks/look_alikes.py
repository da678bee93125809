"""Measure look-alikes by every embedding, on real posters and two real networks.

    python benchmarks/look_alikes.py --shared ../shared --work DIR [--posters N] [--distorted 50] [--half all]
    python benchmarks/look_alikes.py --shared ../shared --work DIR --list-series

Films are those of MovieLens whose posters are in the shared folder. Embeddings may be chosen by the first half of the
figures; the second half, of other films and series, is what is reported. Hubs are counted among all films. Features are
stored in DIR, where an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# benchmarks/index.py is not the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.tables import print_header, print_row  # noqa: E402 - needs the path

if TYPE_CHECKING:
    from catalog.film import Film
    from keyart.pipeline import LookAlikeEvaluation

# File and preprocessing of each network.
NETWORKS = {
    "SqueezeNet": ("squeezenet_v1_1_imagenet.keras", "caffe"),
    "EfficientNet-Lite0": ("efficientnet_lite0_imagenet.keras", "rgb,127,128"),
}
CATALOGS = ("ml-1m", "ml-latest-small")
SHOWN = (
    ("alternate", "MRR"),
    ("series", "recall@10"),
    ("distortion", "recall@1, mild"),
    ("distortion", "recall@1, all"),
    ("genre", "agreement, × chance"),
    ("decade", "agreement, × chance"),
)
HUBS = ("most lists with one", "share in no list", "skewness")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of real posters and networks")
    parser.add_argument("--work", type=Path, required=True, help="where posters are linked and features stored")
    parser.add_argument("--posters", type=int, help="take that many films alone")
    parser.add_argument("--distorted", type=int, default=50, help="posters that are distorted")
    parser.add_argument(
        "--half", choices=("choose", "report", "all"), help="ask about this half alone, or about all films"
    )
    parser.add_argument("--seed", type=int, default=0, help="of halves, distortions and resamples")
    parser.add_argument("--network", choices=NETWORKS, help="one of the networks alone")
    parser.add_argument("--list-series", action="store_true", help="print which films count as series, nothing else")
    arguments = parser.parse_args()
    from catalog.io.progress import bar
    from keyart.pipeline import LookAlikeOptions, evaluate_look_alikes, extract_images
    from keyart.similarity.evaluation.gallery import read_films

    posters = link_posters(arguments.shared / "data", arguments.work / "posters", arguments.posters)
    titles = {}
    for catalog in CATALOGS:
        titles |= read_films(arguments.shared / "data" / catalog / "movies.csv")
    if arguments.list_series:
        list_series([titles[movie_id] for movie_id in map(movie_id_of, posters.iterdir()) if movie_id in titles])
        return
    for name in [arguments.network] if arguments.network else NETWORKS:
        features = arguments.work / name
        extract_images(posters, features, network(arguments.shared, name), drop_missing=True, progress=bar)
        for half in [arguments.half] if arguments.half else ("choose", "report"):
            options = LookAlikeOptions(
                features=features,
                films=titles.values(),
                posters=posters,
                pairs=arguments.shared / "data" / "posters-alternate" / "pairs.csv",
                half=half,
                n_distorted=arguments.distorted,
                seed=arguments.seed,
            )
            print_half(name, evaluate_look_alikes(options=options, progress=bar))


def movie_id_of(poster: Path) -> int:
    return int(poster.stem)


def list_series(films: Sequence[Film]) -> None:
    from catalog.series import parts_of_series, series_name

    by_id = {film.movie_id: film for film in films}
    series: dict[str, list[str]] = {}
    parts = parts_of_series(films)
    for movie_id in parts:
        series.setdefault(series_name(by_id[movie_id].title), []).append(by_id[movie_id].label)
    for name, labels in sorted(series.items()):
        print(f"{name}: {'; '.join(labels)}")
    print(f"\n{len(parts)} films of {len(series)} series")


def network(shared: Path, name: str) -> object:
    from keyart import ExtractOptions

    file, preprocessing = NETWORKS[name]
    return ExtractOptions(str(shared / "weights" / file), preprocessing=preprocessing)


def link_posters(data: Path, folder: Path, n_posters: int | None) -> Path:
    """Link the posters of both folders by movie_id; a film that has two takes that of the larger folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[int, Path] = {}
    for movie_id, path in find_posters(data):
        paths.setdefault(movie_id, path)
    wanted = dict(sorted(paths.items())[:n_posters])
    for old in folder.iterdir():
        old.unlink()
    for movie_id, path in wanted.items():
        (folder / f"{movie_id}.jpg").symlink_to(path.resolve())
    return folder


def find_posters(data: Path) -> Iterator[tuple[int, Path]]:
    files = {int(path.stem): path for path in (data / "posters").glob("*.jpg")}
    for catalog in reversed(CATALOGS):
        with (data / catalog / "links.csv").open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row["imdbId"] and int(row["imdbId"]) in files:
                    yield int(row["movieId"]), files[int(row["imdbId"])]
    for path in sorted((data / "posters-ml-1m").glob("*.jpg")):
        yield int(path.stem), path


def print_half(network: str, found: LookAlikeEvaluation) -> None:
    from keyart.cli.estimates import estimate, number

    by_name = {(one.task, one.measure): one for one in found.measures if one.distortion is None}
    first = found.embeddings[0]
    half = "all questions" if found.half == "all" else f"the half to {found.half}"
    title = f"{network}, {found.n_films:,} films, {half}, seed {found.seed}"
    print_header(title, "measure", "asked", *(cells for name in found.embeddings for cells in columns(name, first)))
    for key in SHOWN:
        if one := by_name.get(key):
            cells = [f"{key[0]}: {key[1]}", f"{one.n_questions:,}"]
            for figure in one.figures:
                gain = [] if figure.embedding == first else [estimate(figure.gain, "+.1f", " %")]
                cells += [number(figure.value.value), *gain]
            print_row(*cells)
    for name in HUBS:
        values = [figure.value.value for figure in by_name["hubness", name].figures]
        form = ".2%" if name == "share in no list" else ".2f" if name == "skewness" else ".0f"
        cells = [cell for value in values for cell in (number(value, form), "")]
        # The first embedding has no column of gains.
        print_row(name, "", cells[0], *cells[2:])
    for one in found.left_out:
        print(f"\n{one}")
    for note in found.notes:
        print(f"\n{note}")


def columns(name: str, first: str) -> tuple[str, ...]:
    return (name,) if name == first else (name, f"over {first}")


if __name__ == "__main__":
    main()
