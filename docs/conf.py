"""Configuration of Sphinx."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from docutils.utils import get_source_line
from inventories import reachable

import skinest
from skinest._compat import SITE

# Examples run on synthetic images, whatever the machine holds.
os.environ.pop("SKINEST_DATA", None)
os.environ.update(COLUMNS="100", TF_CPP_MIN_LOG_LEVEL="3")
# joblib replaces workers that have grown, and names a folder of this machine.
warnings.filterwarnings("ignore", "A worker stopped", UserWarning)

project = "skinest"
author = copyright = "The skinest developers"
version = release = skinest.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "downloads",
    "messages",
]
exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]
highlight_language = "none"
default_role = "literal"
nitpicky = True
# Of other projects, without their inventory.
nitpick_ignore_regex = [
    (r"py:.*", r"(imblearn|joblib|keras|numpy|pathlib|scikeras|sklearn)(\..*)?"),
]

intersphinx_mapping = reachable(
    {
        "sklearn": "https://scikit-learn.org/stable",
        "python": "https://docs.python.org/3",
        "numpy": "https://numpy.org/doc/stable",
        "joblib": "https://joblib.readthedocs.io/en/stable",
    },
    Path(__file__).parent / "_build" / "inventories",
)

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 150)]
plot_rcparams = {"figure.facecolor": "white"}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "ignore_pattern": "^_",
    "within_subsection_order": "FileNameSortKey",
    "reset_argv": "gallery.arguments",
    "doc_module": ("skinest",),
    "reference_url": {"skinest": None},
    "backreferences_dir": "api/backreferences",
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_baseurl = f"{SITE}/"
html_title = "skinest"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {
        "text": "skinest",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
# Pages without pages below them need no navigation at their side.
html_sidebars = {
    page: []
    for page in (
        "start",
        "study",
        "benchmarks",
        "whats_new",
        "contributing",
        "architecture",
    )
}


def inherited_as_text(app, env, node, contnode):
    """Show links in scikit-learn's docstrings as text if its inventory is missing."""
    source, _ = get_source_line(node)
    return contnode if "docstring of sklearn." in (source or "") else None


def setup(app):
    app.connect("missing-reference", inherited_as_text, priority=900)
