"""Private names of other packages stand in one file of skinest, and one of tests."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_USE = {
    "skinest/_compat.py",
    "tests/private_names.py",
    "tests/test_private_names.py",  # this file lists them
}
PRIVATE_PARTS = ("keras.src", "tensorflow.python", "tensorflow.lite.python")

# Attributes and methods of other packages' objects, which no import shows.
ATTRIBUTES = {
    "__cpu_features__",
    "_check_feature_names",
    "_check_n_features",
    "_doc_link_module",
    "_doc_link_template",
    "_doc_link_url_param_generator",
    "_exclude_from_weight_decay",
    "_exclude_from_weight_decay_pattern",
    "_flatten_layers",
    "_inbound_nodes",
    "_init_callback_context",
    "_initial_epoch",
    "_keras_history",
    "_outbound_nodes",
    "_seed_generators",
    "_validate_data",
    "_validate_params",
    "assert_cardinality",
    "seed_generator_state",
}


def list_sources():
    folders = ("skinest", "tests", "benchmarks", "examples", "docs")
    files = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    names = (path.relative_to(ROOT).as_posix() for path in files)
    built = ("docs/_build/", "docs/api/", "docs/auto_examples/")
    return sorted(name for name in names if not name.startswith(built))


def is_private(name) -> bool:
    """Tell whether a dotted name of another package is a private one."""
    if name.split(".")[0] in ("skinest", "tests", "__future__"):
        return False
    parts = [part for part in name.split(".")[1:] if part != "__version__"]
    return name.startswith(PRIVATE_PARTS) or any(part[0] == "_" for part in parts)


def find_private_names(source) -> list[str]:
    """List private names of other packages that a source imports or uses."""
    found = []
    for node in ast.walk(ast.parse(source)):
        kind, names = type(node), []
        if kind is ast.Import:
            names = [alias.name for alias in node.names]
        elif kind is ast.ImportFrom and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif kind is ast.Attribute and node.attr in ATTRIBUTES:
            found.append(node.attr)
        elif kind is ast.FunctionDef and node.name in ATTRIBUTES:
            found.append(node.name)
        elif kind is ast.Name and node.id in ATTRIBUTES:
            found.append(node.id)
        elif kind is ast.Constant and isinstance(node.value, str):
            found += {node.value} & ATTRIBUTES
            found += [part for part in PRIVATE_PARTS if f"from {part}" in node.value]
        found += filter(is_private, names)
    return found


def test_private_names_of_other_packages_are_in_one_place():
    names = (name for name in list_sources() if name not in MAY_USE)
    found = {name: find_private_names((ROOT / name).read_text()) for name in names}
    assert {name: private for name, private in found.items() if private} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.utils._param_validation import Interval",
        "from sklearn.base import BaseEstimator, _fit_context",
        "import keras.src.random as r",
        "def f():\n    from tensorflow.python.framework import config",
        "CODE = '''\nfrom keras.src import backend\n'''",
        "tensor._keras_history",
        "class A(B):\n    def _validate_params(self): ...",
        "class A(B):\n    _doc_link_module = 'a'",
        "getattr(tensor, '_keras_history')",
        "variable.name == 'seed_generator_state'",
    ],
)
def test_a_private_name_is_found(source):
    assert find_private_names(source)


@pytest.mark.parametrize(
    "source",
    [
        "from . import _study\nfrom .._compat import Interval",
        "from skinest._compat import cpu_has_bfloat16",
        "from sklearn import __version__",
        "import _script\nself._model = model._weights",
    ],
)
def test_names_of_our_own_and_public_ones_are_let_be(source):
    assert not find_private_names(source)
