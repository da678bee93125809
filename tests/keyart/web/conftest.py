"""The page's server, really listening on the loopback, and a real Chromium that looks at it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from keyart.recommend.models import fit_model
from keyart.workspace.contents import open_ratings
from keyart.workspace.layout import Workspace
from tests.installation import Demonstration
from tests.test_layers import ROOT

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

if TYPE_CHECKING:
    from keyart.web.connections import ConnectionLimits

# The shell draws and runs pages as the browser does, but opens a page for a quarter of the work.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; .ci/run installs it")
AXE = ROOT / "tests" / ".cache" / "axe.min.js"
NEEDS_AXE = pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there; .ci/run fetches it")
# For what must come, on a machine however busy.
_PATIENCE_S = 60
SCREENSHOTS = ROOT / "tests" / ".cache" / "screenshots"
"""One of every test of a page, as it was left."""

Page = Any


_SERVERS: dict[str, Any] = {}


def stopper(url: str) -> Callable[[], None]:
    """Return a function that stops a server during a request, as SIGTERM does, and waits for its ports to close."""
    server = _SERVERS[url]

    def stop() -> None:
        while not server.server_state.tasks:
            pass
        server.should_exit = True
        while any(door.is_serving() for door in server.servers):
            pass

    return stop


@contextmanager
def serving(
    home: Path,
    token: str | None = None,
    *,
    read_only: bool = False,
    limits: ConnectionLimits | None = None,
    **public: Any,
) -> Iterator[str]:
    """Serve a workspace on any free port, and give its address; `public` are fields of `PublicAddress`."""
    from keyart.web.address import listen
    from keyart.web.app import make_app
    from keyart.web.public_address import PublicAddress
    from keyart.web.server import make_server

    listening = threading.Event()
    app = make_app(home, token, read_only=read_only, public=PublicAddress(**public))
    server, listener = make_server(app, listening.set, limits), listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert listening.wait(_PATIENCE_S)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        _SERVERS[url] = server
        yield url
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_S)


Answer = TypeVar("Answer")


def eventually(ask: Callable[[], Answer], is_expected: Callable[[Answer], bool]) -> Answer:
    """Ask a server until the answer is the expected one, which takes it seconds after a change of its files."""
    deadline = time.monotonic() + 90
    while not is_expected(answer := ask()):
        assert time.monotonic() < deadline, answer
        # The server runs in this process: it should spend its time on more than answers.
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="session")
def address(_built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(copied(_built_home, tmp_path_factory)) as url:
        yield url


def copied(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy a workspace that other tests copy too: what is open must not change under their hands."""
    return Path(shutil.copytree(home, tmp_path_factory.mktemp("served") / "workspace"))


@pytest.fixture(scope="session")
def demo_address(demonstration: Demonstration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo catalog, served."""
    with serving(copied(demonstration.folder / "workspace", tmp_path_factory)) as url:
        yield url


@pytest.fixture(scope="module")
def words_url(built_words: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo catalog with an encoder that takes words, served."""
    with serving(copied(built_words, tmp_path_factory)) as url:
        yield url


@pytest.fixture(scope="session")
def fitted_home(_built_tastes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of two tastes, with a model that gives stars and one that does not."""
    home = copied(_built_tastes, tmp_path_factory)
    workspace = Workspace.open(home)
    for name in ("ease", "als"):
        fit_model(workspace, name, open_ratings(workspace))
    return home


@pytest.fixture(scope="session")
def people_address(fitted_home: Path) -> Iterator[str]:
    """The workspace of two tastes, served."""
    with serving(fitted_home) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser that is gone before other modules run: while it is there, so is its event loop, beside no other."""
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=_PATIENCE_S * 1000)
    with playwright.sync_playwright() as driver:
        # Whoever tests as root, as containers do, has no sandbox.
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def looking(browser: Any, address: str, request: pytest.FixtureRequest, **options: Any) -> Iterator[Page]:
    """Open an empty page that may show what a server has, and keep a picture of how the test leaves it."""
    page = browser.new_page(base_url=address, **options)
    page.set_default_timeout(_PATIENCE_S * 1000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    # Also what the page's own policy forbids.
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{request.path.stem}-{request.node.name.replace('/', '_')}.png"
    page.screenshot(path=path)
    request.node.user_properties.append(("screenshot", str(path)))
    page.close()
    assert not faults


@pytest.fixture
def page(browser: Any, demo_address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page of the demo catalog."""
    with looking(browser, demo_address, request) as opened:
        yield opened


def expect(page: Page, selector: str) -> Any:
    """Expect something of an element, which may take a while to come true."""
    from playwright.sync_api import expect

    return expect(page.locator(selector))


def expect_hits(page: Page) -> None:
    """Wait for the look-alikes of the film that the page is about: until they come, those of the film before stay."""
    expect(page, "#hits[aria-busy=false] .hit >> nth=0").to_be_visible()


@pytest.fixture
def people_page(browser: Any, people_address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page of the workspace of two tastes."""
    with looking(browser, people_address, request) as opened:
        yield opened


def barriers(page: Page) -> list[tuple[str, list[str]]]:
    """Name what axe finds that keeps people out, of any impact: rules, and the elements that break them."""
    # The page's own policy lets in no script of others; the debugger may still run one.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
