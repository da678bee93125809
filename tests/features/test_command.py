"""`keyart extract --images`: any folder, as a user types it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.store import FeatureStore
from keyart.cli import main
from tests.features.conftest import draw_poster

pytestmark = pytest.mark.heavy

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str]) -> Typed:
    """Type `keyart extract`, in this process; gives the exit code and what was printed."""

    def type_(*words: str | Path) -> tuple[int, str, str]:
        # What TensorFlow said while a fixture imported it.
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["extract", *map(str, words)])
        captured = capfd.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return type_


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images" / "more").mkdir(parents=True)
    for seed, name in enumerate(["a.jpg", "b.png", "more/c.webp", "more/d.gif"]):
        draw_poster(tmp_path / "images" / name, seed)
    return tmp_path / "images"


@pytest.fixture
def words(images: Path, keras_file: Callable[..., Path], tmp_path: Path) -> list[str | Path]:
    return ["--images", images, "--out", tmp_path / "out", "--encoder", keras_file()]


def test_a_folder_becomes_features_that_are_kept_up_to_date(
    typed: Typed, words: list[str | Path], images: Path, tmp_path: Path
) -> None:
    assert typed(*words)[:2] == (0, "features of 4 images computed, 0 already here\n")
    (images / "a.jpg").unlink()
    draw_poster(images / "b.png", 9)
    draw_poster(images / "e.png", 10)
    assert typed(*words) == (0, "features of 2 images computed, 2 already here, 1 dropped\n", "")
    store = FeatureStore.open(tmp_path / "out")
    rows = store.rows(check=True)
    assert rows.picture_ids.tolist() == ["b.png", "e.png", "more/c.webp", "more/d.gif"]
    assert rows.poster_sha256s[0] == hashlib.sha256((images / "b.png").read_bytes()).hexdigest()
    # The two shards were small, so they are one now.
    assert [path.name for path in (tmp_path / "out").glob("*.npy")] == ["features-00002.npy"]


def test_files_passed_over_are_counted_by_ending(typed: Typed, words: list[str | Path], images: Path) -> None:
    for name in ("notes.txt", "more/IMG_1.JXL", "more/img_2.jxl", "README", ".hidden"):
        (images / name).write_text("no picture")
    code, out, err = typed(*words)
    assert (code, out) == (0, "features of 4 images computed, 0 already here\n")
    assert "4 files passed over, no images by their names: 2 .jxl, 1 .txt, 1 without ending" in err


def test_a_folder_without_images_says_what_it_holds(typed: Typed, words: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.jxl").write_bytes(b"x")
    code, _, err = typed("--images", tmp_path / "other", *words[2:])
    assert code == 1
    assert "holds no images; expected files named .avif" in err
    assert "found 1 .jxl" in err


def test_broken_images_are_named_and_more_than_half_of_them_are_a_failure(
    typed: Typed, words: list[str | Path], images: Path
) -> None:
    for name in ("x.jpg", "y.jpg", "z.jpg", "w.jpg"):
        (images / name).write_text("no picture")
    code, out, err = typed(*words)
    assert (code, out) == (0, "features of 4 images computed, 0 already here\n")
    assert err.startswith("4 images could not be read:\n  w.jpg: ")
    assert "x.jpg is not a picture; expected JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP\n" in err
    (images / "v.jpg").write_bytes(b"")
    code, out, err = typed(*words)
    assert (code, out) == (1, "features of 0 images computed, 4 already here\n")
    assert err.count("\n") == 6


def test_of_many_broken_images_the_first_are_shown_and_all_are_on_record(
    typed: Typed, words: list[str | Path], images: Path, tmp_path: Path
) -> None:
    for number in range(30):
        (images / f"x{number}.jpg").write_text("no picture")
    assert f"  and 10 more: see {tmp_path / 'out' / 'skipped.json'}\n" in typed(*words)[2]
    assert len(FeatureStore.open(tmp_path / "out").skipped()) == 30


def test_a_damaged_shard_is_reported_and_computed_again(typed: Typed, words: list[str | Path], tmp_path: Path) -> None:
    typed(*words)
    path = tmp_path / "out" / "features-00000.npy"
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = typed(*words)
    assert (code, out) == (0, "features of 4 images computed, 0 already here\n")
    assert err.startswith("note: computed again: the shard ")


def test_pooled_and_whitened_by_onnx(typed: Typed, words: list[str | Path], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    code, _, err = typed(*words, "--features", "rmac", "--whiten", "--engine", "onnx")
    # The layers of this network are none that the export knows.
    assert code == 1
    assert "--engine onnx does not know" in err
    assert typed(*words, "--features", "rmac", "--whiten")[0] == 0
    store = FeatureStore.open(tmp_path / "out")
    assert (store.identity.pooling, store.identity.n_features) == ("rmac", 3)
    (block,) = store.blocks(store.rows())
    np.testing.assert_allclose(np.linalg.norm(block.astype(np.float32), axis=1), 1, atol=1e-3)
    assert "rmac, whitening" in typed(*words, "--features", "rmac")[2]


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--features", "gem"], 1, "features of two networks never mix"),
        (["--whiten"], 2, "--whiten is for --features gem or rmac"),
        (["--images", "nowhere"], 1, "nowhere is not a folder"),
        (["--encoder", "nowhere.keras"], 1, "nowhere.keras: no such file"),
        (["--encoder", "resnet-50"], 1, "no encoder is called 'resnet-50'; did you mean resnet50?"),
        (["--weights", "w.h5"], 1, "is for encoders by name"),
        (["--preprocessing", "tf"], 1, "extract with the same options (--preprocessing caffe), or begin anew"),
        (
            ["--encoder", "vgg16", "--preprocessing", "tf"],
            1,
            "--preprocessing tf is for files of networks (--encoder FILE)",
        ),
        (["--preprocessing", "troch"], 2, "no preprocessing is called 'troch'; did you mean torch?"),
        (["--preprocessing", "rgb,127,0"], 2, "expected a standard deviation from 0.000001 to 1,000,000, received 0"),
    ],
)
def test_errors_are_one_line(typed: Typed, words: list[str | Path], more: list[str], code: int, message: str) -> None:
    typed(*words)
    left, out, err = typed(*words, *more)
    assert (left, out) == (code, "")
    assert message in err.splitlines()[-1]


def test_a_name_that_is_not_utf_8_stops_nothing(
    typed: Typed, words: list[str | Path], images: Path, tmp_path: Path
) -> None:
    good, bad = (Path(os.fsdecode(os.fsencode(images) + name)) for name in (b"/caf\xe9.png", b"/b\xe9te.png"))
    try:
        draw_poster(good, 7)
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    bad.write_text("no\npicture")
    code, out, err = typed(*words)
    assert (code, out) == (0, "features of 5 images computed, 0 already here\n")
    assert r"b\xe9te.png is not a picture" in err
    store = FeatureStore.open(tmp_path / "out")
    assert r"caf\xe9.png" in store.rows().picture_ids
    assert [one.picture_id for one in store.skipped()] == [r"b\xe9te.png"]
    assert typed(*words)[1] == "features of 0 images computed, 5 already here\n"


def test_a_line_end_in_a_name_makes_no_second_line(typed: Typed, words: list[str | Path], images: Path) -> None:
    (images / "two\nlines.png").write_text("no picture")
    assert len(typed(*words)[2].splitlines()) == 2


@pytest.mark.parametrize("name", ["posters.parquet", "s3a://bucket/posters"])
def test_a_table_is_for_spark(typed: Typed, words: list[str | Path], name: str) -> None:
    words[1] = name
    code, _, err = typed(*words)
    assert (code, "a table or a URI is read by --spark only" in err) == (2, True)


@pytest.mark.parametrize("option", ["--images", "--out"])
def test_a_blank_folder_is_refused(typed: Typed, words: list[str | Path], option: str) -> None:
    words[words.index(option) + 1] = " "
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert f"{option} is blank" in err


def test_images_and_out_go_together(typed: Typed, images: Path, tmp_path: Path) -> None:
    assert "go together" in typed("--images", images)[2]
    assert "go together" in typed("--out", tmp_path)[2]


def test_folders_of_other_files_are_refused(
    typed: Typed, words: list[str | Path], images: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "features-00000.npy").write_text("mine")
    (tmp_path / "link").symlink_to(images)
    for out in (images, tmp_path / "link", tmp_path / "mine"):
        before = sorted(out.rglob("*"))
        code, printed, error = typed(*words[:2], "--out", out, *words[4:])
        assert (code, printed) == (1, "")
        assert "is not empty and holds no features" in error
        assert sorted(out.rglob("*")) == before
