"""The command line: loads commands when they are needed, and turns errors into one line and an exit code.

Exit codes: 0 success, 1 failure that a message explains, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback

import click
from click.shell_completion import add_completion_class

from catalog.errors import KeyartError
from catalog.extras import pip_install
from catalog.io.keras import has_keras
from catalog.text import visible
from keyart.cli.completion import QuotingBashComplete
from keyart.cli.groups import Entry, LazyGroup
from keyart.cli.hints import HINTS
from keyart.cli.interruption import Interrupted
from keyart.cli.options import DEBUG, debug_option, root_home_option
from keyart.cli.output import echo, set_output_encoding
from keyart.workspace.api_keys import RedactingFormatter, redact, refuse_keys

_INTERRUPTED = 130
# In the order in which a new user needs them.
_COMMANDS = {
    "load": "Read a catalog: a MovieLens folder, or a table of films.",
    "fetch": "Download posters from TMDB.",
    "import": "Import posters from a folder or a table.",
    "extract": "Compute features of the posters, or of any folder of images.",
    "encoders": "List the networks that see posters, choose the default, or remove one.",
    "build": "Build the index of posters and the item similarities of ratings.",
    "add": "Add new films to the catalog, with their posters.",
    "remove": "Remove films, with their posters and features.",
    "similar": "Find films that look like a film and are liked like it.",
    "explain": "Show where two posters look alike.",
    "neighbors": "Write the nearest films of every film, by looks, to a file.",
    "duplicates": "Find films with the same artwork, and the best picture of each.",
    "cold-start": "Predict a new film's look-alikes, mean rating and audience.",
    "tune": "Fit how much ratings count beside looks, by how many there are.",
    "fit": "Fit recommenders on the ratings and keep them.",
    "recommend": "Recommend films to a user.",
    "evaluate": "Compare recommenders, or models of the cold start.",
    "explore": "Explore the ratings: the best films, genres, clusters, a map.",
    "export": "Write a fitted model for TensorFlow Serving or phones.",
    "check": "Check every file of the workspace, and mend what is damaged.",
    "info": "Show what is in the workspace, and which command comes next.",
    "atlas": "Lay all posters out on one map, for the page of `keyart serve`.",
    "serve": "Serve the web page and its HTTP API.",
    "demo": "Run every step on films that the program draws itself.",
}
# "import" is a keyword.
_MODULES = {"import": "import_posters", "cold-start": "cold_start"}
_DEMO = "  keyart demo                   try it offline, on films that the program draws: about a minute\n"
# Without TensorFlow, pictures cannot be looked at.
_SERVE = """\
  keyart serve --home DIR       search a workspace that was made elsewhere
  {pip}
                                needed to make one from posters
"""
_GREETING = """\
keyart finds films whose posters look alike.

{first}\
  keyart load ml-latest-small/  begin with your films: a MovieLens folder, or a table
  keyart info                   see what is in the workspace, and which command comes next
  keyart --help                 list all commands"""


@click.group(
    cls=LazyGroup,
    entries={
        name: Entry(f"keyart.cli.commands.{_MODULES.get(name, name)}", summary) for name, summary in _COMMANDS.items()
    },
    renamed={"coldstart": "cold-start"},
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="keyart")
@root_home_option
@debug_option
@click.pass_context
def keyart(context: click.Context) -> None:
    """Find films whose posters look alike, blended with what their viewers like.

    \b
    A first time, with MovieLens and a TMDB key:
      keyart load ml-latest-small/ && keyart fetch && keyart extract && keyart build
      keyart similar "Heat (1995)" --sheet look-alikes.png
    Without either: keyart demo
    """  # noqa: D301 - click wants the backspace itself
    if context.invoked_subcommand is None:
        echo(_GREETING.format(first=_DEMO if has_keras() else _SERVE.format(pip=pip_install("tensorflow"))))


class _LogFormatter(RedactingFormatter):
    """Formats log records like errors: keys redacted, proposed commands completed."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(HINTS.complete(super().format(record)), lines=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, with the process's arguments by default, and exit with its exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LogFormatter("keyart: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    add_completion_class(QuotingBashComplete)
    set_output_encoding()
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    DEBUG.clear()
    HINTS.clear()
    try:
        refuse_keys(arguments)
        code = keyart.main(arguments, prog_name="keyart", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.ctx.get_help() if error.ctx else error.format_message())
        return 0
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "keyart"
        message = error.format_message()
        end = "" if message.endswith((".", "?")) else "."
        _print_error(f"{message}{end} See `{command} --help`.")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        # Click turns an EOFError from any file into Abort.
        if isinstance(error.__context__, EOFError):
            _print_error(_one_line(error.__context__))
            return 1
        _print_error("; ".join(["interrupted", *_finished_part(error)]))
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of standard output is gone, as with `head`. Python would report it again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if DEBUG.is_set():
            # Python itself would print API keys that the errors quote.
            echo(redact("".join(traceback.format_exception(error)).rstrip()), err=True)
        else:
            _print_error(_one_line(error))
        return 1
    return code if isinstance(code, int) else 0


def _finished_part(error: BaseException) -> list[str]:
    """Return what was finished of an interrupted command; Click wraps the interruption, perhaps twice."""
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
    echo(redact(f"keyart: {HINTS.complete(text)}"), err=True)
