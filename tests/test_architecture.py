"""The package is built as its architecture page says."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.rst").read_text(encoding="utf-8")


def load_picture():
    path = ROOT / "docs" / "architecture_picture.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


picture = load_picture()
FLOORS = picture.read_floors()
FLOOR_OF = {module: number for number, floor in enumerate(FLOORS) for module in floor}
FILES = sorted(
    path.relative_to(ROOT / "skinest").as_posix()
    for path in (ROOT / "skinest").rglob("*.py")
)


def test_modules_of_the_table_exist_and_every_file_is_in_one():
    assert len(FLOOR_OF) == sum(map(len, FLOORS)) > 10
    assert [
        module for module in FLOOR_OF if not (ROOT / "skinest" / module).exists()
    ] == []
    without = [file for file in FILES if picture.find_module(file, FLOORS) is None]
    assert without == ["__init__.py"], "the table of docs/architecture.rst lacks a file"


def test_modules_import_from_floors_below_only():
    upwards, n_imports = [], 0
    for file in FILES:
        module = picture.find_module(file, FLOORS)
        for imported in picture.list_imports(file):
            other = picture.find_module(imported, FLOORS)
            # Only names in skinest/__init__.py are in no module.
            if other in (module, None):
                continue
            n_imports += 1
            is_below = FLOOR_OF[other] < FLOOR_OF[module]
            are_together = FLOOR_OF[other] == FLOOR_OF[module] and (
                Path(file).parent == Path(imported).parent != Path()
            )
            if not (is_below or are_together):
                upwards.append(f"{file} imports {imported}")
    assert upwards == []
    assert n_imports > 100


def test_imports_in_functions_count_and_those_for_type_checkers_do_not(
    tmp_path, monkeypatch
):
    (tmp_path / "inner").mkdir()
    for name in ("base.py", "later.py", "types.py", "inner/own.py"):
        (tmp_path / name).touch()
    (tmp_path / "inner" / "file.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from .. import base\n"
        "if TYPE_CHECKING:\n    from ..types import Name\n"
        "def run():\n    from ..later import name\n    from .own import other\n"
    )
    monkeypatch.setattr(picture, "PACKAGE", tmp_path)
    found = picture.list_imports("inner/file.py")
    assert found == {"base.py", "later.py", "inner/own.py"}


def test_files_and_names_of_the_page_exist():
    words = set(re.findall(r"``([^`]+)``", PAGE))
    files = {word for word in words if re.search(r"\.(pyi?|rst|md)$|/$", word)}
    roots = ROOT, ROOT / "skinest"
    assert not [f for f in files if not any((root / f).exists() for root in roots)]
    code = "".join((ROOT / "skinest" / file).read_text("utf-8") for file in FILES)
    tests = sorted(f for f in files if f.startswith("tests/") and f.endswith(".py"))
    code += "".join((ROOT / file).read_text("utf-8") for file in tests)
    names = {word for word in words - files if word.isidentifier()}
    assert len(names) > 20
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()
