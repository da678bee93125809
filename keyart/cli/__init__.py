"""The command line: loads commands when they are needed, and turns errors into one line and an exit code.

Exit codes: 0 success, 1 failure that a message explains, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from importlib import import_module

import click

from catalog.errors import KeyartError
from keyart.cli.hints import HINTS
from keyart.cli.interruption import Interrupted
from keyart.cli.options import DEBUG, debug_option
from keyart.workspace.api_keys import RedactingFormatter, redact, refuse_keys

# In the order in which a new user needs them.
_COMMANDS = (
    *("load", "fetch", "import", "extract", "build", "add", "similar", "explain", "neighbors", "coldstart"),
    *("tune", "fit", "recommend", "evaluate", "explore", "export", "info", "atlas", "serve", "demo"),
)
_INTERRUPTED = 130


class _Commands(click.Group):
    """Lists the commands in the order of use, and imports each when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        # "import" is a keyword.
        module = import_module(f"keyart.cli.commands.{cmd_name.replace('import', 'import_posters')}")
        command: click.Command = module.command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="keyart")
@debug_option
def keyart() -> None:
    """Find films whose posters look alike, blended with what their viewers like.

    \b
    A first time, with MovieLens and a TMDB key:
      keyart load ml-latest-small/ && keyart fetch && keyart extract && keyart build
      keyart similar "Heat (1995)" --sheet look-alikes.png
    Without either: keyart demo
    """  # noqa: D301 - click wants the backspace itself


class _LogFormatter(RedactingFormatter):
    """Formats log records like errors: keys redacted, proposed commands completed."""

    def format(self, record: logging.LogRecord) -> str:
        return HINTS.complete(super().format(record))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, with the process's arguments by default, and exit with its exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LogFormatter("keyart: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    DEBUG.clear()
    HINTS.clear()
    try:
        refuse_keys(arguments)
        code = keyart.main(arguments, prog_name="keyart", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "keyart"
        _print_error(f"{error.format_message()} See `{command} --help`.")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        # Click turns an EOFError from any file into Abort.
        if isinstance(error.__context__, EOFError):
            _print_error(_one_line(error.__context__))
            return 1
        _print_error("; ".join(["interrupted", *_kept(error)]))
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of standard output is gone, as with `head`. Python would report it again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if DEBUG.is_set():
            # Python itself would print API keys that the errors quote.
            click.echo(redact("".join(traceback.format_exception(error)).rstrip()), err=True)
        else:
            _print_error(_one_line(error))
        return 1
    return code if isinstance(code, int) else 0


def _kept(error: BaseException) -> list[str]:
    """Return what an interrupted command keeps; Click wraps the interruption, perhaps twice."""
    reasons = (error, error.__cause__, error.__context__)
    return next(([str(one)] for one in reasons if isinstance(one, Interrupted)), [])


def _one_line(error: Exception) -> str:
    if isinstance(error, KeyartError | click.ClickException):
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    else:
        text = f"unexpected {type(error).__name__}: {error}; run again with --debug to see where, and please report it"
    return " ".join(text.split())


def _print_error(text: str) -> None:
    # Messages quote what they received, which may be an API key set for the wrong option.
    click.echo(redact(f"keyart: {HINTS.complete(text)}"), err=True)
