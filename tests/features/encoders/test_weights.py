from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import FetchError
from features.encoders.weights import imagenet_weights_path, random_kernels

CONTENT = np.random.default_rng(0).bytes(700_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class _Files(BaseHTTPRequestHandler):
    server: WeightsServer

    def do_GET(self) -> None:
        self.server.n_requests += 1
        getattr(self, "_" + self.path.strip("/").removesuffix(".h5"))()

    def log_message(self, *parts: object) -> None:
        pass

    def _begin(self, status: int, n_bytes: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(n_bytes))
        self.end_headers()

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
        self.n_requests = 0
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
    return lambda name, **how: imagenet_weights_path(tmp_path / "cache", server.url(name), MD5, **how)


def test_weights_are_downloaded_into_the_cache(fetch: Fetch, tmp_path: Path) -> None:
    path = fetch("whole")
    assert path == tmp_path / "cache/whole.h5"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["whole.h5"]


def test_weights_in_the_cache_are_not_downloaded_again(fetch: Fetch, server: WeightsServer) -> None:
    assert fetch("whole") == fetch("whole")
    assert server.n_requests == 1


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
        ("cut", "broke off|has the MD5"),
        ("missing", r"127\.0\.0\.1:\d+ answered 404"),
    ],
)
def test_a_failed_download_names_alternatives_and_leaves_no_file(
    fetch: Fetch, tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(FetchError, match=rf"cannot download VGG16's ImageNet weights: .*({reason}).* --weights random"):
        fetch(name)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("name", ["stuck", "trickling"])
def test_a_slow_download_is_given_up_at_the_deadline(
    fetch: Fetch, server: WeightsServer, tmp_path: Path, name: str
) -> None:
    with pytest.raises(FetchError, match=r"(did not come within 0\.2 s|broke off).* --weights PATH\.h5"):
        fetch(name, deadline_s=0.2)
    assert list((tmp_path / "cache").iterdir()) == []
    assert not server.heard_to_the_end


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
        imagenet_weights_path(tmp_path, f"http://127.0.0.1:{port}/w.h5", MD5)
    assert list(tmp_path.iterdir()) == []


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
