"""The button that keeps a film on the shortlist, where the server writes films; scripts press it."""

from __future__ import annotations

from keyart.web.markup import Markup, element
from keyart.web.words import Words


def keep_button(movie_id: int, label: str, words: Words) -> Markup:
    """Write the button into the corner of a poster."""
    return element(
        "button",
        type="button",
        class_="corner",
        data_keep=movie_id,
        aria_pressed="false",
        aria_label=words("Keep {label}", label=label),
        title=words("Keep {label} on the shortlist", label=label),
    )
