"""Read spoiled files of one target; prints one JSON object, and what was wrong before it.

Hypothesis draws what is spoiled; with --coverage, Atheris looks for what reaches new code.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import NoReturn

# Files there are written quickly.
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_PATIENCE_S = 30
# Of address space beside what is there before the first case.
_MEMORY_BYTES = 4 << 30
_SEPARATOR = b"\n\x00keyart-next-file\x00\n"


class Cases:
    """Runs a target on files, one after the other, and keeps the case that ends the process."""

    def __init__(self, name: str, kept: Path) -> None:
        from tests.faults.hostile import TARGETS

        self.name, self.target, self.endings = name, TARGETS[name], Counter[str]()
        self._folder, self._kept = Path(tempfile.mkdtemp(prefix="keyart-fuzz-", dir=IN_MEMORY)), kept
        if self.target.run(self.target.valid(), self._folder) != "read":
            raise AssertionError(f"the valid files of {name} are not read")
        bound_memory()
        signal.signal(signal.SIGALRM, _too_long)

    def run(self, files: dict[str, bytes]) -> None:
        """Read files; raises whatever is not a KeyartError."""
        signal.alarm(_PATIENCE_S)
        try:
            self.endings[self.target.run(files, self._folder)] += 1
        except BaseException:
            self.keep()
            raise
        finally:
            signal.alarm(0)

    def keep(self) -> None:
        """Keep the files of the last case."""
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self._folder, self._kept)

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def bound_memory() -> None:
    """Let this process take so much memory more, and no further."""
    n_pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = n_pages * resource.getpagesize() + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _too_long(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise AssertionError(f"still reading after {_PATIENCE_S} s")


def by_hypothesis(cases: Cases, n_cases: int, seed: int) -> str:
    """Read files that Hypothesis spoils; returns what was wrong."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import seed as seeded

    from tests.faults.hostile import spoiled

    checks = list(HealthCheck)

    @seeded(seed)
    @settings(max_examples=n_cases, deadline=None, database=None, suppress_health_check=checks, print_blob=False)
    @given(spoiled(cases.target))
    def read(files: dict[str, bytes]) -> None:
        cases.run(files)

    try:
        read()
    except BaseException:
        return traceback.format_exc()
    return ""


def by_coverage(cases: Cases, n_cases: int, seed: int, began: float) -> NoReturn:
    """Read files that reach new code; ends the process with an exit code above 0 where something is wrong."""
    import atheris

    valid = cases.target.valid()
    names = sorted(valid)
    corpus = Path(tempfile.mkdtemp(prefix="keyart-corpus-"))
    (corpus / "valid").write_bytes(_SEPARATOR.join(valid[name] for name in names))

    def read(content: bytes) -> None:
        parts = content.split(_SEPARATOR)
        cases.run(dict(zip(names, parts, strict=False)))
        # Afterwards the process ends without another word.
        if sum(cases.endings.values()) == n_cases:
            report(cases, began)

    longest = 2 * sum(map(len, valid.values())) + 4096
    options = [f"-runs={n_cases}", f"-max_len={longest}", f"-seed={seed + 1}", "-verbosity=0", "-rss_limit_mb=6000"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/", str(corpus)], read)
    atheris.Fuzz()
    raise AssertionError("Atheris ends the process")


def report(cases: Cases, began: float) -> None:
    """Print how many cases ended how."""
    figures = {"command": cases.name, "cases": sum(cases.endings.values()), "s": round(time.monotonic() - began, 1)}
    print(json.dumps({**figures, "endings": dict(cases.endings)}), flush=True)


def main() -> None:
    """Run the cases that the arguments choose."""
    parser = ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--kept", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    faulthandler.enable()
    if options.coverage:
        import atheris

        with atheris.instrument_imports(include=["catalog", "cf", "features", "posters", "index", "keyart"]):
            import tests.faults.hostile  # noqa: F401
    began = time.monotonic()
    cases = Cases(options.target, options.kept / options.target)
    if options.coverage:
        by_coverage(cases, options.cases, options.seed, began)
    wrong = by_hypothesis(cases, options.cases, options.seed)
    if wrong:
        print(json.dumps({"wrong": f"{options.target}: {wrong[-4000:]}"}))
    report(cases, began)
    cases.close()


if __name__ == "__main__":
    main()
