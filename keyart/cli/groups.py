"""Groups that import a command when it is used, and commands whose options were renamed."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from keyart.cli.output import echo

# The version that drops the old spellings.
_DROPPED_IN = "0.3"


class Entry(NamedTuple):
    """Where a command is defined, and its help in one line."""

    module: str
    help: str


class Group(click.Group):
    """A group that suggests commands where a name is mistyped, and takes old names.

    `renamed` maps old names to new ones, which is said where an old one is used.
    """

    def __init__(self, *, renamed: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._renamed = dict(renamed or {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; options of a command may stand before its name, as they could before there were groups."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names and self._takes_no_options():
            name = next((argument for argument in args if argument in self.commands), None)
            if name:
                args = [name, *(argument for argument in args if argument != name)]
        return super().parse_args(ctx, args)

    def _takes_no_options(self) -> bool:
        return not any(isinstance(parameter, click.Option) for parameter in self.params)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        name, known = args[0], self.list_commands(ctx)
        if name in self._renamed:
            note_renamed(f"{ctx.command_path} {name}", f"{ctx.command_path} {self._renamed[name]}")
            name = self._renamed[name]
        elif name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            close = get_close_matches(name, known, n=3)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, [name, *args[1:]])


class LazyGroup(Group):
    """A group that lists its commands from a table, and imports the module of a command when the command is used.

    Each module defines `command`.
    """

    def __init__(self, *, entries: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(**settings)
        self._entries = dict(entries)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of use."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = import_module(entry.module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the table of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands from the table."""
        commands = [
            CompletionItem(name, help=entry.help)
            for name, entry in self._entries.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


class RenamedOptions(click.Command):
    """A command that takes old spellings of its options, and notes them.

    A subclass names them in `renamed`, old to new.
    """

    renamed: Mapping[str, str] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments in which old spellings are replaced."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*map(self._current, args[:end]), *args[end:]])

    def _current(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        if name not in self.renamed:
            return argument
        note_renamed(name, self.renamed[name])
        return f"{self.renamed[name]}{equals}{value}"


def renamed(**options: str) -> type[click.Command]:
    """Return a command class that takes old spellings: ``renamed(fold="--merge-duplicates")``."""
    spellings = {f"--{old.replace('_', '-')}": new for old, new in options.items()}
    return type("RenamedOptionsOfCommand", (RenamedOptions,), {"renamed": spellings})


def note_renamed(old: str, new: str) -> None:
    """Print a note that a spelling is old."""
    echo(f"note: {old} is now {new}; the old spelling works until version {_DROPPED_IN}", err=True)
