"""Write the oldest version of each package that pyproject.toml allows.

`make test-min` gives them to pip as constraints, one `name==version` a line, so that
lower bounds are written in pyproject.toml alone.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def list_minimum_requirements(text) -> list[str]:
    """Return a constraint for each package that a project file names.

    Parameters
    ----------
    text : str
        The content of a pyproject.toml.

    Returns
    -------
    constraints : list of str
        Such as "numpy==2.0", in alphabetical order.

    Raises
    ------
    ValueError
        If a package has no lower bound, or two.
    """
    project = tomllib.loads(text)["project"]
    extras = project.get("optional-dependencies", {}).values()
    bounds = {}
    for requirement in sum(extras, project["dependencies"]):
        name, rest = re.match(r"([\w.-]+)(.*)", requirement).groups()
        if name == project["name"]:  # with extras, which are read by themselves
            continue
        found = re.search(r"[>=]=\s*([\w.]+)", rest)
        if not found:
            raise ValueError(f"{requirement!r} has no lower bound. Write {name}>=...")
        bound = bounds.setdefault(name, found[1])
        if bound != found[1]:
            raise ValueError(f"{name} has two lower bounds, {bound} and {found[1]}.")
    return [f"{name}=={version}" for name, version in sorted(bounds.items())]


if __name__ == "__main__":
    sys.stdout.write("\n".join(list_minimum_requirements(PROJECT.read_text())) + "\n")
