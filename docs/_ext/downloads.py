"""Downloads of examples that import modules from their folder.

The gallery offers each example as a script, a notebook and a zip of both. If an example
imports modules from its folder, it cannot run without them. So these modules are added
to its zip, and the page offers the zip only.
"""

import ast
import re
import zipfile
from pathlib import Path

ALONE = re.compile(
    r"\n    \.\. container:: sphx-glr-download sphx-glr-download-(?:python|jupyter)\n"
    r"\n      :download:`.*\n"
)


def list_modules(example):
    """Return the files that an example imports from its folder, also indirectly."""
    found, pending = set(), [example]
    while pending:
        for node in ast.walk(ast.parse(pending.pop().read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            else:
                continue
            files = {example.with_name(f"{name}.py") for name in names}
            new = {file for file in files if file.is_file()} - found
            found |= new
            pending += new
    return sorted(found)


def add_to_zip(archive, files):
    """Add files to a zip, unless it has them."""
    with zipfile.ZipFile(archive, "a") as opened:
        for file in files:
            if file.name not in opened.namelist():
                opened.write(file, file.name)


def offer_zip_only(text, name):
    """Remove the links to the script and to the notebook from a page of the gallery."""
    text, n_links = ALONE.subn("\n", text)
    if n_links != 2:
        raise ValueError(f"{name}: found {n_links} links to a script or a notebook")
    return text


def find_examples(app):
    return (Path(app.srcdir).parent / "examples").glob("plot_*.py")


def complete_zips(app):
    """Add the modules to the zips, after the gallery has written them."""
    for example in find_examples(app):
        archive = Path(app.srcdir, "auto_examples", f"{example.stem}.zip")
        add_to_zip(archive, list_modules(example))


def change_page(app, docname, source):
    """Change the downloads on the page of an example that imports such modules."""
    for example in find_examples(app):
        if docname == f"auto_examples/{example.stem}" and list_modules(example):
            source[0] = offer_zip_only(source[0], docname)


def setup(app):
    app.connect("builder-inited", complete_zips, priority=900)
    app.connect("source-read", change_page)
    return {"parallel_read_safe": True}
