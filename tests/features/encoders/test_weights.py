from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import portalocker
import pytest

from catalog.errors import FetchError
from features.encoders.download import RemoteFile, download
from features.encoders.registry import ENCODERS, EncoderInfo
from features.encoders.weights import imagenet_weights_path, random_kernels

CONTENT = np.random.default_rng(0).bytes(700_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class _Files(BaseHTTPRequestHandler):
    server: WeightsServer

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        # To a proxy, the path is the whole address.
        getattr(self, "_" + self.path.rpartition("/")[2].removesuffix(".h5"))()

    def log_message(self, *parts: object) -> None:
        pass

    def _begin(self, status: int, n_bytes: int, content_range: str | None = None) -> None:
        self.send_response(status)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", str(n_bytes))
        self.end_headers()

    def _start(self) -> int:
        """Return the first byte that is asked for."""
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def _whole(self) -> None:
        self._begin(200, len(CONTENT))
        self.wfile.write(CONTENT)

    def _other(self) -> None:
        self._begin(200, 5)
        self.wfile.write(b"other")

    def _cut(self) -> None:
        self._begin(200, len(CONTENT))
        self.wfile.write(CONTENT[:300_000])
        self.close_connection = True

    def _breaking(self) -> None:
        """Send the rest of the content, but at most as much as is left to the server, and then break off."""
        start = self._start()
        self._begin(206 if start else 200, len(CONTENT) - start)
        part = CONTENT[start : start + self.server.n_left]
        self.server.n_left = 0 if start + len(part) < len(CONTENT) else self.server.n_left
        self.wfile.write(part)
        self.close_connection = True

    def _hiccuping(self) -> None:
        start = self._start()
        self._begin(206 if start else 200, len(CONTENT) - start)
        self.wfile.write(CONTENT[start : start + 200_000])
        self.close_connection = True

    def _crumbling(self) -> None:
        start = self._start()
        self._begin(206 if start else 200, len(CONTENT) - start)
        self.wfile.write(CONTENT[start : start + 30_000])
        self.close_connection = True

    def _ending(self) -> None:
        """Send half of the rest as if it were all, but say how long the file is."""
        start = self._start()
        stop = min(start + max(1, (len(CONTENT) - start) // 2), len(CONTENT))
        self._begin(206, stop - start, f"bytes {start}-{stop - 1}/{len(CONTENT)}")
        self.wfile.write(CONTENT[start:stop])

    def _shifted(self) -> None:
        self._begin(206, len(CONTENT) - 7, f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.wfile.write(CONTENT[7:])

    def _unsatisfiable(self) -> None:
        if self._start():
            self._begin(416, 0, f"bytes */{len(CONTENT)}")
        else:
            self._whole()

    def _missing(self) -> None:
        self._begin(404, 0)

    def _stuck(self) -> None:
        self._begin(200, len(CONTENT))
        self.wfile.write(CONTENT[:1000])
        self.server.ending.wait()

    def _trickling(self) -> None:
        # A byte now and then, as long as the other side listens.
        self._begin(200, len(CONTENT))
        try:
            for _ in range(6000):
                self.wfile.write(b"x")
                if self.server.ending.wait(0.01):
                    return
        except OSError:
            return
        self.server.heard_to_the_end = True


class WeightsServer(ThreadingHTTPServer):
    """Sends weights over the loopback, in several good and bad ways."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Files)
        self.ending = threading.Event()
        self.ranges: list[str | None] = []
        self.n_left = 0
        self.heard_to_the_end = False

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}.h5"


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with WeightsServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.ending.set()
        server.shutdown()
        thread.join()


Fetch = Callable[..., Path]


@pytest.fixture
def fetch(server: WeightsServer, tmp_path: Path) -> Fetch:
    """Ask for the weights that the server sends in this way."""
    return lambda name, **how: imagenet_weights_path(tmp_path / "cache", weights_at(server.url(name)), **how)


def weights_at(url: str, file_hash: str = MD5) -> EncoderInfo:
    return replace(ENCODERS["vgg16"], url=url, hash=file_hash)


def test_weights_are_downloaded_into_the_cache(fetch: Fetch, tmp_path: Path) -> None:
    path = fetch("whole")
    assert path == tmp_path / "cache/whole.h5"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["whole.h5"]


def test_weights_in_the_cache_are_not_downloaded_again(fetch: Fetch, server: WeightsServer) -> None:
    assert fetch("whole") == fetch("whole")
    assert len(server.ranges) == 1


def test_a_cache_with_another_hash_is_replaced(fetch: Fetch) -> None:
    path = fetch("whole")
    path.write_bytes(CONTENT[:1000])
    assert fetch("whole").read_bytes() == CONTENT


def test_download_progress_counts_bytes(fetch: Fetch) -> None:
    told: list[tuple[int, int | None]] = []
    fetch("whole", on_bytes=lambda *part: told.append(part))
    assert sum(n_bytes for n_bytes, _ in told) == len(CONTENT)
    assert {total for _, total in told} == {len(CONTENT)}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other", f"has the MD5 .*, expected {MD5}"),
        ("missing", r"127\.0\.0\.1:\d+ answered 404"),
    ],
)
def test_a_failed_download_names_alternatives_and_leaves_no_file(
    fetch: Fetch, tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(
        FetchError, match=rf"cannot download the ImageNet weights of vgg16: .*({reason}).* --encoder efficientnet-lite0"
    ):
        fetch(name)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("name", ["stuck", "trickling"])
def test_a_slow_download_is_given_up_at_the_deadline(
    fetch: Fetch, server: WeightsServer, tmp_path: Path, name: str
) -> None:
    with pytest.raises(FetchError, match=r"did not come within 0\.2 s.* --weights PATH\.h5"):
        fetch(name, deadline_s=0.2)
    assert not (tmp_path / f"cache/{name}.h5").exists()
    assert not server.heard_to_the_end


def test_a_download_that_broke_off_is_continued_by_the_next(
    fetch: Fetch, server: WeightsServer, tmp_path: Path
) -> None:
    server.n_left = 300_000
    with pytest.raises(FetchError, match=r"broke off after 0\.3 MB; the same command continues there"):
        fetch("breaking")
    assert not (tmp_path / "cache/breaking.h5").exists()
    server.n_left = len(CONTENT)
    told: list[int] = []
    path = fetch("breaking", on_bytes=lambda n_bytes, _: told.append(n_bytes))
    assert (path.read_bytes(), sum(told)) == (CONTENT, len(CONTENT))
    assert server.ranges == [None, "bytes=300000-", "bytes=300000-"]
    assert [file.name for file in path.parent.iterdir()] == ["breaking.h5"]


def test_a_download_that_breaks_off_now_and_then_continues_by_itself(fetch: Fetch, server: WeightsServer) -> None:
    assert fetch("hiccuping").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=200000-", "bytes=400000-", "bytes=600000-"]


@pytest.mark.parametrize("file_hash", [MD5, ""], ids=["hash", "no-hash"])
def test_a_download_that_breaks_off_all_the_time_is_kept_and_continued(
    server: WeightsServer, tmp_path: Path, file_hash: str
) -> None:
    file, path = RemoteFile(server.url("crumbling"), file_hash, "a file", "Wait"), tmp_path / "file"
    for n_megabytes in ("0.3", "0.6"):
        with pytest.raises(FetchError, match=rf"broke off after {n_megabytes} MB; the same command continues there"):
            download(file, path)
        assert not path.exists()
    download(file, path)
    assert path.read_bytes() == CONTENT
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_the_length_of_the_whole_file_counts(server: WeightsServer, tmp_path: Path) -> None:
    file = RemoteFile(server.url("ending"), "", "a file", "Wait")
    with pytest.raises(FetchError, match=r"broke off after 0\.7 MB; the same command continues there"):
        download(file, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_another_part_than_was_asked_for_is_not_appended(server: WeightsServer, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="sent another part than was asked for"):
        download(RemoteFile(server.url("shifted"), "", "a file", "Wait"), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("begun", [CONTENT, CONTENT + b"and more"])
def test_a_file_of_unknown_hash_is_whole_if_its_length_is_right(
    server: WeightsServer, tmp_path: Path, begun: bytes
) -> None:
    (tmp_path / ".file..download").write_bytes(begun)
    download(RemoteFile(server.url("unsatisfiable"), "", "a file", "Wait"), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["whole", "breaking", "unsatisfiable"])
@pytest.mark.parametrize("begun", [b"another file", CONTENT + b"and more"])
def test_a_beginning_of_another_file_is_dropped(
    fetch: Fetch, server: WeightsServer, tmp_path: Path, name: str, begun: bytes
) -> None:
    server.n_left = len(CONTENT)
    (tmp_path / "cache").mkdir()
    (tmp_path / f"cache/.{name}.h5.{MD5[:8]}.download").write_bytes(begun)
    told: list[int] = []
    assert fetch(name, on_bytes=lambda n_bytes, _: told.append(n_bytes)).read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)


def test_a_download_that_is_whole_but_for_its_name_is_not_repeated(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / f"cache/.unsatisfiable.h5.{MD5[:8]}.download").write_bytes(CONTENT)
    assert fetch("unsatisfiable").read_bytes() == CONTENT


def test_a_file_is_downloaded_by_one_process_at_a_time(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with (tmp_path / f"cache/.whole.h5.{MD5[:8]}.download").open("ab") as stream:
        portalocker.lock(stream, portalocker.LockFlags.EXCLUSIVE)
        with pytest.raises(FetchError, match="another process is downloading it; let it finish"):
            fetch("whole")
    assert fetch("whole").read_bytes() == CONTENT


def test_downloads_go_through_the_proxy(server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    path = imagenet_weights_path(tmp_path, weights_at("http://weights.invalid/whole.h5"))
    assert path.read_bytes() == CONTENT


def test_weights_are_checked_by_sha256_too(server: WeightsServer, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert imagenet_weights_path(tmp_path, weights_at(server.url("whole"), sha256)).is_file()
    with pytest.raises(FetchError, match=f"has the SHA-256 .*, expected {sha256}"):
        imagenet_weights_path(tmp_path, weights_at(server.url("other"), sha256))


def test_a_bad_download_leaves_the_cache_unchanged(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/other.h5").write_bytes(b"earlier")
    with pytest.raises(FetchError):
        fetch("other")
    assert (tmp_path / "cache/other.h5").read_bytes() == b"earlier"


def test_an_unreachable_host_is_named(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(FetchError, match=rf"127\.0\.0\.1:{port} cannot be reached.* Connect this machine"):
        imagenet_weights_path(tmp_path, weights_at(f"http://127.0.0.1:{port}/w.h5"))


# Random weights

SHAPES = [(3, 3, 64, 128), (128,), (512, 10)]


def test_the_same_seed_draws_the_same_weights() -> None:
    for one, other in zip(random_kernels(SHAPES, 3), random_kernels(SHAPES, 3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_draws_others() -> None:
    assert (random_kernels(SHAPES, 3)[0] != random_kernels(SHAPES, 4)[0]).mean() > 0.99


def test_kernels_have_the_spread_of_he_and_biases_are_zero() -> None:
    kernel, bias, dense = random_kernels(SHAPES, 0)
    assert [weight.shape for weight in (kernel, bias, dense)] == SHAPES
    assert {str(weight.dtype) for weight in (kernel, bias, dense)} == {"float32"}
    assert not bias.any()
    assert np.isclose(kernel.std(), np.sqrt(2 / (9 * 64)), rtol=0.02)
    assert np.isclose(dense.std(), np.sqrt(2 / 512), rtol=0.05)
    assert abs(kernel.mean()) < 0.001


def test_a_depthwise_kernel_has_one_channel_as_inputs() -> None:
    (kernel,) = random_kernels([(5, 5, 200, 1)], 0)
    assert np.isclose(kernel.std(), np.sqrt(2 / 25), rtol=0.05)
