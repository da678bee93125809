"""Build hooks: rewrite imports for the wheel, where the domain packages are in `keyart`, and links of the README.

In the repository `catalog`, `features` and the others are top-level packages. Installed under these names, they would
be hidden by a user's own `features.py` or `index/`. So `sources` in pyproject.toml moves them below `keyart/`, and this
hook makes every module import them from there. An editable install is left alone.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_LOADERS = {"import_module", "__import__", "find_spec", "run_module", "getLogger"}

_Edit = tuple[int, int, str]
"""Start and end in the bytes of a source, and the text that replaces them."""


class ImportsHook(BuildHookInterface[Any]):
    """Replaces every Python file of a standard wheel by one with rewritten imports."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the rewritten modules to a temporary folder, and include them instead of the originals."""
        if version == "editable":
            return
        packages = {_dotted(source): _dotted(target) for source, target in self.build_config.sources.items()}
        _check_free(Path(self.root), packages.values())
        files = [file for file in self.build_config.builder.recurse_included_files() if file.path.endswith(".py")]
        modules = {_dotted(file.relative_path.removesuffix(".py").removesuffix("__init__")) for file in files}
        # Removes itself if the build fails before `finalize`.
        self._folder = tempfile.TemporaryDirectory()
        for file in files:
            rewritten = Path(self._folder.name, file.distribution_path)
            rewritten.parent.mkdir(parents=True, exist_ok=True)
            source = Path(file.path).read_bytes()
            rewritten.write_bytes(rewrite_imports(source, packages, modules, name=file.relative_path))
            build_data["force_include"][str(rewritten)] = file.distribution_path

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the temporary folder; the wheel holds its files."""
        if version != "editable":
            self._folder.cleanup()


class ReadmeHook(MetadataHookInterface):
    """Makes the pictures and links of the README absolute, for package indexes."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of the project."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = absolute_links(text, metadata["urls"]["Source"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def absolute_links(text: str, repository: str) -> str:
    """Complete the relative links of a Markdown page by the address of its repository.

    Parameters
    ----------
    text : str
        The page, in the repository's folder.
    repository : str
        The address of the repository, such as ``https://github.com/keyart/keyart``.

    Returns
    -------
    str
        The page, with absolute links.
    """
    relative = r"(?![a-z]+:|#)([^)\s]+)\)"
    text = re.sub(rf"(!\[[^]]*\]\(){relative}", rf"\1{repository}/raw/main/\2)", text)
    return re.sub(rf"(\]\(){relative}", rf"\1{repository}/blob/main/\2)", text)


def rewrite_imports(source: bytes, packages: Mapping[str, str], modules: Collection[str], *, name: str) -> bytes:
    """Rewrite the imports of one module, and keep every other byte.

    Parameters
    ----------
    source : bytes
        The module, in UTF-8.
    packages : mapping of str to str
        The new dotted name of each top-level package that moves.
    modules : collection of str
        The dotted names of all modules. Text that holds one of a package that moves cannot be rewritten.
    name : str
        The file's name, for messages.

    Returns
    -------
    bytes
        The rewritten module.

    Raises
    ------
    ValueError
        A module is imported or named in a way that cannot be rewritten.
    """
    for start, end, text in sorted(_edits(source, packages, modules, name), reverse=True):
        source = source[:start] + text.encode() + source[end:]
    return source


def _edits(source: bytes, packages: Mapping[str, str], modules: Collection[str], name: str) -> Iterator[_Edit]:
    tree, starts = ast.parse(source, name), _line_starts(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        try:
            match node:
                case ast.Import(aliases):
                    yield from _edits_of_import(aliases, starts, packages)
                case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] in packages:
                    yield _edit_of_from(node, source, starts, packages)
                case ast.Constant(str()) if id(node) in docstrings:
                    yield from _edits_of_examples(node, source, starts, packages)
                case ast.Constant(str(text)):
                    _check_text(text, packages, modules)
                case ast.Call(func, [first, *_]):
                    _check_call(func, first, packages)
        except ValueError as error:
            raise ValueError(f"{name}, line {getattr(node, 'lineno', 1)}: {error}") from None


def _edits_of_import(aliases: list[ast.alias], starts: list[int], packages: Mapping[str, str]) -> Iterator[_Edit]:
    for alias in aliases:
        top, dot, rest = alias.name.partition(".")
        if top in packages:
            moved = f"{packages[top]}{dot}{rest} as {alias.asname or top}"
            if dot and not alias.asname:
                # `import catalog.errors` loads the module and binds the package.
                moved = f"{moved}, {packages[top]} as {top}"
            yield *_span(alias, starts), moved


def _edit_of_from(node: ast.ImportFrom, source: bytes, starts: list[int], packages: Mapping[str, str]) -> _Edit:
    found = re.compile(rb"from[ \t]+(\w+)").match(source, _span(node, starts)[0])
    if not found:
        raise ValueError(f"expected `from {node.module}` on one line")
    return *found.span(1), packages[found[1].decode()]


def _edits_of_examples(
    node: ast.Constant, source: bytes, starts: list[int], packages: Mapping[str, str]
) -> Iterator[_Edit]:
    """Rewrite the imports in a docstring's examples."""
    example = re.compile(rb"^[ \t]*>>> ((?:from|import) .*\S)", re.MULTILINE)
    for found in example.finditer(source, *_span(node, starts)):
        yield *found.span(1), rewrite_imports(found[1], packages, (), name="example").decode()


def _check_text(text: str, packages: Mapping[str, str], modules: Collection[str]) -> None:
    """Refuse the name of a module that moves, also inside a regular expression or a program."""
    for found in re.finditer(rf"(?<![\w./])(?:{'|'.join(packages)})\\?\.\w+", text):
        if found[0].replace("\\", "") in modules:
            raise ValueError(f"the text {found[0]!r} names a module that moves; use its `__name__`")


def _check_call(func: ast.expr, first: ast.expr, packages: Mapping[str, str]) -> None:
    """Refuse to load a module that moves by its absolute name."""
    called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    start = first.values[0] if isinstance(first, ast.JoinedStr) and first.values else first
    if called in _LOADERS and isinstance(start, ast.Constant) and str(start.value).split(".")[0] in packages:
        raise ValueError(f"{called}() names a module that moves; name it relative to `__package__`")


def _check_free(root: Path, targets: Collection[str]) -> None:
    for target in targets:
        path = root.joinpath(*target.split("."))
        if path.exists() or path.with_suffix(".py").exists():
            raise ValueError(f"{path} exists, but the wheel needs this name for a package that moves; rename it")


def _span(node: ast.alias | ast.stmt | ast.expr, starts: list[int]) -> tuple[int, int]:
    """Return start and end in the bytes of the source."""
    last, end = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return starts[node.lineno - 1] + node.col_offset, starts[last - 1] + end


def _line_starts(source: bytes) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _dotted(path: str) -> str:
    return ".".join(PurePath(path).parts)
