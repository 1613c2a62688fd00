"""The picture of the architecture page: modules on floors, and who uses them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import re
from pathlib import Path

DOCS = Path(__file__).parent if "__file__" in globals() else Path.cwd()
PACKAGE = DOCS.parent / "skinest"
WIDTH = 10
ESTIMATORS = {
    "BoVWSIFTTransformer": ("feature_extraction/_bovw.py", "tab:blue"),
    "TransferClassifier": ("classification/_transfer_classifier.py", "tab:orange"),
    "UNetSegmenter": ("segmentation/_unet_segmenter.py", "tab:green"),
}


def read_floors():
    """Return the modules of each floor, lowest first, from the table of the page."""
    row = re.compile(r"^   \* - \d+\n     - (.*(?:\n {7}.*)*)\n     - ", re.MULTILINE)
    cells = row.findall((DOCS / "architecture.rst").read_text(encoding="utf-8"))
    return [re.findall(r"``([^`]+)``", cell) for cell in cells]


def find_module(file, floors):
    """Return the module that holds a file, or None; the most specific if two do."""
    modules = sorted((module for floor in floors for module in floor), key=len)
    found = [module for module in modules if file == module or file.startswith(module)]
    return found[-1] if found else None


def list_imports(file):
    """List files of the package that one of them imports, at the top or in functions.

    Files are named from the folder of the package. What is imported for type checkers
    alone is left out.
    """
    found, nodes = set(), [ast.parse((PACKAGE / file).read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            folder = (PACKAGE / file).parents[node.level - 1]
        elif (node.module or "").split(".")[0] == "skinest":
            folder = PACKAGE.parent
        else:
            continue
        module = folder.joinpath(*(node.module or "").split("."))
        for path in (module, *(module / alias.name for alias in node.names)):
            if path.with_suffix(".py").is_file():
                found.add(path.with_suffix(".py").relative_to(PACKAGE).as_posix())
    return found


def reach(file):
    """Return all files to which the imports of one lead."""
    reached, new = set(), {file}
    while new:
        reached |= new
        new = {each for known in new for each in list_imports(known)} - reached
    return reached


def draw():
    """Plot modules on floors, with a dot for each estimator that uses them."""
    import matplotlib.pyplot as plt

    floors = read_floors()
    used = {
        name: {find_module(each, floors) for each in reach(file)}
        for name, (file, _) in ESTIMATORS.items()
    }
    figure, axes = plt.subplots(figsize=(8, 4.8))
    for number, modules in enumerate(floors):
        shade = "#f3f5f8" if number % 2 else "#e6eaf0"
        axes.axhspan(number, number + 1, color=shade, lw=0)
        axes.text(-0.35, number + 0.5, number, ha="center", va="center", color="0.4")
        # Boxes are as wide as their names need.
        sizes = [len(module) + 8 for module in modules]
        left = 0.13
        for module, size in zip(modules, sizes, strict=True):
            width = WIDTH * size / sum(sizes)
            colors = [c for name, (_, c) in ESTIMATORS.items() if module in used[name]]
            draw_module(axes, module, left, number, width - 0.26, colors)
            left += width
    for name, (_, color) in ESTIMATORS.items():
        axes.plot([], [], "o", color=color, label=name)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.48, 1), ncols=3, frameon=False, fontsize=9
    )
    axes.annotate(
        "imports",
        (WIDTH + 0.3, 0.2),
        (WIDTH + 0.3, len(floors) - 0.2),
        rotation=90,
        ha="center",
        va="top",
        color="0.4",
        arrowprops={"arrowstyle": "->", "color": "0.4"},
    )
    axes.set(xlim=(-0.7, WIDTH + 0.6), ylim=(0, len(floors)))
    axes.set_axis_off()
    return figure


def draw_module(axes, module, left, floor, width, colors):
    """Add a box with the name of a module, and dots in some colours below it."""
    from matplotlib.patches import FancyBboxPatch

    box = FancyBboxPatch(
        (left, floor + 0.19),
        width,
        0.62,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor="white",
        edgecolor="0.6",
    )
    axes.add_patch(box)
    middle = left + width / 2
    height = floor + (0.62 if colors else 0.5)
    axes.text(middle, height, module, ha="center", va="center", size=7.5)
    for index, color in enumerate(colors):
        across = middle + 0.2 * (index - (len(colors) - 1) / 2)
        axes.plot(across, floor + 0.32, "o", ms=4.5, color=color)
