"""Run commands under faults in a process with the preloaded library; prints one JSON object a line, figures last."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.faults.commands import COMMANDS, N_FILMS, Command
from tests.faults.trial import KINDS, Outcome, Trials, every_fault, random_times, warm_up
from tests.posters.tmdb_server import TmdbServer


@contextmanager
def tmdb() -> Iterator[str]:
    """Run a fake TMDB in a process of its own, as threads do not survive a fork."""
    ours, theirs = os.pipe()
    stop, wait = os.pipe()
    if not os.fork():
        os.close(wait)
        with TmdbServer() as server:
            for film in range(1, N_FILMS):
                server.add_film(100 + film)
            os.write(theirs, server.base_url.encode())
            os.read(stop, 1)
        os._exit(0)
    os.close(stop)
    try:
        yield os.read(ours, 200).decode()
    finally:
        os.close(wait)
        os.wait()


def selected(trials: Trials, command: Command, pattern: str) -> set[int]:
    """Return the numbers of the operations that a pattern finds, as in ``rename .*catalog.sqlite``."""
    return {one.number for one in trials.recorded(command)[1] if not one.is_reading and re.search(pattern, str(one))}


def cases(trials: Trials, command: Command, options: Namespace) -> Iterator[Outcome]:
    """Run all cases of a command."""
    undisturbed = trials.count(command)
    if undisturbed.code:
        raise AssertionError(f"{command.name} failed: {undisturbed.output}")
    chosen = selected(trials, command, options.only) if options.only else ()
    for kind in options.kinds.split(",") if options.kinds else ():
        for fault in every_fault(undisturbed, KINDS[kind]):
            is_chosen = not options.only or fault.at in chosen
            if is_chosen and (fault.at + options.offset) % options.stride == 0:
                yield trials.trial(command, fault)
    if options.unrecorded:
        different = trials.unrecorded(command)
        yield Outcome(command.name, "recorded", "done", [f"{name} was changed unseen" for name in different])
    if options.power:
        yield from trials.power_failures(command, options.seed, options.stride)
    for after_s in random_times(Random(f"{options.seed} {command.name}"), options.kills, undisturbed.lasted_s):
        yield trials.trial(command, kill_after_s=after_s)


def main() -> None:
    """Run the cases that the arguments choose."""
    parser = ArgumentParser()
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--stride", type=int, default=1, help="every so many operations")
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--kills", type=int, default=0, help="kills at random times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="operations that a pattern finds, as in 'rename .*catalog.sqlite'")
    parser.add_argument("--unrecorded", action="store_true", help="whether all operations are seen")
    parser.add_argument("--power", action="store_true", help="power failures after every operation")
    options = parser.parse_args()
    warm_up()
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="keyart-faults-", dir=parent))
    try:
        with tmdb() as url:
            trials = Trials(folder, url)
            for name in options.commands:
                n_cases = 0
                for outcome in cases(trials, COMMANDS[name], options):
                    n_cases += 1
                    if outcome.wrong:
                        print(json.dumps({"wrong": str(outcome)}), flush=True)
                figures = {"command": name, "cases": n_cases, "folders": trials.n_judged(name)}
                print(json.dumps({**figures, "endings": dict(trials.endings)}), flush=True)
                trials.endings.clear()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
