"""Imports run downward: the floor knows nobody, the trades know the floor, the roof knows all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("catalog", "posters", "features", "index", "cf", "keyart")
MAY_IMPORT = {
    "catalog": {"catalog"},
    "posters": {"catalog", "posters"},
    "features": {"catalog", "features"},
    "index": {"catalog", "index"},
    "cf": {"catalog", "cf"},
    "keyart": set(PACKAGES),
}
HEAVY = {"tensorflow", "keras", "faiss", "pyspark", "onnxruntime"}


def modules() -> list[str]:
    return [str(path.relative_to(ROOT)) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(module: str, *, anywhere: bool) -> set[str]:
    """Name the modules that a file imports: anywhere in it, or when it is itself imported."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if anywhere else iter(_at_import(tree.body))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def _at_import(body: list[ast.stmt]) -> list[ast.stmt]:
    found = []
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found.append(node)
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            found.extend(_at_import(node.body))
    return found


def tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("module", modules())
def test_imports_run_downward(module: str) -> None:
    package = module.split("/")[0]
    assert tops(imported(module, anywhere=True)) & set(PACKAGES) <= MAY_IMPORT[package]


@pytest.mark.parametrize("module", modules())
def test_nothing_heavy_is_imported_before_it_is_used(module: str) -> None:
    # FAISS imports in a tenth of a second; whoever imports the index wants it.
    allowed = {"faiss"} if module.startswith("index/") else set()
    assert tops(imported(module, anywhere=False)) & HEAVY <= allowed


@pytest.mark.parametrize("module", modules())
def test_only_settings_reads_the_environment(module: str) -> None:
    text = (ROOT / module).read_text(encoding="utf-8")
    assert module == "keyart/workspace/settings.py" or ("os.environ" not in text and "getenv" not in text)


@pytest.mark.parametrize("module", modules())
def test_only_the_command_line_prints(module: str) -> None:
    calls = (node for node in ast.walk(ast.parse((ROOT / module).read_text())) if isinstance(node, ast.Call))
    prints = [call for call in calls if ast.unparse(call.func) in ("print", "click.echo")]
    assert module.startswith("keyart/cli/") or not prints


@pytest.mark.parametrize("module", modules())
def test_nothing_is_pickled(module: str) -> None:
    assert not tops(imported(module, anywhere=True)) & {"pickle", "joblib", "dill", "shelve", "marshal"}
