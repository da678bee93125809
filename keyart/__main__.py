"""``python -m keyart``: the command line."""

from keyart.cli import main

main()
