"""Markup that the server writes itself: every text is escaped, unless an element has been made of it."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def markup(text: str) -> Markup:
    """Escape a text, unless it is markup."""
    return text if isinstance(text, Markup) else Markup(escape(text))


def element(name: str, *children: str, **attributes: str | float | bool) -> Markup:
    """Make an element; attributes that are true have no value, and those that are false are left out.

    A trailing underscore is dropped from their names, as in `class_`, and others become hyphens.
    """
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    opened = f"<{name}{written}>"
    return Markup(opened if name in _VOID else f"{opened}{joined(*children)}</{name}>")


def joined(*parts: str) -> Markup:
    """Write parts one after the other."""
    return Markup("".join(map(markup, parts)))


_VOID = frozenset({"img", "input"})


def _attribute(name: str, value: str | float | bool) -> str:
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escape(str(value))}"'
