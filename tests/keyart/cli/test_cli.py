"""The command line."""

import csv
import io
import json
import os
import pty
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from PIL import Image

from features.store import FeatureStore
from keyart.pipeline.status import read_status
from keyart.results import HIT_COLUMNS
from keyart.workspace.layout import Workspace
from tests.keyart.conftest import Run
from tests.posters.pictures import draw_poster
from tests.posters.tmdb_server import V3_KEY, V4_TOKEN, Fault, TmdbServer

KEYART = (sys.executable, "-c", "from keyart.cli import main; main()")


def test_every_step_from_load_to_similar(
    run: Run, movielens: Path, poster_folder: Path, backbone_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYART_HOME", str(tmp_path / "data"))
    assert run("load", movielens).out == f"6 films and 161 ratings by 40 users loaded into {tmp_path / 'data'}\n"
    assert run("import", poster_folder, "--by", "movie").out == "5 posters imported, 0 already here\n"
    assert run("extract", "--encoder", backbone_path).out == "features of 5 posters computed, 0 already here\n"
    assert run("build").out == "5 films indexed by looks (exact, built), 5 compared by ratings\n"
    assert "The Harbour (1990)  [1]" in run("similar", "the", "harbour").out
    assert "next          `keyart similar TITLE`" in run("info").out


def test_json_is_one_object(run: Run, home: Path) -> None:
    outcome = run("similar", "Café Zürich", "-k", "2", "--json", "--home", home)
    result = json.loads(outcome.out)
    assert outcome.out.count("\n") == 1
    assert list(result) == ["query", "alpha", "content", "region", "grid", "results", "notes"]
    ids = {"imdb_id": "0000016", "tmdb_id": 106}
    assert result["query"] == {"movie_id": 6, "title": "Café Zürich", "year": 1995, **ids}
    assert result["alpha"] == "auto"
    assert [tuple(hit) for hit in result["results"]] == [HIT_COLUMNS] * 2
    assert [hit["rank"] for hit in result["results"]] == [1, 2]
    assert result["results"][0]["cf"] is None
    assert "no ratings" in outcome.err


def test_json_has_the_requested_alpha(run: Run, home: Path) -> None:
    assert json.loads(run("similar", "1", "--alpha", "0.25", "--json", "--home", home).out)["alpha"] == 0.25


def test_csv_can_be_read_back(run: Run, home: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("similar", "1", "--csv", "--home", home).out)))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert {row["movie_id"] for row in rows} == {"2", "3", "4", "5", "6"}


def test_a_sheet_is_an_image_of_its_type(run: Run, home: Path, tmp_path: Path) -> None:
    for name, kind in (("s.png", "PNG"), ("s.jpg", "JPEG"), ("s.webp", "WEBP")):
        run("similar", "1", "--sheet", tmp_path / name, "--home", home)
        with Image.open(tmp_path / name) as sheet:
            assert (sheet.format, sheet.mode) == (kind, "RGB")


def test_an_image_in_place_of_a_title(run: Run, home: Path, poster_folder: Path) -> None:
    outcome = run("similar", "--image", poster_folder / "2.jpg", "--json", "--home", home)
    result = json.loads(outcome.out)
    nothing = dict.fromkeys(("movie_id", "year", "imdb_id", "tmdb_id"))
    assert result["query"] == {**nothing, "title": "2.jpg"}
    assert result["results"][0]["movie_id"] == 2


def test_a_number_that_is_also_a_title_is_noted(run: Run, movielens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    with (folder / "movies.csv").open("a") as stream:
        stream.write("300,Quiz (1994),Drama\n51662,300 (2007),War\n")
    with (folder / "ratings.csv").open("a") as stream:
        stream.writelines(f"{user},300,{5 if user % 2 else 1},1\n" for user in range(1, 41))
    run("load", folder, "--home", tmp_path / "w")
    run("build", "--home", tmp_path / "w")
    outcome = run("similar", "300", "--home", tmp_path / "w")
    assert outcome.out.startswith("Quiz (1994)  [300]")
    assert "300 was read as a movie_id; for the film of that title, type '300 (2007)'" in outcome.err


def test_another_film_of_the_title_is_noted(run: Run, movielens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(movielens, tmp_path / "movielens"))
    with (folder / "movies.csv").open("a") as stream:
        stream.write("7,Café Zürich (2003),Drama\n")
    with (folder / "ratings.csv").open("a") as stream:
        stream.writelines(f"{user},6,{5 if user % 2 else 1},1\n" for user in range(1, 41))
    run("load", folder, "--home", tmp_path / "w")
    run("build", "--home", tmp_path / "w")
    note = "'coffee' was read as Café Zürich (1995); for another film of that title, type 'Café Zürich (2003)'"
    outcome = run("similar", "coffee", "--json", "--home", tmp_path / "w")
    assert note in json.loads(outcome.out)["notes"]
    assert f"note: {note}\n" in outcome.err
    assert "was read as" not in run("similar", "café zürich 1995", "--home", tmp_path / "w").err


def test_info_as_json(run: Run, home: Path) -> None:
    found = json.loads(run("info", "--json", "--home", home).out)
    assert (found["n_films"], found["n_posters"], found["n_indexed"]) == (6, 5, 5)
    assert found["next"].endswith(" to look and click")


def test_fetch_from_tmdb(run: Run, movielens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("load", movielens, "--home", tmp_path / "w")
    with TmdbServer() as server:
        server.add_film(101, imdb_id="0000011")
        server.add_film(905, imdb_id="0000015")
        monkeypatch.setenv("TMDB_API_KEY", V4_TOKEN)
        monkeypatch.setenv("KEYART_TMDB_URL", server.base_url)
        outcome = run("fetch", "--home", tmp_path / "w")
    assert outcome.code == 0
    counts = read_status(Workspace.open(tmp_path / "w")).posters
    assert (counts["ok"], counts["not_found"], sum(counts.values())) == (2, 4, 6)
    assert "2 posters of 6 films fetched" in outcome.out


# Errors are one line that says what, where and what to do.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["load", "nowhere"], "nowhere does not exist"),
        (["load", "empty"], "empty holds no data set that is known; expected movies.csv"),
        (["import", "nowhere", "--by", "imdb"], "nowhere does not exist"),
        (["import", "empty", "--by", "imdb"], "empty holds no images"),
        (["import", "texts", "--by", "movie"], "nothing imported from texts: no file is a poster"),
        (["import", "pictures"], "--by imdb, movie or tmdb, or --by name for titles"),
        (["import"], "name either a folder of posters"),
        (["import", "--csv", "bad.csv"], "bad.csv, line 1: expected the columns path; path missing, received"),
        (["extract", "--encoder", "nowhere.keras"], "nowhere.keras: no such file"),
        (["extract", "--encoder", "text.jpg"], "text.jpg is not a Keras model file"),
        (["extract", "--weights", "nowhere.h5"], "nowhere.h5: no such file"),
        (["extract", "--resize", "nearest"], "features of two networks never mix"),
        (["similar", "harbur"], "no film is titled 'harbur'; did you mean The Harbour (1990) [1]?"),
        (
            ["similar", "Twin"],
            "Twin (1991) [2], Twin (1992) [3]; name one by title and year, as in 'Twin (1991)', or by its movie_id",
        ),
        (["similar", "999"], "no film is titled '999', and none has that movie_id"),
        (["similar"], "name a film, as in"),
        (["similar", "--image", "text.jpg"], "text.jpg is not a picture"),
        (["similar", "--image", "nowhere.jpg"], "no such picture: nowhere.jpg"),
        (["similar", "1", "--sheet", "sheet.bmp"], "expected a name ending in .png"),
        (["similar", "1", "--sheet", "text.jpg/sheet.png"], "there is no folder text.jpg; create it first"),
        (["similar", "1", "--json", "--csv"], "choose one"),
        (
            ["similar", "1", "--home", "nowhere"],
            "no workspace at nowhere; make one with `keyart load DIR --home nowhere`",
        ),
        (["info", "--home", "other-version"], "version 2, this keyart reads version 1"),
        (["fetch"], "no TMDB key: set TMDB_API_KEY"),
    ],
)
def test_bad_input_is_a_one_line_error(
    run: Run, home: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    monkeypatch.setenv("KEYART_HOME", "workspace")
    for folder in ("empty", "texts", "other-version"):
        Path(folder).mkdir()
    Path("text.jpg").write_text("no picture")
    Path("texts/1.jpg").write_text("no picture")
    Path("bad.csv").write_text("film,file\n1,1.jpg\n")
    Path("other-version/workspace.json").write_text('{"kind": "keyart-workspace", "version": 2}')
    outcome = run(*words)
    assert outcome.code == 1
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("keyart: ")]
    assert message in line
    assert "Traceback" not in outcome.err


def test_network_errors_are_one_line(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMDB_API_KEY", V3_KEY)
    with TmdbServer() as server:
        server.inject("/3/configuration", Fault.UNAUTHORIZED)
        monkeypatch.setenv("KEYART_TMDB_URL", server.base_url)
        refused = run("fetch", "--home", home)
    unreachable = run("fetch", "--home", home)
    for outcome, word in ((refused, "key"), (unreachable, "reach")):
        assert outcome.code == 1
        assert word in outcome.err
        assert V3_KEY not in outcome.err + outcome.out
        assert outcome.err.count("\n") == 1


def test_debug_shows_the_traceback(run: Run, home: Path) -> None:
    for words in (["--debug", "similar", "nothing"], ["similar", "nothing", "--debug"]):
        outcome = run(*words, "--home", home)
        assert outcome.code == 1
        assert outcome.err.startswith("Traceback")
        assert "UnknownFilmError: no film is titled" in outcome.err.splitlines()[-1]


def test_a_wrong_option_is_a_usage_error(run: Run) -> None:
    assert run("similar", "1", "--alpha", "2").code == 2
    assert run("similar", "1", "-k", "0").code == 2
    assert run("nothing").code == 2


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\nfrom keyart.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'faiss', 'numpy', 'pandas', 'PIL', 'requests'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Find films that look like a film" in shown.stdout


def test_a_closed_pipe_is_no_error(home: Path) -> None:
    line = f'"{KEYART[0]}" -c "{KEYART[2]}" similar 1 --csv --home "{home}" | head -n 1'
    shown = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert shown.stderr == ""


def test_a_full_disk_is_a_one_line_error_and_keeps_the_index(home: Path) -> None:
    """With a real limit on the size of files, in a process of its own."""
    before = (home / "index" / "index.json").read_bytes()
    code = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"from keyart.cli import main\nmain(['build', '--rebuild', '--home', {str(home)!r}])\n"
    )
    left = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert left.returncode == 1
    assert left.stderr.startswith("keyart: cannot write ")
    assert "free some space" in left.stderr
    assert left.stderr.count("\n") == 1
    assert (home / "index" / "index.json").read_bytes() == before
    assert not list(home.rglob("*.partial"))


def test_a_blend_that_cannot_be_reset_is_a_plain_error(run: Run, home: Path) -> None:
    # A folder, since file permissions do not hold for root.
    (home / "hybrid.json").mkdir()
    outcome = run("tune", "--reset", "--home", home)
    assert outcome.code == 1
    assert f"cannot remove {home / 'hybrid.json'}: " in outcome.err
    assert "report it" not in outcome.err


def test_a_progress_bar_is_shown_on_a_terminal_only(home: Path, poster_folder: Path) -> None:
    shutil.rmtree(home / "index")
    quiet = subprocess.run([*KEYART, "build", "--home", str(home)], capture_output=True, text=True, check=True)
    assert "films/s" not in quiet.stderr
    assert [line[:6] for line in quiet.stderr.splitlines()] == ["note: "]
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    subprocess.run([*KEYART, "build", "--rebuild", "--home", str(home)], stdout=subprocess.PIPE, stderr=end, check=True)
    os.close(end)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert "index: 100%" in shown
    assert "films/s" in shown


def test_import_lists_unusable_files(run: Run, movielens: Path, tmp_path: Path) -> None:
    run("load", movielens, "--home", tmp_path / "w")
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(draw_poster())
    (folder / "2.jpg").write_text("no picture")
    (folder / "77.jpg").write_bytes(draw_poster())
    outcome = run("import", folder, "--by", "movie", "--home", tmp_path / "w")
    assert (outcome.code, outcome.out) == (0, "1 poster imported, 0 already here\n")
    assert "1 file matches no film:\n  " in outcome.err
    assert "2.jpg: " in outcome.err


def test_a_damaged_poster_is_skipped_and_still_lacks_features(run: Run, home: Path, backbone_path: Path) -> None:
    poster = home / "posters" / "5.jpg"
    # Of the same size, so that only decoding finds it.
    poster.write_bytes(b"x" * poster.stat().st_size)
    outcome = run("extract", "--encoder", backbone_path, "--rebuild", "--resize", "nearest", "--home", home)
    assert outcome.code == 0
    assert "features of 4 posters computed" in outcome.out
    assert "movie_id 5: " in outcome.err
    # Whoever fetches or imports it again gets its features: it is not among the pictures that have none for good.
    status = read_status(Workspace.open(home))
    assert (status.n_skipped, status.n_posters - status.n_features) == (0, 1)
    assert [one.picture_id for one in FeatureStore.open(home / "features").skipped()] == [5]


def test_a_damaged_file_is_an_error_and_not_an_interruption(run: Run, home: Path) -> None:
    next(home.glob("index/*.npz")).write_bytes(b"")
    outcome = run("similar", "1", "--home", home)
    assert outcome.code == 1
    assert "is damaged" in outcome.err
    assert "interrupted" not in outcome.err


def test_an_end_of_file_is_an_error_and_not_an_interruption(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise EOFError("cut off")

    monkeypatch.setattr("keyart.workspace.layout.Workspace.open", fail)
    outcome = run("info")
    assert outcome.code == 1
    assert "unexpected EOFError: cut off" in outcome.err


def test_load_repairs_a_workspace_without_its_record(run: Run, home: Path, movielens: Path) -> None:
    (home / "workspace.json").unlink()
    assert run("info", "--home", home).code == 1
    assert run("load", movielens, "--home", home).code == 0
    assert run("similar", "1", "--home", home).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["similar", "1", "--home", ""], "--home is blank"),
        (["similar", "1", "--alpha", "0.5", "--region", "0,0,1,1"], "--alpha and --content do not go with --region"),
        (["import", "--csv", "x.csv", "--by", "imdb"], "--by is for a folder"),
        (["similar", "1", "--sheet", "."], "expected a name ending in"),
    ],
)
def test_options_that_conflict_are_errors(run: Run, words: list[str], message: str) -> None:
    outcome = run(*words)
    assert outcome.code == 1
    assert message in outcome.err


@pytest.mark.parametrize("words", [["--alpha", "nan"], ["--alpha", "2"], ["-k", "0"], ["--nothing"]])
def test_a_usage_error_is_one_line(run: Run, words: list[str]) -> None:
    outcome = run("similar", "1", *words)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "See `keyart similar --help`." in outcome.err
