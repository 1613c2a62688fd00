"""The rules of plain English, as `make lint` checks them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / ".ci" / "prose.py"


@pytest.fixture(scope="module")
def prose():
    spec = importlib.util.spec_from_file_location("prose", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_problems(prose, folder, monkeypatch, name, text):
    (folder / name).write_text(text, "utf-8")
    rules = prose.load_rules()
    monkeypatch.setattr(prose, "ROOT", folder)
    return list(prose.check_file(folder / name, rules))


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("page.md", "# Title\n\nThe figures flatter a little.\n", 3),
        ("page.rst", "Title\n=====\n\nA network from drawn weights.\n", 4),
        ("page.rst", ".. plot::\n   :alt: Drawn lesions.\n\n   x = 1\n", 2),
        ("code.py", "x = 1\n\n\n# drawn by lot\n", 4),
        ("code.py", 'def f():\n    """What the layers compute in."""\n', 2),
        ("code.py", 'error = f"loss={1} is no\\nname"\n', 1),
    ],
)
def test_a_problem_is_found_with_its_line(
    prose, tmp_path, monkeypatch, name, text, line
):
    problems = find_problems(prose, tmp_path, monkeypatch, name, text)
    assert problems
    assert all(problem.startswith(f"{name}:{line}: ") for problem in problems)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "```\nfigures = draw()\n```\nThere is no file, see `draw`.\n"),
        ("page.rst", ".. code-block:: python\n\n   drawn = 1\n\nRandom weights.\n"),
        ("code.py", 'def draw():\n    """Plot a map.\n\n    >>> draw()\n    """\n'),
        ("code.py", "if value is None:\n    figures = 3\n"),
    ],
)
def test_code_and_plain_english_pass(prose, tmp_path, monkeypatch, name, text):
    assert not find_problems(prose, tmp_path, monkeypatch, name, text)


def test_files_are_excluded_by_folder_or_pattern(prose, tmp_path, monkeypatch):
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    rules = {"exclude": {"one": "a folder", "two/_*.py": "files"}}
    checked = {"two/a.py", "two/_b/c.py", "three/a.md"}
    for name in {"one/a.py", "one/b/c.py", "two/_a.py", "three/a.png", *checked}:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    files = [path for path in tmp_path.rglob("*") if prose.is_checked(path, rules)]
    assert {path.relative_to(tmp_path).as_posix() for path in files} == checked


def test_all_files_of_an_unpacked_sdist_are_listed(prose, tmp_path, monkeypatch):
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    for name in ("README.md", "tests/a.py", ".venv/lib/b.py", ".venv-min/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files = {path for path in prose.list_files() if path.suffix}
    assert files == {Path("README.md"), Path("tests/a.py")}


def test_exclusions_and_exceptions_have_reasons(prose):
    rules = prose.load_rules()
    assert all(rules["exclude"].values()) and all(rules["allow"].values())
