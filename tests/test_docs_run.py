"""Run every command and snippet of the documentation, page by page from top to bottom."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from keyart.cli import main
from tests import sandbox
from tests.conftest import OncePerRun
from tests.posters.tmdb_server import V3_KEY, TmdbServer
from tests.test_layers import ROOT

pytestmark = pytest.mark.heavy

PAGES = [path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
# Pages that begin before there is a workspace with posters, features and an index.
BEGINNINGS = {"README.md": "files", "docs/loading.md": "files", "docs/fetching.md": "films"}
# They start a server, train networks or evaluate models.
HEAVY = {f"docs/{name}.md" for name in "atlas recommendations recommenders".split()}
# Each takes as long as ten others.
LONGEST = {"README.md", *(f"docs/{name}.md" for name in "evaluation serving spark".split())}
HAS_JAVA = shutil.which("java") is not None or "JAVA_HOME" in os.environ

# What cannot run here, as a pattern and what is run in its place.
SUBSTITUTES = (
    # A pair that knows words is a download of 608 MB.
    (r" --encoder clip-vit-b32", f" --encoder {sandbox.PAIR}"),
    # The pair of the tests knows few words.
    (r'--text "at night"', '--text "moon"'),
    # ImageNet's weights are a download of 59 MB, and VGG16 takes a quarter of a second an image.
    (r"^(keyart extract .*)--weights \S+", r"\1"),
    # Files that are not there; tests/features/encoders/test_onnx_file.py reads such ones.
    (r"^keyart extract --encoder (network\.onnx|dinov2|xception).*", "keyart encoders"),
    (r" --encoder dinov2$", ""),
    (r" --encoder (network\.keras|efficientnet-lite0)", f" --encoder {sandbox.TINY}"),
    (r" --encoder (squeezenet|efficientnet)\.keras", rf" --encoder {sandbox.TINY} --as \1"),
    # The workspace has features of the tiny network in place of VGG16's.
    (r"^keyart extract --encoder resnet50", f"keyart extract --encoder {sandbox.TINY} --as resnet50"),
    (r"^(keyart (?:encoders remove|similar .* --encoder)) vgg16", r"\1 tiny"),
    (r"^keyart extract(?!.* --encoder)", f"keyart extract --encoder {sandbox.TINY}"),
    (r'ExtractOptions\((?:weights="\w+"(?:, )?)?', f'ExtractOptions("{sandbox.TINY}", '),
    (r'(extract_images\(.*, "[\w/-]+")\)', rf'\1, keyart.ExtractOptions("{sandbox.TINY}"))'),
    (r'(extract_table\(\w+, "[^"]+")\)', rf'\1, keyart.ExtractOptions("{sandbox.TINY}"))'),
    # Drawing the films takes half a minute, so the sandbox has them; tests/keyart/cli/test_demo.py runs the command.
    (r"^keyart demo$", "keyart info --home keyart-demo/workspace"),
    # A cluster.
    (r" --spark( spark://\S+)?$", " --spark local[1]"),
    # MovieLens 1M and its posters.
    (r"^keyart .* --home DIR.*", "keyart info"),
    # All models in five folds take minutes; each has tests of its own.
    (r"^keyart evaluate models all", "keyart evaluate models most-rated als"),
    # Fifty posters, each distorted in 21 ways.
    (r"^keyart evaluate look-alikes(?!.*--distorted)", "keyart evaluate look-alikes --distorted 2"),
)
# Programs that are not keyart, and why their commands are not run.
SKIPPED = {
    "git": "needs the network",
    "curl": "not on every machine; tests/keyart/web/test_body_limits.py sends such requests",
    "cd": "the sandbox is the folder",
    "pip": "needs the network; tests/test_wheel.py installs keyart",
    "make": "the targets set up an environment of their own and run these tests",
    "pytest": "runs these tests",
    "python": "benchmarks take hours and need real data",
    "spark-submit": "needs a cluster",
    "export": "the tests set the key of a server of their own",
    "optimum-cli": "downloads a network",
    "docker": "needs a container engine; tests/test_deployment.py checks the files",
    "sudo": "sets up the machine",
    "cat": "writes to the user's home",
    "install": "writes to the user's home",
    "echo": "writes to the user's shell",
}


@dataclass(frozen=True)
class Step:
    """A command or a snippet, and its line on the page."""

    language: str
    line: int
    text: str


def read_steps(page: str) -> Iterator[Step]:
    """Find the commands and snippets of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.finditer(r"^```(sh|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, block.start(2)) + 1
        if block[1] == "python":
            yield Step("python", line, block[2])
            continue
        for number, command in enumerate(block[2].replace("\\\n", " ").splitlines()):
            yield from (Step("sh", line + number, one) for one in split_commands(command))


def split_commands(line: str) -> Iterator[str]:
    """Split a line of shell at && and without its comment, each command up to a pipe or a redirection."""
    words = shlex.shlex(line, posix=False, punctuation_chars="&|<>")
    words.whitespace_split, words.commenters = True, "#"
    for command in " ".join(words).split(" && "):
        yield re.split(r" [|<>&]", command)[0].strip()


@dataclass
class Reader:
    """Runs the steps of a page in the current folder, with one server at a time."""

    page: str
    capfd: pytest.CaptureFixture[str]
    names: dict[str, Any] = field(default_factory=dict)
    address: str = "http://127.0.0.1:8000"
    serving: ExitStack = field(default_factory=ExitStack)

    def run(self, step: Step) -> None:
        text = step.text.replace("http://127.0.0.1:8000", self.address)
        # A folder in place of a bucket, by its whole path: Spark's Java may have been started in another folder.
        text = text.replace("s3a://bucket/", f"{Path.cwd()}/bucket/")
        for pattern, substitute in SUBSTITUTES:
            text = re.sub(pattern, substitute, text, flags=re.MULTILINE)
        if step.language == "python":
            # Tracebacks then show the line of the page.
            exec(compile("\n" * (step.line - 1) + text, self.page, "exec"), self.names)
        elif text:
            self._type(shlex.split(text), f"{self.page}, line {step.line}: {text}")

    def _type(self, words: list[str], where: str) -> None:
        with pytest.MonkeyPatch.context() as environment:
            while "=" in words[0]:
                environment.setenv(*words.pop(0).split("=", 1))
            self._run(words, where)

    def _run(self, words: list[str], where: str) -> None:
        program = Path(words[0]).name
        if program in SKIPPED or ("--spark" in words and not HAS_JAVA):
            return
        if program != "keyart":
            pytest.fail(f"{where}\nis no command of keyart; SKIPPED lists the others")
        if words[1:2] == ["serve"]:
            self.serving.close()
            self.address = self.serving.enter_context(serving(words[1:]))
            return
        with pytest.raises(SystemExit) as left:
            main(words[1:])
        output = "".join(self.capfd.readouterr())
        if left.value.code:
            pytest.fail(f"{where}\nended with {left.value.code}:\n{output[-2000:]}")


@contextmanager
def serving(words: list[str]) -> Iterator[str]:
    """Run `keyart serve` in a process of its own; yield its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "keyart", *words, "--port", port]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    patient = requests.Session()
    retry = urllib3.Retry(total=None, connect=200, backoff_factor=0.1, backoff_max=0.5)
    patient.mount(address, requests.adapters.HTTPAdapter(max_retries=retry))
    try:
        with patient, patient.get(f"{address}/healthz", timeout=60) as answer:
            assert answer.ok
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGINT), errors


@pytest.fixture(scope="session")
def beginnings(once_per_run: OncePerRun) -> Callable[[str], Path]:
    """The folder in which a page begins: with files alone, with a workspace of films, or with one that is built."""

    def fill(folder: Path) -> None:
        sandbox.write_files(folder / "files")
        sandbox.build_demo(folder / "files")
        shutil.copytree(folder / "files", folder / "films")
        sandbox.load_films(folder / "films")
        shutil.copytree(folder / "films", folder / "built")
        sandbox.fill_workspace(folder / "built")

    return lambda page: once_per_run("documentation", fill) / BEGINNINGS.get(page, "built")


@pytest.fixture
def tmdb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with TmdbServer() as server:
        sandbox.add_to(server)
        monkeypatch.setenv("KEYART_TMDB_URL", server.base_url)
        monkeypatch.setenv("TMDB_API_KEY", V3_KEY)
        yield


def marks_of(page: str) -> tuple[pytest.MarkDecorator, ...]:
    if page in LONGEST:
        return (pytest.mark.release,)
    return (pytest.mark.heavy,) if page in HEAVY else ()


@pytest.fixture
def no_spark_afterwards() -> Iterator[None]:
    """Stop the session that snippets open, which later tests would share."""
    yield
    if "pyspark.sql" in sys.modules:
        from pyspark.sql import SparkSession

        if session := SparkSession.getActiveSession():
            session.stop()


@pytest.mark.usefixtures("tmdb", "no_spark_afterwards")
@pytest.mark.parametrize("page", [pytest.param(page, marks=marks_of(page)) for page in PAGES])
def test_every_command_and_snippet_runs(
    page: str,
    beginnings: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    steps = list(read_steps(page))
    if not steps:
        return
    folder = shutil.copytree(beginnings(page), tmp_path / "work")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    reader = Reader(page, capfd)
    with reader.serving:
        for step in steps:
            reader.run(step)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_of_commands_are_marked_as_such(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    commands = ("keyart ", "pip ", "python ", "spark-submit ")
    assert not [content for language, content in blocks if content.startswith(commands) and language != "sh"]


def test_splits_lines_of_shell() -> None:
    line = 'keyart similar "Heat (1995)" --json | jq .  # comment'
    assert list(split_commands(line)) == ['keyart similar "Heat (1995)" --json']
    assert list(split_commands("keyart fit als && keyart info > a.txt")) == ["keyart fit als", "keyart info"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("keyart simular 6", r"page\.md, line 7: keyart simular 6\nended with 2:\n.*Did you mean similar"),
        ("keiart similar 6", r"page\.md, line 7: keiart similar 6\nis no command of keyart"),
    ],
)
def test_names_the_command_that_fails(command: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(pytest.fail.Exception, match=message):
        Reader("page.md", capfd).run(Step("sh", 7, command))
