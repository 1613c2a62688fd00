"""What is imported is declared in pyproject.toml, and the other way round."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# The extras that the files of each folder may need.
EXTRAS = {
    "skinest": {"onnx", "openvino", "plot", "scikeras"},
    "tests": {"test"},
    "benchmarks": {"test"},
    "examples": {"examples"},
    "docs": {"docs"},
}
# Imported within functions of skinest, and not declared for users.
UNDECLARED = {
    "skinest": {
        "jax": "gradients, where the user's Keras runs on JAX",
        "torch": "gradients, where the user's Keras runs on PyTorch",
        "pandas": "only for who passes or asks for a DataFrame, and has it therefore",
        "pytest": "only for who runs the estimator checks by it",
    },
    "tests": {
        "keras-hub": "some of its networks are tried, where it is installed",
        "pyarrow": "its tables are split, where it is installed",
        "torch": "its tensors are tried as images, where it is installed",
    },
}
# Declared, and imported in no file.
NOT_IMPORTED = {
    "ai-edge-litert": "tests of exported files import it in another process",
    "check-jsonschema": "a command of make lint",
    "codespell": "a command of make lint",
    "hatchling": "builds the wheel that a test looks into",
    "mypy": "a command of make lint",
    "myst-parser": "an extension that docs/conf.py names",
    "numpydoc": "an extension that docs/conf.py names",
    "pydata-sphinx-theme": "the theme that docs/conf.py names",
    "pytest-cov": "measures coverage, see CONTRIBUTING.md",
    "pytest-xdist": "make test runs in two processes",
    "ruff": "a command of make lint",
    "sphinx-gallery": "an extension that docs/conf.py names",
    "twine": "checks what a release uploads",
    "zizmor": "a command of make lint",
}
DISTRIBUTIONS = packages_distributions()


def normalise(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def expand(requirements):
    """Return the names of the distributions; extras of our own stand for theirs."""
    found = set()
    for requirement in requirements:
        name, extras = re.match(r"([\w.-]+)(?:\[(.*?)\])?", requirement).groups()
        if name == "skinest":
            found |= declared(extras.split(","))
        else:
            found.add(normalise(name))
    return found


def declared(extras):
    every = PROJECT["optional-dependencies"]
    return set().union(*(expand(every[extra]) for extra in extras))


def find_files(folder):
    return [
        file
        for file in (ROOT / folder).rglob("*.py")
        if not {"_build", "auto_examples"} & {*file.relative_to(ROOT).parts}
    ]


@functools.cache
def imported(folder):
    """Return what the files of a folder import, as names of distributions."""
    names = {
        name.partition(".")[0] for file in find_files(folder) for name in modules(file)
    }
    # Scripts, and tests of them, import other ones by their names.
    own = {*EXTRAS, *(file.stem for each in EXTRAS for file in find_files(each))}
    return {
        normalise(name)
        for module in names - own - sys.stdlib_module_names
        for name in DISTRIBUTIONS.get(module, [module])
    }


def modules(file):
    """Yield the modules that a file imports, within functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Call) and (
            getattr(node.func, "attr", None) in ("importorskip", "import_module")
        ):
            if isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


@pytest.mark.parametrize("folder", EXTRAS)
def test_what_is_imported_is_declared(folder):
    known = expand(PROJECT["dependencies"]) | declared(EXTRAS[folder])
    undeclared = imported(folder) - known
    assert undeclared == set(UNDECLARED.get(folder, ()))


def test_what_users_install_is_imported_by_the_package():
    assert expand(PROJECT["dependencies"]) <= imported("skinest")


def test_what_is_declared_is_imported():
    used = set().union(*map(imported, EXTRAS))
    extras = declared(PROJECT["optional-dependencies"])
    assert extras - used == set(NOT_IMPORTED)
