"""Files of fitted networks, for use without skinest.

The method `export` of a fitted :class:`~skinest.TransferClassifier`,
:class:`~skinest.VGGTransferClassifier` or :class:`~skinest.UNetSegmenter` writes the
network with its preprocessing in one of four formats, see :doc:`/guide/export`. The
metadata in the file say how images are resized for the network, and what its outputs
mean.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._compat import preserved_random_state
from .utils._places import check_free, check_replaceable, find_place, make_absolute

if TYPE_CHECKING:
    from ._typing import PathLike

__all__ = ["read_metadata"]

_VERSION = 1  # of the metadata
_NAME = "skinest"  # of the metadata in a file
_MEMBER = f"{_NAME}.json"
# TensorFlow keeps files in this folder of a SavedModel, and does not read them.
_FOLDER = "assets.extra"
_SAVED_MODEL = "saved_model.pb"
_INPUT, _OUTPUT = "images", "probabilities"
_CANNOT_CONVERT = (
    "The network has a layer that cannot be converted to ONNX ({}). Export it to "
    "another format."
)
_LOGGERS = ("absl", "tensorflow", "tf2onnx")


def read_metadata(path: PathLike) -> dict[str, Any]:
    """Read the metadata of an exported network.

    Parameters
    ----------
    path : str or path
        File or folder that `export` of a fitted estimator has written.

    Returns
    -------
    metadata : dict
        What :doc:`/guide/export` lists, such as "classes" and "image_size".

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ImportError
        If `path` ends in ".onnx", and the extra `onnx` of skinest is not installed.
    ValueError
        If the path has another ending than exported networks, or the file has no
        metadata of skinest.

    See Also
    --------
    skinest.TransferClassifier.export : Write a fitted network to a file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skinest import UNetSegmenter
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.export import read_metadata
    >>> images, masks = make_dermoscopy(
    ...     4, task="lesion", image_size=(32, 32), random_state=0, return_X_y=True
    ... )
    >>> segmenter = UNetSegmenter(
    ...     depth=1, base_filters=2, image_size=(32, 32), epochs=1, random_state=0
    ... ).fit(images, masks)
    >>> with TemporaryDirectory() as folder:
    ...     segmenter.export(f"{folder}/lesions.keras")
    ...     metadata = read_metadata(f"{folder}/lesions.keras")
    >>> metadata["classes"], metadata["threshold"]
    ([0, 255], 0.5)
    """
    file = make_absolute(path)
    form = _find_format(file)
    if not file.exists():
        raise FileNotFoundError(f"path={str(file)!r} does not exist.")
    form.check_extra()
    has_right_kind = file.is_dir() == (not file.suffix)
    text = form.read(file) if has_right_kind else None
    if text is None:
        raise ValueError(
            f"path={str(file)!r} has no metadata of skinest. Pass a file or folder "
            "that `export` of a fitted estimator has written."
        )
    return json.loads(text)


def export_network(estimator, build, path, *, overwrite, **metadata):
    """Write a network and its metadata.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator, which has `classes_`.

    build : callable
        Function without arguments that returns a Keras model from images to a sigmoid
        or softmax.

    path : str or path
        The file or folder to write. Its ending is the format.

    overwrite : bool
        Whether to replace a file or folder that exists.

    **metadata : object
        More metadata, which JSON can express.

    Raises
    ------
    FileExistsError, FileNotFoundError, ImportError, RuntimeError, ValueError
        If the file cannot be written. Only layers that cannot be converted are found
        after the network was built.
    """
    form = _find_format(make_absolute(path))
    file = _check_place(path, overwrite)
    form.check_backend()
    form.check_extra()
    classes = estimator.classes_.tolist()
    description = {
        "format_version": _VERSION,
        "skinest_version": version("skinest"),
        "estimator": type(estimator).__name__,
        **metadata,
        "classes": classes,
        "input_name": _INPUT,
        "color_order": "RGB",
        "value_range": [0, 255],
        "output_name": _OUTPUT,
    }
    text = json.dumps(description, indent=1)
    # In the same folder, so that it can be moved to its place in one step.
    scratch = Path(tempfile.mkdtemp(prefix=f".{file.name}-", dir=file.parent))
    try:
        with preserved_random_state(), _quiet():
            from .networks._portable import fix_for_predictions

            network = fix_for_predictions(_add_columns(build(), len(classes)))
            form.write(network, scratch / file.name, text)
        _move(scratch / file.name, file)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(new, file):
    """Move a file or folder to its place; a folder there goes to the scratch folder."""
    old = new.with_name(f"{new.name}-replaced")
    if file.is_dir():
        os.replace(file, old)
    try:
        os.replace(new, file)
    except OSError:
        if old.exists():
            os.replace(old, file)
        raise


def _check_place(path, overwrite) -> Path:
    """Return the file or folder to write, or raise an error if it cannot be written."""
    file = make_absolute(path)
    # TensorFlow looks for files of this name as a pattern.
    if not file.suffix and not fnmatchcase(str(file), str(file)):
        raise ValueError(
            f"path={str(file)!r} has brackets, so TensorFlow could not load a "
            "SavedModel from there. Choose another path or format."
        )
    file = find_place(path)
    if file.suffix:
        check_free(file, overwrite)
        return file
    check_replaceable(file, overwrite)
    if file.exists() and not (file.is_dir() and _can_replace(file)):
        raise FileExistsError(
            f"{str(file)!r} exists, but is not an exported network. Remove it "
            "yourself, or pass another path."
        )
    return file


def _can_replace(folder) -> bool:
    """Return whether a folder is a SavedModel or empty; others are never removed."""
    return (folder / _SAVED_MODEL).is_file() or not any(folder.iterdir())


@contextmanager
def _quiet():
    """Hide notes of TensorFlow and tf2onnx about their own steps."""
    loggers = list(map(logging.getLogger, _LOGGERS))
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _add_columns(network, n_classes):
    """Return a network with one output per class, as in `predict_proba`."""
    import keras

    # Names that no network has, because Keras would give them those of its layers.
    outputs = network.output
    if n_classes == 1:
        outputs = keras.layers.Rescaling(
            0, offset=1, dtype="float32", name="probability_of_the_class"
        )(outputs)
    if n_classes == 2:
        others = keras.layers.Rescaling(
            -1, offset=1, dtype="float32", name="probability_of_the_first_class"
        )(outputs)
        outputs = keras.layers.Concatenate(
            dtype="float32", name="probabilities_of_both_classes"
        )([others, outputs])
    return keras.Model(network.input, outputs, name=network.name)


def _write_keras(network, path, text):
    network.save(str(path))
    _append(path, text)


def _write_saved_model(network, path, text):
    import keras

    from .networks._portable import make_portable

    network = make_portable(network)
    named = keras.Model(network.input, {_OUTPUT: network.output})
    signature = [keras.InputSpec("float32", network.input_shape, name=_INPUT)]
    named.export(str(path), verbose=False, input_signature=signature)
    (path / _FOLDER).mkdir()
    (path / _FOLDER / _MEMBER).write_text(text, encoding="utf-8")


def _write_onnx(network, path, text):
    import onnx
    import tensorflow as tf
    import tf2onnx

    from .networks._portable import make_portable

    network = make_portable(network)
    # Keras does the same, but changes NumPy for versions of tf2onnx before 1.17.
    signature = [tf.TensorSpec(network.input_shape, tf.float32, name=_INPUT)]
    run = tf.function(lambda images: {_OUTPUT: network(images)}, autograph=False)
    model, _ = tf2onnx.convert.from_function(run, signature)
    # tf2onnx raises no error for what it cannot convert, and writes it as it is.
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = str(error).partition("\n")[0]
        raise RuntimeError(_CANNOT_CONVERT.format(reason)) from error
    extra = [entry.name for entry in model.graph.input if entry.name != _INPUT]
    if extra:
        raise RuntimeError(_CANNOT_CONVERT.format(f"it would need the inputs {extra}"))
    model.metadata_props.add(key=_NAME, value=text)
    onnx.save(model, path)


def _write_tflite(network, path, text):
    import tensorflow as tf

    # Not beside the file, because TensorFlow takes "[" in a path for a pattern.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as parent:
        folder = Path(parent, "saved_model")
        _write_saved_model(network, folder, text)
        # Keras 3.12 cannot export to this format; later versions do the same.
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        path.write_bytes(converter.convert())
    _append(path, text)


def _append(path, text):
    """Add the metadata to a zip; the zip of a .tflite file begins after the network."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_MEMBER, text)


def _read_zip(path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(_MEMBER).decode()
    except (KeyError, zipfile.BadZipFile):
        return None


def _read_saved_model(path) -> str | None:
    try:
        return (path / _FOLDER / _MEMBER).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _read_onnx(path) -> str | None:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # a DecodeError of protobuf: the file is of another format
        return None
    found = [entry.value for entry in model.metadata_props if entry.key == _NAME]
    return found[0] if found else None


@dataclass(frozen=True)
class _Format:
    """A format of files.

    Parameters
    ----------
    ending : str
        The ending of its paths.

    write : callable
        Function of a Keras model, a path and the metadata.

    read : callable
        Function from a path to the metadata, or to None if there are none.

    extra : str, default=""
        The extra of skinest that it needs.

    packages : tuple of str, default=()
        The packages of the extra.
    """

    ending: str
    write: Callable
    read: Callable
    extra: str = ""
    packages: tuple[str, ...] = ()

    def check_extra(self):
        """Raise ImportError if a package is missing."""
        missing = [name for name in self.packages if not _is_installed(name)]
        if missing:
            raise ImportError(
                f"Files that end in {self.ending!r} need {' and '.join(missing)}, "
                f"which this Python lacks. Run: pip install 'skinest[{self.extra}]'"
            )

    def check_backend(self):
        """Raise RuntimeError if Keras does not run on TensorFlow, but has to."""
        import keras

        backend = keras.backend.backend()
        if self.ending != ".keras" and backend != "tensorflow":
            raise RuntimeError(
                "Only '.keras' files can be written while Keras runs on "
                f"{backend}. Pickle the estimator, and export it in a process with the "
                "environment variable KERAS_BACKEND=tensorflow."
            )


def _is_installed(package) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # None in sys.modules
        return False


_FORMATS = {
    form.ending: form
    for form in (
        _Format(".keras", _write_keras, _read_zip),
        _Format("", _write_saved_model, _read_saved_model),
        _Format(".onnx", _write_onnx, _read_onnx, "onnx", ("tf2onnx", "onnx")),
        _Format(".tflite", _write_tflite, _read_zip),
    )
}


def _find_format(file) -> _Format:
    if file.suffix not in _FORMATS:
        raise ValueError(
            f"path={str(file)!r} must end in '.keras', '.onnx' or '.tflite', or have "
            "no ending, for a folder in TensorFlow's SavedModel format."
        )
    return _FORMATS[file.suffix]
