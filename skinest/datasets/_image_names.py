"""Find the files that the names in a table mean."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import os
import posixpath
import unicodedata

from ._image_folder import identify, list_images


def find_images(folders, names, extensions):
    """Find the file of each name in some folders.

    Parameters
    ----------
    folders : list of path-like
        The folders, which can be inside of each other.

    names : list of str
        Names of files, their paths relative to a folder or to the working folder, or
        their absolute paths. All may lack the extension.

    extensions : list of str or None
        Extensions of the files, as for `list_images`.

    Returns
    -------
    path_of : dict of str to str
        The path of each name that has a file. Names in another form of Unicode than
        those of the files are found too.

    forms_of : dict of str to set of str
        For the path of each file, all that it can be called.

    Raises
    ------
    ValueError
        If a name fits two files.
    """
    forms_of: dict[str, set[str]] = {}
    _resolve_folder.cache_clear()  # links may have changed
    roots = []
    for folder in folders:
        paths = list_images(folder, extensions)
        roots.append(os.path.abspath(os.path.expanduser(folder)))
        for path in paths:
            forms_of.setdefault(path, set()).update(_list_forms(path, roots[-1]))
    path_of = _match(names, roots, forms_of)
    left = [name for name in names if name not in path_of]
    return path_of | (_match(left, roots, forms_of, compose) if left else {}), forms_of


def _match(names, roots, forms_of, make_equal=str) -> dict[str, str]:
    """Return the path of each name that has a file.

    `make_equal` removes differences between names that do not count.
    """
    names_of: dict[str, set[str]] = {}
    for name in names:
        for form in _list_meanings(name, roots):
            names_of.setdefault(make_equal(form), set()).add(name)
    path_of: dict[str, str] = {}
    for path, forms in forms_of.items():
        for form in set(map(make_equal, forms)) & names_of.keys():
            for name in names_of[form]:
                first = path_of.setdefault(name, path)
                if first != path and not os.path.samefile(first, path):
                    _raise_ambiguous(name, first, path, forms_of)
    return path_of


def compose(name) -> str:
    """Return what names have in common that differ in Unicode's forms."""
    return unicodedata.normalize("NFC", name)


def count_files(paths) -> int:
    """Return the number of real files, each of which may have several links."""
    return len({identify(path) for path in paths})


def _list_meanings(name, roots) -> set[str]:
    """Return all forms that a name in a table may mean."""
    form = _normalize(name)
    meanings = {name, form}
    if form.startswith("./"):  # its folder may be a link, or the working folder's
        above = [*roots, os.getcwd()]
        meanings |= {_resolve(os.path.join(root, form)) for root in above}
    return meanings


def _list_forms(path, root) -> set[str]:
    """Return all names of a file of a folder, as `_normalize` returns them."""
    name = os.path.basename(path)
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    forms = name, f"./{relative}", _resolve(path)
    return {*forms, *(os.path.splitext(form)[0] for form in forms)}


def _normalize(name) -> str:
    """Return a common form of names: "name", "./folder/name" or "/absolute/name"."""
    if "/" not in name and "\\" not in name:
        return name
    expanded = os.path.expanduser(name)
    if os.path.isabs(expanded):
        return _resolve(expanded)
    return "./" + posixpath.normpath(name.replace("\\", "/"))


def _resolve(path) -> str:
    """Return an absolute path without links to folders."""
    folder, name = os.path.split(os.path.normpath(path))
    return os.path.join(_resolve_folder(folder), name)


@functools.lru_cache(maxsize=1024)
def _resolve_folder(folder) -> str:
    return os.path.realpath(folder)


def _raise_ambiguous(name, path, other, forms_of):
    """Raise ValueError because a name fits two files."""
    advice = "Name it with its extension, or set allowed_extensions."
    if os.path.basename(path) == os.path.basename(other):
        advice = f"Name it with its folder, such as {_find_only(path, forms_of)!r}."
    raise ValueError(f"{name!r} fits two files, {path} and {other}. {advice}")


def _find_only(path, forms_of) -> str:
    """Return a name with a folder, and with extension, that fits only one file."""
    end = f"/{os.path.basename(path)}"
    for form in sorted(forms_of[path]):
        is_relative = form.startswith("./") and form.endswith(end)
        if is_relative and sum(form in forms for forms in forms_of.values()) == 1:
            return form.removeprefix("./") if form.count("/") > 1 else form
    return path


def advise_on_missing(missing, forms_of, name_column) -> str:
    """Return what may help if names have no file.

    Parameters
    ----------
    missing : list of str
        The names, at least one.

    forms_of : dict of str to set of str
        The files, as from `find_images`.

    name_column : str
        The column of the names.
    """
    for change_file, change_name, say in (
        (_strip_zeros, str, functools.partial(_say_zeros, name_column)),
        (str.casefold, str.casefold, _say_case),
    ):
        like = {
            change_file(compose(form)): path
            for path, forms in forms_of.items()
            for form in forms
        }
        for name in missing:
            path = like.get(change_name(compose(_normalize(name))))
            if path is not None:
                return say(name, path)
    return "Add them, or remove their rows."


def _strip_zeros(form) -> str:
    """Return a name without zeros before its number, if it is one."""
    folder, name = posixpath.split(form)
    number, extension = os.path.splitext(name)
    if not number.isdecimal():
        return form
    return posixpath.join(folder, (number.lstrip("0") or "0") + extension)


def _say_zeros(name_column, name, path):
    return (
        f"The file of {name!r} may be {path}, as numbers lose the zeros that they "
        "begin with: read the column as text, e.g. "
        f"pd.read_csv(file, dtype={{{name_column!r}: str}})."
    )


def _say_case(name, path):
    return (
        f"{name!r} and the file {path} differ in upper or lower case only. Write the "
        "name as that of the file."
    )
