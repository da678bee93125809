"""The demonstration: invented films, posters drawn by the program, ratings by simulated users.

`films.csv` lists the films, `design.json` the palettes of the styles and the words on posters; `catalog.py` writes a
MovieLens folder of them.
"""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.cli.demo import catalog as catalog
    from keyart.cli.demo import folder as folder
    from keyart.cli.demo import precision as precision

__getattr__ = submodules(__name__)
