"""How much script and style each page of the server loads at first, as it is and as it is transferred.

    python benchmarks/page_weight.py

Counts the page itself, its styles, and the scripts that it names or that these import; what is imported on first use
counts in the last row only.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from keyart.web.compression import LEVEL

STATIC = Path(__file__).parents[1] / "keyart" / "web" / "static"
PAGES = ("index.html", "atlas.html", "user.html", "shortlist.html", "docs.html")
_NAMED = re.compile(r'<script type="module" src="static/([^"]+)"')
_STYLE = re.compile(r'<link rel="stylesheet" href="static/([^"]+)"')
_IMPORTED = re.compile(r'^(?:import|export)\b[^;]*?from "([^"]+)";', re.MULTILINE)


def first_scripts(page: str) -> list[Path]:
    """List the scripts that a page loads at first, those of its own markup first."""
    waiting = [STATIC / name for name in _NAMED.findall((STATIC / page).read_text(encoding="utf-8"))]
    found: list[Path] = []
    while waiting:
        script = waiting.pop(0)
        if script in found:
            continue
        found.append(script)
        text = script.read_text(encoding="utf-8")
        waiting += [(script.parent / name).resolve() for name in _IMPORTED.findall(text)]
    return found


def n_bytes(files: list[Path]) -> tuple[int, int]:
    """Return the size of files, and of what is transferred."""
    contents = [path.read_bytes() for path in files]
    return sum(map(len, contents)), sum(len(gzip.compress(content, LEVEL, mtime=0)) for content in contents)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| page | scripts | their size | transferred | with the page and styles | transferred |")
    print("|---|---|---|---|---|---|")
    for page in PAGES:
        scripts = first_scripts(page)
        styles = [STATIC / name for name in _STYLE.findall((STATIC / page).read_text(encoding="utf-8"))]
        _print_row(f"`{page.removesuffix('.html')}`", scripts, [STATIC / page, *styles])
    _print_row("all files", sorted(STATIC.rglob("*.js")), [*STATIC.rglob("*.html"), *STATIC.rglob("*.css")])


def _print_row(name: str, scripts: list[Path], others: list[Path]) -> None:
    sizes = [f"{size / 1000:.1f} kB" for files in (scripts, [*scripts, *others]) for size in n_bytes(files)]
    print(f"| {name} | {len(scripts)} | {' | '.join(sizes)} |")


if __name__ == "__main__":
    main()
