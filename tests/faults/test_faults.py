"""Whatever fails, and whenever a command is ended, its workspace is as before or as after, and running it again helps.

`make faults` tries every operation, `make faults STRIDE=9` every ninth. A sample runs with the other tests.
"""

from __future__ import annotations

import pytest

from tests.faults.commands import COMMANDS
from tests.faults.conftest import RunCases
from tests.faults.preload import IS_AVAILABLE

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="needs Linux and a C compiler")

every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.mark.heavy
def test_all_operations_on_files_are_seen(run_cases: RunCases) -> None:
    commands = ("load", "import", "fetch", "extract", "build", "fit", "neighbors")
    assert run_cases(*commands, "--kinds", "", "--unrecorded") == []


@pytest.mark.heavy
def test_a_sample_of_faults_leaves_a_whole_workspace(run_cases: RunCases) -> None:
    assert run_cases("extract", "add", "--stride", "67") == []


@pytest.mark.heavy
def test_a_sample_of_power_failures_leaves_a_whole_workspace(run_cases: RunCases) -> None:
    assert run_cases("import", "build", "--kinds", "", "--power", "--stride", "29") == []


@pytest.mark.faults
@every_command
def test_any_operation_may_fail_once(run_cases: RunCases, command: str) -> None:
    assert run_cases(command, "--kinds", "no space,I/O error") == []


@pytest.mark.faults
@every_command
def test_any_opening_to_read_may_fail_once(run_cases: RunCases, command: str) -> None:
    assert run_cases(command, "--kinds", "unreadable") == []


@pytest.mark.faults
@every_command
def test_the_disk_may_be_full_from_any_operation_on(run_cases: RunCases, command: str) -> None:
    assert run_cases(command, "--kinds", "full disk") == []


@pytest.mark.faults
@every_command
def test_a_kill_at_any_operation_or_time_loses_nothing(run_cases: RunCases, command: str) -> None:
    assert run_cases(command, "--kinds", "kill", "--kills", "15") == []


@pytest.mark.faults
@every_command
def test_an_interrupt_at_any_operation_loses_nothing(run_cases: RunCases, command: str) -> None:
    assert run_cases(command, "--kinds", "interrupt") == []


@pytest.mark.faults
@every_command
def test_a_power_failure_leaves_the_old_or_the_new_or_says_what_to_do(run_cases: RunCases, command: str) -> None:
    assert run_cases(command, "--kinds", "", "--power") == []
