"""The demonstration: invented films, posters drawn by the program, ratings by simulated users.

`films.csv` lists the films, `design.json` the palettes of the styles and the words on posters; `keyart.demo.catalog`
writes all of it as a MovieLens folder.
"""

from typing import TYPE_CHECKING

from catalog.lazy import submodules

if TYPE_CHECKING:
    from keyart.demo import catalog as catalog
    from keyart.demo import folder as folder
    from keyart.demo import precision as precision

__getattr__ = submodules(__name__)
