"""Fingerprints of callables, made of their code and state, for the keys of caches."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
from functools import partial

import joblib

_PLAIN = (bool, int, float, complex, str, bytes, tuple)  # constants of a module


def fingerprint(value, seen=()) -> tuple:
    """Return a fingerprint of a callable, without its parameters.

    Parameters
    ----------
    value : object
        A function, method, class instance or plain value.

    seen : tuple of object, default=()
        Values that contain this value. They are not followed again.

    Returns
    -------
    fingerprint : tuple
        Code and state, for :func:`joblib.hash`; the same in every process.
    """
    if any(value is other for other in seen):
        return ()
    seen = (*seen, value)
    if isinstance(value, partial):
        parts = value.func, *value.args, *value.keywords.values()
        return (*value.keywords, *(fingerprint(part, seen) for part in parts))
    if inspect.ismethod(value):
        return fingerprint(value.__func__, seen), fingerprint(value.__self__, seen)
    if inspect.isfunction(value):
        return _fingerprint_function(value, seen)
    if hasattr(value, "get_params"):
        return fingerprint_class(type(value), seen)
    if callable(value):
        return fingerprint_class(type(value), seen), joblib.hash(value)
    return (joblib.hash(value),)


def fingerprint_class(cls, seen=()) -> tuple:
    """Return the code of the methods of a class, without those of libraries.

    Parameters
    ----------
    cls : type
        The class. skinest and scikit-learn are identified by their versions instead.

    seen : tuple of object, default=()
        Values that contain the class.

    Returns
    -------
    fingerprint : tuple
        Code, for :func:`joblib.hash`; the same in every process.
    """
    parts = [cls.__module__, cls.__qualname__]
    for parent in cls.__mro__:
        if parent.__module__.split(".")[0] in ("builtins", "skinest", "sklearn"):
            continue
        for name, member in sorted(vars(parent).items()):
            if isinstance(member, property):
                member = member.fget
            function = getattr(member, "__func__", member)  # static and class methods
            if inspect.isfunction(function):
                parts.append((name, _fingerprint_function(function, seen)))
    return tuple(parts)


def _fingerprint_function(function, seen):
    """Return code and the values it uses: defaults, closure, names of its module."""
    used = [cell.cell_contents for cell in function.__closure__ or ()]
    used += function.__defaults__ or ()
    used += (function.__kwdefaults__ or {}).values()
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        same_module = getattr(value, "__module__", None) == function.__module__
        if isinstance(value, _PLAIN) or (inspect.isfunction(value) and same_module):
            used.append(value)
    name = function.__module__, function.__qualname__
    parts = tuple(fingerprint(value, seen) for value in used)
    return name, _describe_code(function.__code__), parts


def _describe_code(code):
    """Return the content of a code object, without its place in a file."""
    return code.co_code, code.co_names, [_make_stable(c) for c in code.co_consts]


def _make_stable(constant):
    """Return a constant in a form that is the same in every process."""
    if inspect.iscode(constant):
        return _describe_code(constant)
    if isinstance(constant, tuple):
        return [_make_stable(item) for item in constant]
    if isinstance(constant, frozenset):  # its order depends on the process
        return sorted(repr(_make_stable(item)) for item in constant)
    return repr(constant)
