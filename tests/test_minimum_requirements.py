"""The oldest versions that `make test-min` installs."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "minimum_requirements.py"
PROJECT = """
[project]
name = "small"
dependencies = ["numpy>=2.0", "imbalanced-learn>=0.14,<1"]

[project.optional-dependencies]
plot = ["matplotlib >= 3.9"]
test = ["small[plot]", "ruff==0.1", "numpy{bound}"]
"""


@pytest.fixture(scope="module")
def list_minimum_requirements():
    spec = spec_from_file_location("minimum_requirements", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.list_minimum_requirements


def test_each_package_gets_its_lower_bound(list_minimum_requirements):
    assert list_minimum_requirements(PROJECT.format(bound=">=2.0")) == [
        *("imbalanced-learn==0.14", "matplotlib==3.9", "numpy==2.0", "ruff==0.1"),
    ]


@pytest.mark.parametrize(
    ("bound", "message"),
    [("", "no lower bound"), ("<3", "no lower bound"), (">=2.1", "two lower bounds")],
)
def test_a_missing_or_second_bound_is_refused(
    bound, message, list_minimum_requirements
):
    with pytest.raises(ValueError, match=message):
        list_minimum_requirements(PROJECT.format(bound=bound))


def test_the_script_prints_the_bounds_of_this_project():
    run = subprocess.run(
        [sys.executable, SCRIPT], check=True, capture_output=True, text=True
    )
    lines = run.stdout.splitlines()
    assert all(line.count("==") == 1 for line in lines)
    assert {"scikit-learn==1.7", "keras==3.12"} <= set(lines)
