"""Check that imports run downward, as in the picture of ARCHITECTURE.md."""

import ast
from collections.abc import Iterator
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
# Inside keyart/, from the bottom; packages of one line do not import each other.
LAYERS = (
    {"results"},
    {"workspace"},
    {"similarity", "render", "atlas"},
    {"cold_start"},
    {"recommend"},
    {"pipeline"},
    {"engine"},
    {"web"},
    {"cli"},
    {"__init__", "__main__"},
)
HEAVY = {"tensorflow", "keras", "faiss", "pyspark", "onnxruntime", "tokenizers"}


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
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
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


def dotted(module: str) -> str:
    return module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def dependencies() -> dict[str, set[str]]:
    """Map each module to the modules of the project that it imports, also inside functions.

    A package that loads its submodules when they are used does not depend on them.
    """
    known = {dotted(module) for module in modules()}
    return {
        dotted(module): imported(module, anywhere=not module.endswith("__init__.py")) & known - {dotted(module)}
        for module in modules()
    }


def circles(graph: dict[str, set[str]]) -> Iterator[set[str]]:
    """Remove modules without dependencies until none is remaining; circles and their users remain."""
    remaining = {name: set(targets) for name, targets in graph.items()}
    while free := {name for name, targets in remaining.items() if not targets & remaining.keys()}:
        remaining = {name: targets for name, targets in remaining.items() if name not in free}
    if remaining:
        yield set(remaining)


def layer_of(module: str) -> int:
    part = module.split("/")[1].removesuffix(".py")
    (layer,) = [number for number, parts in enumerate(LAYERS) if part in parts]
    return layer


@pytest.mark.parametrize("module", modules())
def test_imports_run_downward(module: str) -> None:
    package = module.split("/")[0]
    assert tops(imported(module, anywhere=True)) & set(PACKAGES) <= MAY_IMPORT[package]


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith("keyart/")])
def test_imports_inside_keyart_run_downward(module: str) -> None:
    own = module.split("/")[1].removesuffix(".py")
    for name in imported(module, anywhere=True):
        part = name.split(".")[1] if name.startswith("keyart.") else own
        if part != own and any(part in parts for parts in LAYERS):
            assert layer_of(f"keyart/{part}") < layer_of(module), name


def test_no_modules_import_each_other() -> None:
    assert list(circles(dependencies())) == []


@pytest.mark.parametrize("module", modules())
def test_nothing_heavy_is_imported_before_it_is_used(module: str) -> None:
    # FAISS imports in a tenth of a second, and every user of the index needs it.
    allowed = {"faiss"} if module.startswith("index/") else set()
    assert tops(imported(module, anywhere=False)) & HEAVY <= allowed


@pytest.mark.parametrize("module", modules())
def test_only_settings_reads_the_environment(module: str) -> None:
    text = (ROOT / module).read_text(encoding="utf-8")
    # TensorFlow's own settings are set where it is imported.
    exempt = {"keyart/workspace/settings.py", "catalog/io/keras.py"}
    assert module in exempt or ("os.environ" not in text and "getenv" not in text)


@pytest.mark.parametrize("module", modules())
def test_only_the_command_line_prints(module: str) -> None:
    calls = (node for node in ast.walk(ast.parse((ROOT / module).read_text())) if isinstance(node, ast.Call))
    prints = [call for call in calls if ast.unparse(call.func) in ("print", "click.echo")]
    assert module.startswith("keyart/cli/") or not prints


@pytest.mark.parametrize("module", modules())
def test_nothing_is_pickled(module: str) -> None:
    assert not tops(imported(module, anywhere=True)) & {"pickle", "joblib", "dill", "shelve", "marshal"}


def test_keyart_has_at_most_14_entries() -> None:
    entries = [path for path in (ROOT / "keyart").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 14
