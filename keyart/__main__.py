"""``keyart`` and ``python -m keyart``: the command line."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly also while it is being imported."""
    try:
        from keyart.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("keyart: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
