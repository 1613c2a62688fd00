"""Generation of the API index from the public names of the modules."""

import importlib
import inspect
import pkgutil

TITLE = "API"
INTRODUCTION = """\
This page lists all public names, by module. Estimators follow scikit-learn's
conventions: arguments after the first are keyword-only, ``get_params`` and
``set_params`` are those of :class:`~sklearn.base.BaseEstimator`, and attributes that
end in ``_`` exist after ``fit``. :mod:`skinest.images` and :mod:`skinest.masks` say
which images and masks you can pass.
"""
TOP = "Names that are imported from ``skinest`` itself."


def public_names():
    """{module: names of its public classes and functions}, each name once.

    Names that are imported from a parent too are listed there: it is how users
    import them.
    """
    package = importlib.import_module("skinest")
    found = [
        module.name for module in pkgutil.walk_packages(package.__path__, "skinest.")
    ]
    modules = ["skinest", *(name for name in found if "._" not in name)]
    listed, seen = {}, []
    for module_name in modules:
        module = importlib.import_module(module_name)
        values = {
            name: getattr(module, name) for name in getattr(module, "__all__", ())
        }
        names = [
            name
            for name, value in values.items()
            if not inspect.ismodule(value) and not any(value is each for each in seen)
        ]
        seen += [values[name] for name in names]
        if names:
            listed[module_name] = sorted(names)
    return listed


def index_page():
    """The index, as reStructuredText."""
    lines = [TITLE, "=" * len(TITLE), "", INTRODUCTION]
    for module, names in public_names().items():
        lines += [module, "-" * len(module), ""]
        if module == "skinest":
            lines += [".. module:: skinest", "", TOP, ""]
        else:
            lines += [f".. automodule:: {module}", "   :no-members:", ""]
        lines += [".. autosummary::", "   :toctree: generated/", "   :nosignatures:"]
        lines += ["", *(f"   {name}" for name in names), ""]
    return "\n".join(lines)


def write_index(app, config):
    """Write the index before Sphinx looks for pages; leave it where it is the same."""
    page = app.srcdir / "api" / "index.rst"
    text = index_page()
    if not page.is_file() or page.read_text() != text:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)


def setup(app):
    app.connect("config-inited", write_index)
    return {"parallel_read_safe": True}
