"""Fixtures shared by several packages: real files, small folders, a full disk, an S3 server."""

from __future__ import annotations

import logging
import math
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import portalocker
import pytest
from hypothesis import HealthCheck, settings

from tests.installation import Demonstration, Installation, install

# Tests run in two processes on two cores, where threads of BLAS and OpenMP would mostly wait for each other. Both read
# this when they are loaded, which is later.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# A JVM that runs for seconds spends half of them on optimizing code.
for _name in ("SPARK_SUBMIT_OPTS", "SPARK_LAUNCHER_OPTS"):
    os.environ.setdefault(_name, "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
# Tables of some rows need few partitions, and nobody looks at Spark's web page.
os.environ.setdefault(
    "PYSPARK_SUBMIT_ARGS", "--conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2 pyspark-shell"
)

# No deadlines and no random draws, so that no test fails by chance; to explore: --hypothesis-profile=default.
settings.register_profile("keyart", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("keyart")

_SHARED_DIR = Path(__file__).parents[2] / "shared"
# Tests that use these take seconds; files that are slow for other reasons are marked in the file.
_HEAVY_FIXTURES = {"shared", "demonstration"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HEAVY_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("heavy")
    # Long files first, so that the short ones keep both processes busy to the end.
    items.sort(key=lambda item: not {"heavy", "release"} & set(item.keywords))


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Handle SIGINT here and in subprocesses, because background jobs of a shell inherit it as ignored."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user() -> Iterator[None]:
    """Shield tests and their subprocesses from the user's keyart variables and proxies."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("KEYART_", "TMDB_"))]:
            environment.delenv(name)
        for name in ("NO_PROXY", "no_proxy"):
            environment.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_progress_by_the_clock() -> Iterator[None]:
    """Print no line because a command has run for ten seconds: a busy machine must not change what is printed."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("catalog.io.progress._LINE_S", math.inf)
        yield


OncePerRun = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def once_per_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> OncePerRun:
    """Fill a folder of this name in the first process of a test run that needs it."""
    base = tmp_path_factory.getbasetemp()
    run_folder = base if worker_id == "master" else base.parent

    def filled(name: str, fill: Callable[[Path], None]) -> Path:
        folder, complete = run_folder / name, run_folder / f"{name}.complete"
        with portalocker.Lock(f"{folder}.lock", timeout=600):
            if not complete.is_file():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                complete.touch()
        return folder

    return filled


@pytest.fixture(scope="session")
def installation(once_per_run: OncePerRun) -> Installation:
    """The installed wheel; the processes of a test run share it."""
    return Installation(once_per_run("installation", install))


@pytest.fixture(scope="session")
def demonstration(
    installation: Installation, once_per_run: OncePerRun, tmp_path_factory: pytest.TempPathFactory
) -> Demonstration:
    """`keyart demo`, which takes half a minute, so it runs once; each process works on a copy of its folder."""

    def run_demo(folder: Path) -> None:
        printed = installation.run("keyart", "demo", "--out", folder)
        (folder / "printed.txt").write_text(printed, encoding="utf-8")

    original = once_per_run("demonstration", run_demo)
    folder = Path(shutil.copytree(original, tmp_path_factory.mktemp("demo") / "keyart-demo"))
    printed = (folder / "printed.txt").read_text(encoding="utf-8")
    return Demonstration(folder, printed.replace(str(original), str(folder)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real MovieLens files, posters and network, where this machine has them."""
    if not (_SHARED_DIR / "data").is_dir():
        pytest.skip("needs ../shared: real MovieLens files and posters")
    return _SHARED_DIR


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Write a folder of small files, such as a MovieLens folder of two films; text as UTF-8, line ends as given."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """A context manager in which no file can grow beyond a number of bytes."""

    @contextmanager
    def refuse(n_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return refuse


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, Any]]:
    """Options with which Arrow reaches an S3 server on the loopback that has an empty bucket."""
    from moto.server import ThreadedMotoServer
    from pyarrow.fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    options = {"access_key": "who", "secret_key": "what", "region": "us-east-1", "scheme": "http"}
    options["endpoint_override"] = f"{host}:{port}"
    S3FileSystem(**options, allow_bucket_creation=True).create_dir("bucket")
    yield options
    server.stop()
