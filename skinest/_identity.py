"""Identity of objects and libraries, for the keys of caches.

Libraries are identified by their versions, and objects of skinest and scikit-learn by
their parameters. Nobody can find all the code, values and files that a user's own code
depends on. Therefore, it needs a `version`.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
import json
import warnings
from functools import (
    cached_property,
    lru_cache,
    partial,
    partialmethod,
    singledispatchmethod,
)
from importlib import metadata
from numbers import Real

import joblib
import numpy as np
import sklearn

from . import __version__

# Decoders are not loaded if all results are in the cache.
_NOT_LOADED = "imagecodecs", "netpbmfile", "pillow", "scipy", "simplejpeg", "tifffile"
_LIBRARIES = "skinest", "sklearn"  # whose objects are known by their parameters
_LAYERS = {"keras_hub": "keras-hub"}  # whose layers are known by its version
_PLAIN = type(None), bool, int, float, complex, str, bytes


def list_versions() -> tuple[str, ...]:
    """Return the versions of all libraries that read images and compute from them."""
    import cv2

    loaded = (module.__version__ for module in (np, sklearn, joblib, cv2))
    return (__version__, *loaded, *map(find_version, _NOT_LOADED))


@lru_cache
def find_version(package) -> str:
    """Return the version of an installed package, or "" if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # installed in another way
        return ""


def identify(value, name, *, unused=()) -> str | None:
    """Return a digest of everything that the results of an object depend on.

    Parameters
    ----------
    value : object
        A descriptor, clusterer or augmentation, but not a Keras layer.

    name : str
        The parameter that it was passed as, for messages.

    unused : tuple of str, default=()
        Parameters that the results do not depend on.

    Returns
    -------
    digest : str or None
        The same in every process. None if the results cannot be cached.

    Raises
    ------
    ValueError
        If the attribute `version` is not a string or a number.

    Warns
    -----
    UserWarning
        If the results cannot be cached.
    """
    if _is_known(value):
        parameters = value.get_params()
        for parameter in unused:
            parameters.pop(parameter, None)
        return joblib.hash((type(value).__module__, type(value).__name__, parameters))
    version = read_version(value, name)
    if version is None:
        return None
    try:
        return joblib.hash((version, describe_code(value), describe_state(value)))
    except Exception as error:  # pickle raises errors of many classes
        reason = str([*error.args, ""][0]).partition("\n")[0]
        warn_of_no_cache(value, name, f"it cannot be pickled: {reason}")
        return None


def identify_layer(layer, name) -> str | None:
    """Return a digest of a Keras layer, its weights and its inner layers, as above.

    Layers of a user need a version. So do layers of Keras that hold code of a user,
    such as ``Lambda``. The automatic name of a layer is left out.
    """
    config = dict(layer.get_config())
    config.pop("name", None)
    if "input_layers" not in config:  # of a Sequential; they are identified below
        config.pop("layers", None)
    version, inner = "", []
    if not (_is_of_keras(type(layer).__module__) and _has_only_keras(config)):
        version = read_version(layer, name)
        if version is None:
            return None
    for each in getattr(layer, "layers", ()):
        inner.append(identify_layer(each, name))
        if inner[-1] is None:
            return None
    cls = type(layer).__module__, type(layer).__qualname__
    settings = json.dumps(config, sort_keys=True, default=joblib.hash)
    code = describe_code(layer)
    return joblib.hash((cls, version, code, settings, layer.get_weights(), inner))


def identify_definitions(definitions, name) -> str | None:
    """Return a digest of classes and functions that a network needs, as above."""
    parts: list = []
    for definition in definitions:
        library = definition.__module__.partition(".")[0]
        if library in _LAYERS:
            parts.append((definition.__qualname__, find_version(_LAYERS[library])))
            continue
        version = read_version(definition, name)
        if version is None:
            return None
        parts.append((version, describe_code(definition)))
    return joblib.hash(parts)


def _has_only_keras(config) -> bool:
    """Return whether a configuration has objects of Keras and plain values only."""
    if isinstance(config, dict):
        class_name = str(config.get("class_name", "__dict__"))
        # Values, such as "__numpy__", have no module.
        is_value = class_name.startswith("__") and class_name != "__lambda__"
        is_known = is_value or _is_of_keras(str(config.get("module")))
        return is_known and all(map(_has_only_keras, config.values()))
    return not isinstance(config, list | tuple) or all(map(_has_only_keras, config))


def _is_of_keras(module) -> bool:
    return module.partition(".")[0] == "keras"


def read_version(value, name):
    """Return the attribute `version` of an object of the user; warn if there is none.

    Raises
    ------
    ValueError
        If it is not a string or a number.
    """
    version = _find_attribute(value, name)
    if version is None:
        warn_of_no_cache(
            value,
            name,
            "it has no version. Set an attribute, e.g. version = 1, and change it "
            "whenever the results change.",
        )
    elif isinstance(version, bool) or not isinstance(version, str | Real):
        raise ValueError(
            f"{name}={_show(value)} has a version of type {type(version).__name__}. "
            "For memory, it must be a string or a number that you change whenever the "
            "results change."
        )
    elif "<" in _find_definition(value).__qualname__:  # two can have one name
        warn_of_no_cache(
            value,
            name,
            "it is defined inside a function. Define it at the top level of a module.",
        )
        return None
    return version


def _find_attribute(value, name):
    try:
        version = getattr(value, "version", None)
    except Exception as error:
        raise ValueError(
            f"{name}={_show(value)} has a version that raises "
            f"{type(error).__name__}: {error}"
        ) from error
    inner = getattr(value, "func" if isinstance(value, partial) else "__self__", None)
    if version is None and (isinstance(value, partial) or inspect.ismethod(value)):
        return _find_attribute(inner, name)
    return version


def warn_of_no_cache(value, name, reason):
    """Warn that results of an object of the user are not cached."""
    warnings.warn(
        f"memory: results of {name}={_show(value)} are not cached, because {reason}",
        stacklevel=2,
    )


def _find_definition(value):
    """Return the function, or the class of the object, that a user has defined."""
    if isinstance(value, partial):
        return _find_definition(value.func)
    if inspect.ismethod(value):
        value = value.__self__
    return value if hasattr(value, "__qualname__") else type(value)


def _show(value):
    """Return a short name of a function or object."""
    definition = _find_definition(value)
    arguments = "(...)" if inspect.isclass(definition) else ""
    return f"{definition.__qualname__}{arguments}"


def _is_known(value) -> bool:
    """Return whether an object is one of a library, with plain parameters only."""
    if type(value).__module__.partition(".")[0] not in _LIBRARIES:
        return False
    return hasattr(value, "get_params") and all(map(_is_plain, vars(value).values()))


def _is_plain(value) -> bool:
    """Return whether a pickle has everything that a value depends on."""
    if type(value) in (tuple, list, set, frozenset):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, (*value, *value.values())))
    if type(value).__module__.partition(".")[0] == "numpy":
        holds_objects = isinstance(value, np.ndarray) and value.dtype.hasobject
        return not (callable(value) or holds_objects)
    return type(value) in _PLAIN or _is_known(value)


def describe_code(value):
    """Return the code of a function, or of the methods of the class of an object.

    A `version` covers all other code. This only helps if a user forgets to change it,
    or if two scripts have objects of the same name.
    """
    definition = _find_definition(value)
    parts = [definition.__module__, definition.__qualname__]
    if inspect.isfunction(function := _unwrap(definition)):
        parts.append(_describe_function(function))
    for cls in getattr(definition, "__mro__", ()):
        if cls.__module__.partition(".")[0] in ("builtins", "keras", *_LIBRARIES):
            continue
        parts.append((cls.__module__, cls.__qualname__))
        for name, member in sorted(vars(cls).items()):
            function = _unwrap(member)
            if isinstance(function, partial):
                parts.append((name, _describe_value(function, ())))
            elif inspect.isfunction(function):
                parts.append((name, _describe_function(function)))
    return parts


def _unwrap(member):
    """Return the function in a property, a cache or another decorator."""
    if isinstance(member, partialmethod):
        return partial(member.func, *member.args, **member.keywords)
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, cached_property | singledispatchmethod):
        member = member.func
    return inspect.unwrap(member, stop=inspect.isfunction)


def describe_state(value):
    """Return what a pickle has of an object, except its class or function.

    In a worker process, a class or function of a script cannot be pickled, because it
    cannot be found by its name.
    """
    if isinstance(value, partial):
        return describe_state(value.func), value.args, value.keywords
    if inspect.ismethod(value):
        return value.__name__, describe_state(value.__self__)
    definition = _find_definition(value)
    if definition is value:
        return None
    reduced = value.__reduce_ex__(2)
    if isinstance(reduced, str):
        return reduced
    rebuild, arguments, *rest = reduced
    others = [each for each in arguments if each is not definition]
    state, *items = (*rest, None, None, None)[:3]
    if isinstance(state, dict):
        state = {k: v for k, v in state.items() if not _is_cached(definition, k)}
        state = state or None  # as before anything is computed
    return rebuild, others, state, [None if each is None else [*each] for each in items]


def _is_cached(cls, name) -> bool:
    """Return whether an attribute is computed from the others when it is needed."""
    return isinstance(inspect.getattr_static(cls, name, None), cached_property)


def _describe_function(function, seen=()):
    """Return the code of a function, its defaults and values of outer functions."""
    seen = (*seen, function)
    cells = filter(_is_full, function.__closure__ or ())
    keywords = sorted((function.__kwdefaults__ or {}).items())
    values = [*(function.__defaults__ or ()), *(cell.cell_contents for cell in cells)]
    return (
        _describe(function.__code__),
        [_describe_value(value, seen) for value in values],
        [(name, _describe_value(value, seen)) for name, value in keywords],
    )


def _is_full(cell) -> bool:
    """Return whether a variable of an outer function has a value."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _describe_value(value, seen):
    """Return a value that a function has kept; of other objects, only their class."""
    value = _unwrap(value)
    if _is_plain(value):
        return joblib.hash(value)
    if isinstance(value, partial):
        parts = value.func, *value.args, *value.keywords, *value.keywords.values()
        return [_describe_value(part, seen) for part in parts]
    if isinstance(value, list | tuple):
        return [_describe_value(each, seen) for each in value]
    if inspect.isfunction(value) and value not in seen:
        return value.__qualname__, _describe_function(value, seen)
    definition = _find_definition(value)
    return definition.__module__, definition.__qualname__


def _describe(code):
    """Return the content of a code object, without its place in a file."""
    return code.co_code, code.co_names, [_make_stable(c) for c in code.co_consts]


def _make_stable(constant):
    """Return a constant in a form that is the same in every process."""
    if inspect.iscode(constant):
        return _describe(constant)
    if isinstance(constant, tuple):
        return [_make_stable(item) for item in constant]
    if isinstance(constant, frozenset):  # its order depends on the process
        return sorted(repr(_make_stable(item)) for item in constant)
    return repr(constant)
