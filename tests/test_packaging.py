"""Check what the project says of itself: pinned versions, addresses, citation, license."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, packages_distributions, version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_build import absolute_links
from tests.dependencies import PROJECT, direct_dependencies
from tests.test_layers import PACKAGES, ROOT, imported, modules

PYTHONS = ("3.11", "3.12", "3.13")
REPOSITORY = "https://github.com/keyart/keyart"


def requirements() -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return [Requirement(line) for line in lines if not line.startswith("keyart[")]


def pins(python: str) -> dict[str, str]:
    """Map each distribution to the version that constraints.txt pins under a Python on this machine."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            environment = {"python_version": python, "python_full_version": f"{python}.0"}
            if pin.marker is None or pin.marker.evaluate(environment):
                found[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    return found


def installed() -> Iterator[tuple[str, str]]:
    for requirement in requirements():
        try:
            yield canonicalize_name(requirement.name), version(requirement.name)
        except PackageNotFoundError:
            continue


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_satisfy_the_requirements(python: str) -> None:
    pinned = pins(python)
    for requirement in requirements():
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_installed_versions_are_the_pinned_ones() -> None:
    pinned = pins(f"{sys.version_info.major}.{sys.version_info.minor}")
    differing = {name: (found, pinned[name]) for name, found in installed() if found != pinned[name]}
    assert not differing, "run `make setup`, or `make constraints` to pin newer versions"


# A version of pyarrow that breaks nothing appears every three months.
_WITHOUT_UPPER_BOUND = {"pyarrow"}


def test_no_dependency_may_become_another_major_version() -> None:
    for requirement in direct_dependencies():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators == ({">="} if requirement.name in _WITHOUT_UPPER_BOUND else {">=", "<"}), requirement


# pyspark brings the one py4j that it works with. Of the others, users choose whether to have them.
_UNDECLARED = {"py4j", "jax", "torch", "umap"}


def test_every_imported_package_is_a_dependency() -> None:
    tops = {name.split(".")[0] for module in modules() for name in imported(module, anywhere=True)}
    tops -= {*PACKAGES} | sys.stdlib_module_names | _UNDECLARED
    declared = {canonicalize_name(requirement.name) for requirement in direct_dependencies()}
    distributions = packages_distributions()
    assert {top for top in tops if not declared & set(map(canonicalize_name, distributions.get(top, [])))} == set()


def test_page_of_licenses_names_every_dependency() -> None:
    page = (ROOT / "docs" / "licenses.md").read_text(encoding="utf-8")
    listed = [canonicalize_name(name) for name in re.findall(r"^\| ([\w-]+) +\| \S", page, re.MULTILINE)[1:]]
    expected = {canonicalize_name(requirement.name) for requirement in direct_dependencies()}
    assert set(listed) == expected, "run `make licenses`"


def test_tests_run_axe_core_by_its_hash() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"[0-9a-f]{64}  tests/.cache/axe.min.js", script)
    assert "sha256sum --check" in script


def test_light_requirements_are_those_of_the_project_without_tensorflow() -> None:
    lines = (ROOT / "requirements-light.txt").read_text(encoding="utf-8").splitlines()
    expected = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["web"]]
    assert lines[1:] == [
        "-c constraints.txt",
        *(line for line in expected if not line.startswith(("tensorflow", "keras"))),
    ]


def test_classifiers_name_the_supported_pythons() -> None:
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert tuple(named) == PYTHONS
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


def test_the_address_of_the_repository_is_the_same_everywhere() -> None:
    assert PROJECT["urls"]["Source"] == REPOSITORY
    assert all(url.startswith(REPOSITORY) for url in PROJECT["urls"].values())


def test_citation_agrees_with_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert set(citation) <= {
        *("cff-version", "message", "type", "title", "abstract", "authors", "version", "license"),
        *("repository-code", "keywords", "date-released"),
    }
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["message"]
    assert citation["title"].startswith("keyart")
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] in PROJECT["license"].split(" AND ")
    assert citation["repository-code"] == PROJECT["urls"]["Source"]
    assert isinstance(citation.get("date-released", date.today()), date)


def test_license_is_the_one_that_the_project_names() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License\n")
    assert re.search(rf"^Copyright \(c\) \d{{4}} {PROJECT['authors'][0]['name']}$", text, re.MULTILINE)
    assert all((ROOT / file).is_file() for file in PROJECT["license-files"])


def test_links_of_the_readme_become_absolute() -> None:
    text = "![a](docs/a.jpg) [b](docs/b.md#c) [d](https://d.org/) [e](#e) [![f](f.png)](LICENSE) <https://g.org>"
    assert absolute_links(text, REPOSITORY) == (
        f"![a]({REPOSITORY}/raw/main/docs/a.jpg) [b]({REPOSITORY}/blob/main/docs/b.md#c) [d](https://d.org/) [e](#e) "
        f"[![f]({REPOSITORY}/raw/main/f.png)]({REPOSITORY}/blob/main/LICENSE) <https://g.org>"
    )
