"""Check that imports run downward, as in the picture of ARCHITECTURE.md."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


@cache
def imported(module: str, *, anywhere: bool) -> frozenset[str]:
    """Name the modules that a file imports: anywhere in it, or when it is itself imported."""
    nodes = ast.walk(parsed(module)) if anywhere else iter(_at_import(parsed(module).body))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return frozenset(names)


def _at_import(body: list[ast.stmt]) -> list[ast.stmt]:
    found = []
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found.append(node)
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            found.extend(_at_import(node.body))
    return found


def tops(names: frozenset[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def dotted(module: str) -> str:
    return module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def dependencies() -> dict[str, frozenset[str]]:
    """Map each module to the modules of the project that it imports, also inside functions.

    A package that loads its submodules when they are used does not depend on them.
    """
    known = {dotted(module) for module in modules()}
    return {
        dotted(module): imported(module, anywhere=not module.endswith("__init__.py")) & known - {dotted(module)}
        for module in modules()
    }


def circles(graph: dict[str, frozenset[str]]) -> Iterator[set[str]]:
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


def is_upward(module: str, name: str) -> bool:
    """Return whether a module of keyart/ imports a part of it that lies above its own, or beside it."""
    own, part = module.split("/")[1].removesuffix(".py"), name.split(".")[1]
    is_other = part != own and any(part in parts for parts in LAYERS)
    return is_other and layer_of(f"keyart/{part}") >= layer_of(module)


def test_imports_run_downward() -> None:
    used = {module: tops(imported(module, anywhere=True)) & set(PACKAGES) for module in modules()}
    assert {module: names for module, names in used.items() if not names <= MAY_IMPORT[module.split("/")[0]]} == {}


def test_imports_inside_keyart_run_downward() -> None:
    own = [module for module in modules() if module.startswith("keyart/")]
    pairs = [(module, name) for module in own for name in imported(module, anywhere=True) if name.startswith("keyart.")]
    assert len(pairs) > 100
    assert [(module, name) for module, name in pairs if is_upward(module, name)] == []


def test_no_modules_import_each_other() -> None:
    assert list(circles(dependencies())) == []


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    # FAISS imports in a tenth of a second, and every user of the index needs it.
    heavy = {module: HEAVY - ({"faiss"} if module.startswith("index/") else set()) for module in modules()}
    assert [module for module, names in heavy.items() if tops(imported(module, anywhere=False)) & names] == []


def test_only_settings_reads_the_environment() -> None:
    # TensorFlow's own settings are set where it is imported.
    allowed = {"keyart/workspace/settings.py", "catalog/io/keras.py"}
    texts = {module: (ROOT / module).read_text(encoding="utf-8") for module in modules()}
    readers = {module for module, text in texts.items() if "os.environ" in text or "getenv" in text}
    assert readers - allowed == set()


def test_only_the_command_line_prints() -> None:
    others = [module for module in modules() if not module.startswith("keyart/cli/")]
    called = {
        module: {ast.unparse(node.func) for node in ast.walk(parsed(module)) if isinstance(node, ast.Call)}
        for module in others
    }
    assert [module for module, names in called.items() if names & {"print", "click.echo"}] == []


def test_nothing_is_pickled() -> None:
    picklers = {"pickle", "joblib", "dill", "shelve", "marshal"}
    assert [module for module in modules() if tops(imported(module, anywhere=True)) & picklers] == []


def test_keyart_has_at_most_14_entries() -> None:
    entries = [path for path in (ROOT / "keyart").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 14
