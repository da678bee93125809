"""The documentation site: the repository's own Markdown pages, and a reference made from the docstrings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# In this order; pages that are not named follow, alphabetically.
_PAGES = ("README", "docs/*", "ARCHITECTURE", "CONTRIBUTING", "SECURITY", "CHANGELOG")

project, version = _PROJECT["name"], _PROJECT["version"]
author = project_copyright = _PROJECT["authors"][0]["name"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
# The source folder is the repository, so that a link works in the repository and on the site alike.
root_doc = "README"
include_patterns = [f"{page}.md" for page in _PAGES]
html_theme = "furo"
# The first page is README.html; this is what a server looks for.
html_extra_path = ["site"]
html_title = f"{project} {version}"
html_theme_options = {"source_repository": _PROJECT["urls"]["Source"], "source_branch": "main"}
myst_enable_extensions = ["dollarmath"]
# Headings have the anchors that they have on GitHub.
myst_heading_anchors = 4
default_role = "py:obj"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_preprocess_types = True


def setup(app: Any) -> None:
    app.connect("source-read", _add_contents)


def _add_contents(_app: Any, page: str, source: list[str]) -> None:
    """Add the list of all pages to the first one, which does not need it in the repository."""
    if page == root_doc:
        pages = "\n".join(f"/{name}" for name in _PAGES if name != root_doc)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{pages}\n```\n"
