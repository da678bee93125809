"""``keyart evaluate``."""

from __future__ import annotations

from difflib import get_close_matches

import click

from keyart.cli.groups import Entry, LazyGroup, note_renamed


class _Evaluate(LazyGroup):
    """Takes ``keyart evaluate [MODEL]... [--cold]`` too, as it was before the groups."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments, with the name of the command where it is missing."""
        if not args:
            return super().parse_args(ctx, args)
        first = args[0]
        close = get_close_matches(first, self.list_commands(ctx), n=1, cutoff=0.8)
        if close and first not in self.list_commands(ctx):
            raise click.UsageError(f"No such command {first!r}. Did you mean {close[0]}?", ctx)
        if first not in (*self.list_commands(ctx), *ctx.help_option_names) and not ctx.resilient_parsing:
            name, old = ("cold-start", " --cold") if "--cold" in args else ("models", "")
            note_renamed(f"keyart evaluate{old}", f"keyart evaluate {name}")
            args = [name, *(argument for argument in args if argument != "--cold")]
        return super().parse_args(ctx, args)


@click.group(
    "evaluate",
    cls=_Evaluate,
    entries={
        "models": Entry(f"{__name__}.models", "Compare recommenders: how they rate, how they rank, what they cost."),
        "look-alikes": Entry(f"{__name__}.look_alikes", "Measure how often look-alikes share film, series or genre."),
        "cold-start": Entry(f"{__name__}.cold_start", "Compare models for films that nobody has rated."),
    },
)
def command() -> None:
    """Compare recommenders or models of the cold start on held-out ratings, or measure look-alikes."""
