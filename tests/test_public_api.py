"""The public names, their types and their documentation."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import importlib
import inspect
import pkgutil
import re
from importlib.metadata import version
from pathlib import Path

import pytest

import skinest

FOLDER = Path(skinest.__file__).parent


def public_modules():
    """Return names of all modules without an underscore that say what is public."""
    found = pkgutil.walk_packages(skinest.__path__, "skinest.")
    names = ["skinest", *(module.name for module in found)]
    public = [name for name in names if "._" not in name]
    return [
        name for name in public if hasattr(importlib.import_module(name), "__all__")
    ]


@pytest.fixture(scope="module")
def public_objects():
    """Return classes and functions that are in a module's __all__, by full name."""
    objects = {}
    for module in public_modules():
        for name in importlib.import_module(module).__all__:
            value = getattr(importlib.import_module(module), name)
            if inspect.isclass(value) or inspect.isfunction(value):
                objects[f"{module}.{name}"] = value
    return objects


@pytest.mark.parametrize("module", public_modules())
def test_names_resolve_and_are_listed(module):
    module = importlib.import_module(module)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = skinest.no_such_name


@pytest.mark.parametrize(
    "stub",
    list(FOLDER.rglob("*.pyi")),
    ids=lambda path: str(path.relative_to(FOLDER.parent)),
)
def test_stub_agrees_with_runtime(stub):
    parts = stub.parent.relative_to(FOLDER.parent).parts
    module = importlib.import_module(".".join(parts))
    tree = ast.parse(stub.read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (listed,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    assert imported == set(listed) == set(module.__all__)
    annotated = {n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}
    assert all(hasattr(module, name) for name in annotated)


def test_lazy_packages_have_a_stub():
    """Type checkers see nothing of names that are attached without one."""
    lazy = [
        file.parent
        for file in FOLDER.rglob("__init__.py")
        if "lazy_loader.attach" in file.read_text()
    ]
    missing = [str(folder) for folder in lazy if not (folder / "__init__.pyi").exists()]
    assert not missing


def test_package_is_typed():
    assert (FOLDER / "py.typed").is_file()


def test_version_is_that_of_the_distribution():
    assert skinest.__version__ == version("skinest")


def test_documented_with_parameters_and_example(public_objects):
    for full_name, value in public_objects.items():
        documentation = inspect.getdoc(value)
        names = list(inspect.signature(value).parameters)
        for section in ["Parameters"] * bool(names) + ["Examples"]:
            heading = re.compile(rf"^{section}\n-+$", re.MULTILINE)
            assert heading.search(documentation), (full_name, section)
        for name in names:
            described = rf"^\*{{0,2}}(\w+, )*{name}(, \w+)* :"
            found = re.search(described, documentation, re.MULTILINE)
            assert found, (full_name, name)


def test_public_methods_are_documented(public_objects):
    for full_name, value in public_objects.items():
        for name, method in inspect.getmembers(value, inspect.isfunction):
            if not name.startswith("_"):
                assert inspect.getdoc(method), (full_name, name)


def list_functions(value):
    """Return a public function, or what a user calls of a class, by name."""
    if inspect.isfunction(value):
        return {value.__name__: value}
    functions = {}
    for cls in reversed(value.__mro__):
        if cls.__module__.startswith("skinest"):
            for name, member in vars(cls).items():
                function = getattr(member, "fget", getattr(member, "__func__", member))
                is_called = not name.startswith("_") or name in CALLED
                if inspect.isfunction(function) and is_called:
                    functions[name] = function
    return functions


CALLED = ("__init__", "__call__", "__getitem__", "__len__")


def test_arguments_and_results_have_types(public_objects):
    for full_name, value in public_objects.items():
        for name, function in list_functions(value).items():
            signature = inspect.signature(function)
            parameters = list(signature.parameters.values())
            bound = parameters[1:] if inspect.isclass(value) else parameters
            untyped = [p.name for p in bound if p.annotation is p.empty]
            assert not untyped, (full_name, name, untyped)
            has_type = signature.return_annotation is not signature.empty
            assert has_type, (full_name, name)


FILES = sorted(FOLDER.rglob("*.py"))


def test_docstrings_do_not_begin_with_a_question():
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in FILES:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found = [ast.get_docstring(node) for node in nodes if isinstance(node, kinds)]
        firsts = {text.split()[0] for text in found if text}
        questions = {"How", "What", "Where", "Whether", "Which", "Who"}
        assert not firsts & questions, path


def test_no_file_name_stands_twice():
    names = [path.name for path in FILES if path.name != "__init__.py"]
    assert len(names) == len(set(names))


def test_files_are_short():
    lengths = {path.name: path.read_text("utf-8").count("\n") for path in FILES}
    assert {name for name, length in lengths.items() if length > 500} == set()
