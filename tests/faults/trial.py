"""Run commands under faults, each in a process that is forked from a warmed-up one, and judge what they leave."""

from __future__ import annotations

import errno
import gc
import hashlib
import os
import pickle
import re
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from unittest import mock

from catalog.io.locks import LOCK_NAME
from tests.faults.commands import CHECK, COMMANDS, PREPARATIONS, Command, Inputs
from tests.faults.power import Disk, after_failures
from tests.faults.preload import Action, Fault, Operation, Tally, arm, disarm, read_record
from tests.faults.state import State, plain_name, read_state
from tests.features.numpy_network import load_encoder

_PATIENCE_S = 120
_KILLED = -signal.SIGKILL
NO_FAULT = Fault()
# Of commands that did what they could, and say what they could not.
_LEFT_OUT = ("note: ", "could not be read")


@dataclass(frozen=True)
class Ending:
    """How a process ended: its exit code, or a negative signal; what it wrote, and how many operations it did.

    Openings to read are not among the operations.
    """

    code: int
    output: str
    n_operations: int
    n_readings: int
    hit: str
    lasted_s: float


@dataclass
class Outcome:
    """A case: a command, what happened to it, and what was wrong afterwards."""

    command: str
    fault: str
    ending: str
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.command}: {self.fault} ({self.ending}): {'; '.join(self.wrong) or 'fine'}"


def warm_up() -> None:
    """Import what the commands import, and compute features with NumPy alone: a fork then begins at once."""
    import faiss  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.cluster
    import sklearn.manifold  # noqa: F401
    import uvicorn  # noqa: F401

    from keyart.cli import keyart
    from keyart.web import app  # noqa: F401

    for name in keyart.list_commands(None):
        keyart.get_command(None, name)
    # What is shared with the forked processes stays shared.
    gc.collect()
    gc.freeze()
    for module in ("features.extraction", "features.encoders.encoder"):
        mock.patch(f"{module}.load_encoder", load_encoder).start()
    # NumPy networks are not Keras files.
    mock.patch("features.encoders.loading.check_files", return_value=None).start()


class Trials:
    """Commands on copies of workspaces that are made once, in a folder."""

    def __init__(self, folder: Path, tmdb_url: str = "") -> None:
        self._folder = folder
        self.inputs = Inputs(folder / "inputs", tmdb_url)
        self.inputs.write()
        self._tally = Tally()
        self._bases: dict[tuple[str, ...], Path] = {}
        self._states: dict[str, State] = {}
        self._judged: dict[tuple[str, str], list[str]] = {}
        self._n_cases = 0
        self.endings: Counter[str] = Counter()

    def run(
        self,
        command: Command,
        case: Path,
        fault: Fault = NO_FAULT,
        *,
        kill_after_s: float | None = None,
        record: Path | None = None,
    ) -> Ending:
        """Run a command in a process of its own."""

        def work() -> None:
            arm(fault, case, self._tally, record)
            command.run(self.inputs, case)

        ending = self._forked(work, kill_after_s)
        if command.name == "serve" and ending.code == -signal.SIGINT:
            # Which is how a server is ended.
            return replace(ending, code=0 if "answer: []" in ending.output else 1)
        return ending

    def _forked(self, work: Callable[[], object], kill_after_s: float | None = None) -> Ending:
        output = self._folder / "output"
        sys.stdout.flush()
        sys.stderr.flush()
        started = time.monotonic()
        pid = os.fork()
        if not pid:
            _work_and_exit(work, output)
        code = _wait(pid, kill_after_s)
        lasted_s = time.monotonic() - started
        return Ending(code, output.read_text(errors="replace").strip(), *self._tally.read(), lasted_s)

    def base(self, commands: tuple[str, ...]) -> Path:
        """Return a workspace where commands have been run, with an empty folder's parent for no commands."""
        if commands not in self._bases:
            folder = self._folder / "bases" / str(len(self._bases))
            self._bases[commands] = folder
            if not commands:
                folder.mkdir(parents=True)
                return folder
            shutil.copytree(self.base(commands[:-1]), folder)
            ending = self.run({**COMMANDS, **PREPARATIONS}[commands[-1]], folder)
            if ending.code:
                raise AssertionError(f"{commands[-1]} failed: {ending.output}")
        return self._bases[commands]

    def fresh(self, commands: tuple[str, ...]) -> Path:
        """Return a copy of a workspace."""
        self._n_cases += 1
        return Path(shutil.copytree(self.base(commands), self._folder / "cases" / str(self._n_cases)))

    def state(self, case: Path) -> State:
        """Read the state of a workspace in a process of its own."""
        path = self._folder / "state"
        path.unlink(missing_ok=True)
        ending = self._forked(lambda: path.write_bytes(pickle.dumps(read_state(case))))
        if ending.code:
            raise AssertionError(f"the workspace cannot be read: {ending.output[-2000:]}")
        return pickle.loads(path.read_bytes())

    def state_of(self, commands: tuple[str, ...]) -> State:
        """Return the state of the workspace where commands have been run undisturbed."""
        key = "/".join(commands)
        if key not in self._states:
            self._states[key] = self.state(self.base(commands))
        return self._states[key]

    def count(self, command: Command) -> Ending:
        """Run a command undisturbed."""
        case = self.fresh(command.before)
        ending = self.run(command, case)
        shutil.rmtree(case)
        return ending

    def trial(self, command: Command, fault: Fault = NO_FAULT, *, kill_after_s: float | None = None) -> Outcome:
        """Run a command under a fault, and judge what it leaves and whether running it again ends well."""
        case = self.fresh(command.before)
        ending = self.run(command, case, fault, kill_after_s=kill_after_s)
        name = f"killed after {kill_after_s:.3f} s" if kill_after_s else f"{fault}, {ending.hit}"
        outcome = Outcome(command.name, name, _named(ending.code))
        outcome.wrong += _wrong_ending(fault, ending, is_killed=kill_after_s is not None)
        is_partial = ending.code == 0 and any(words in ending.output for words in _LEFT_OUT)
        is_done = ending.code == 0 and not is_partial
        outcome.wrong += self._judge(command, case, is_done=is_done, is_partial=is_partial)
        shutil.rmtree(case, ignore_errors=True)
        self.endings[outcome.ending] += 1
        return outcome

    def power_failures(self, command: Command, seed: int, stride: int = 1) -> Iterator[Outcome]:
        """Run a command, and judge what a power failure after each of its operations would leave."""
        case, operations = self.recorded(command)
        after = self._folder / "after-failure"
        seen: set[str] = set()
        for number, loss, disk, rng in after_failures(operations, self.base(command.before), case, seed):
            if number % stride:
                continue
            shutil.rmtree(after, ignore_errors=True)
            disk.write(after, loss, rng)
            tree = _tree_hash(after)
            if tree not in seen:
                seen.add(tree)
                outcome = Outcome(command.name, f"power failure after {number}, {loss} lost", "power failure")
                outcome.wrong += self.judge(command, after, may_be_damaged=True)
                yield outcome

    def recorded(self, command: Command) -> tuple[Path, list[Operation]]:
        """Run a command undisturbed; returns the folder, and what was done in it."""
        case, record = self.fresh(command.before), self._folder / "record"
        ending = self.run(command, case, record=record)
        if ending.code:
            raise AssertionError(f"{command.name} failed: {ending.output}")
        return case, list(read_record(record))

    def unrecorded(self, command: Command) -> list[str]:
        """Run a command, and name the files that differ from what its recorded operations make of the folder."""
        case, operations = self.recorded(command)
        replayed, disk = self._folder / "replayed", Disk(self.base(command.before))
        for operation in operations:
            disk.apply(operation, case)
        shutil.rmtree(replayed, ignore_errors=True)
        disk.write(replayed, "nothing", Random(0))
        return sorted(_different(case, replayed))

    def _judge(self, command: Command, case: Path, *, is_done: bool, is_partial: bool) -> list[str]:
        """Judge what a command left; folders of the same content are judged once."""
        key = (command.name, f"{_tree_hash(case)} {is_done} {is_partial}")
        if key not in self._judged:
            self._judged[key] = list(self.judge(command, case, is_done=is_done, is_partial=is_partial))
        return list(self._judged[key])

    def n_judged(self, name: str) -> int:
        """Count the different folders that a command left and that were judged."""
        return sum(key[0] == name for key in self._judged)

    def judge(
        self,
        command: Command,
        case: Path,
        *,
        may_be_damaged: bool = False,
        is_done: bool = False,
        is_partial: bool = False,
    ) -> Iterator[str]:
        """Yield what is wrong with a folder that a disturbed command has left, and then with a second run of it.

        `is_done` says that the command ended as if nothing had happened, `is_partial` that it said what it left out.
        """
        before, after = self.state_of(command.before), self.state_of((*command.before, command.name))
        try:
            now = self.state(case)
            for name in now.lacking(before) if command.removes_first and not is_done else ():
                if name.startswith(command.removes_first):
                    # As if it had not been there.
                    now.parts[name] = before.parts[name]
            allowed = command.may_omit or (command.may_be_partial if is_partial else "")
            is_done = is_done and not command.may_omit
            wrong = wrong_parts(after if is_done else before, now, after, may_be_damaged=may_be_damaged)
            yield from (one for one in wrong if not (allowed and re.search(allowed, one)))
            again = self.run(command, case)
            if may_be_damaged and (again.code or any(wrong_at_end(self.state(case), after))):
                # Messages about damage name this command.
                self.run(CHECK, case)
                again = self.run(command, case)
            # What is removed already cannot be removed again; leftovers are cleared by the next writer.
            is_over = "remove" in command.name and now.parts == after.parts
            if again.code and not is_over:
                yield f"run again, it ends with {_named(again.code)}: {again.output[-600:]}"
                return
            if not is_over:
                wrong = wrong_at_end(self.state(case), after)
                yield from (one for one in wrong if not (command.may_omit and re.search(command.may_omit, one)))
        except AssertionError as error:
            yield str(error)


def wrong_parts(before: State, now: State, after: State, *, may_be_damaged: bool = False) -> Iterator[str]:
    """Compare what a disturbed command has left with what was there before, and with what comes of it."""
    # Films of the catalog that the index does not have yet, or still has, count for what films have in common.
    is_between = len({_side(before, now, after, name) for name in ("catalog", "network: index")} - {""}) > 1
    for name in sorted({*before.parts, *now.parts, *after.parts}):
        value = now.parts.get(name)
        if is_between and name.startswith("similar to"):
            continue
        if name.endswith(": skipped"):
            # What one run could not read is listed until the next one.
            continue
        if value in (before.parts.get(name), after.parts.get(name)) or now.notes.get(name):
            continue
        if not (may_be_damaged and value is None and _is_named(name, now)):
            yield f"{name} is neither as before nor as after"
    if not may_be_damaged:
        # Until the work is done, it may say what is not; later there must be nothing to say.
        allowed = {*before.errors, *after.errors, "keyart check"}
        yield from (f"{name}: {text}" for name, text in now.errors.items() if name not in allowed)
    # Whatever is wrong, the message has to say what to do.
    for name, text in now.errors.items():
        if "keyart " not in text and "run the same command" not in text:
            yield f"{name}: no advice: {text}"


def _side(before: State, now: State, after: State, name: str) -> str:
    """Return whether a part is as before, as after, or neither; empty for one that does not change."""
    if before.parts.get(name) == after.parts.get(name):
        return ""
    return {before.parts.get(name): "before", after.parts.get(name): "after"}.get(now.parts.get(name), "neither")


def _is_named(name: str, state: State) -> bool:
    """Return whether an error says why a part is missing, or why nothing can be opened."""
    if name in state.missing:
        return True
    return any(name.startswith(error) or error in ("workspace", "engine", "catalog") for error in state.errors)


def wrong_at_end(now: State, after: State) -> Iterator[str]:
    """Compare a workspace with that of an undisturbed run, its files included."""
    for name in sorted({*now.parts, *after.parts}):
        if now.parts.get(name) != after.parts.get(name):
            yield f"run again, {name} is not as it should be"
    for name, text in now.errors.items():
        if name not in after.errors:
            yield f"run again, {name}: {text}"
    for name in sorted({*now.files, *after.files}):
        # Whoever locks the folder next removes the file of a lock; a run that finds its work done there does not.
        if now.files.get(name, 0) != after.files.get(name, 0) and not name.endswith(f"{LOCK_NAME}.lock"):
            yield f"run again, there are {now.files.get(name, 0)} files {name}, expected {after.files.get(name, 0)}"


def _wrong_ending(fault: Fault, ending: Ending, *, is_killed: bool) -> Iterator[str]:
    if is_killed or (fault.action is Action.KILL and ending.hit):
        if ending.code not in (_KILLED, 0):
            yield f"ended with {_named(ending.code)}: {ending.output[-600:]}"
        return
    expected = (0, 1, 130) if fault.action is Action.INTERRUPT else (0, 1)
    if ending.code not in expected:
        yield f"ended with {_named(ending.code)}: {ending.output[-600:]}"
    if "unexpected" in ending.output or "Traceback" in ending.output:
        yield f"message: {ending.output[-1500:]}"
    if ending.code == 1 and not any(words in ending.output for words in ("keyart:", "answer:", "wrong: ")):
        yield f"no message: {ending.output[-300:]!r}"


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _work_and_exit(work: Callable[[], object], output: Path) -> None:
    """Do the work of a forked process, with its output in a file."""
    code = 0
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        work()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        with_interrupts_ignored()
        disarm()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def with_interrupts_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _wait(pid: int, kill_after_s: float | None) -> int:
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], kill_after_s or _PATIENCE_S)[0]:
            os.kill(pid, signal.SIGKILL)
            if kill_after_s is None:
                os.waitpid(pid, 0)
                raise AssertionError(f"still running after {_PATIENCE_S} s")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(descriptor)


def _tree_hash(folder: Path) -> str:
    hasher = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        hasher.update(f"{plain_name(path, folder)}\0{path.is_dir()}".encode())
        # Whatever is in partial files, nobody reads it.
        if path.is_file() and ".partial" not in path.name:
            hasher.update(hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


def _different(one: Path, other: Path) -> Iterator[str]:
    paths = {path.relative_to(folder) for folder in (one, other) for path in folder.rglob("*")}
    for path in paths:
        first, second = one / path, other / path
        if _content(first) != _content(second):
            yield str(path)


def _content(path: Path) -> bytes | bool:
    return path.read_bytes() if path.is_file() else path.is_dir()


def every_fault(undisturbed: Ending, kind: Fault) -> Iterator[Fault]:
    """Yield a kind of fault at every operation, or at every opening to read."""
    n = undisturbed.n_readings if kind.action is Action.REFUSE else undisturbed.n_operations
    return (replace(kind, at=at) for at in range(1, n + 1))


KINDS = {
    "no space": Fault(Action.FAIL, error=errno.ENOSPC),
    "I/O error": Fault(Action.FAIL, error=errno.EIO),
    "unreadable": Fault(Action.REFUSE, error=errno.EIO),
    "full disk": Fault(Action.FAIL, error=errno.ENOSPC, lasting=True),
    "kill": Fault(Action.KILL),
    "interrupt": Fault(Action.INTERRUPT),
}


def random_times(rng: Random, n: int, lasted_s: float) -> list[float]:
    """Draw moments of an undisturbed run."""
    return [max(0.001, rng.uniform(0, 1.05 * lasted_s)) for _ in range(n)]
