"""keyart: what looks like this film, what is like it, and who would like it.

The roof: engine, command line and pictures. It composes the packages below; nobody imports it. Importing it loads
neither TensorFlow nor FAISS.

>>> from keyart import Engine
>>> Engine.open("keyart-data").similar("Heat (1995)", k=10)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keyart.engine import Engine

__all__ = ["Engine", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # The engine imports pandas and FAISS, which `keyart --help` has no use for.
    if name == "Engine":
        from keyart.engine import Engine

        return Engine
    raise AttributeError(f"module 'keyart' has no attribute {name!r}")
