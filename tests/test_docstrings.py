"""Docstrings, as tools read them that run no code."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import inspect
import re
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import skinest

FOLDER = Path(skinest.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))

# Parameters that mean something else there, so that their text is one of its own.
OWN_TEXTS = {
    "VGGTransferClassifier": {
        "backbone",
        "image_size",
        "pooling",
        "train_batch_norm",
        "trainable",
        "weights",
    },
    "BottleneckFeatureExtractor": {"batch_size", "memory", "random_state"},
    "BoVWSIFTTransformer": {"memory", "random_state"},
    "UNetSegmenter": {
        "augmentation",
        "batch_size",
        "class_weight",
        "compute_dtype",
        "dropout",
        "epochs",
        "image_size",
        "learning_rate",
        "memory",
        "monitor",
        "n_prediction_views",
        "train_batch_norm",
        "trainable",
        "validation_fraction",
        "weights",
    },
    "ColorPatchDescriptor": {"color"},
}


def estimators():
    names = [name for name in skinest.__all__ if name[0].isupper()]
    kinds = [getattr(skinest, name) for name in names]
    return [kind for kind in kinds if issubclass(kind, BaseEstimator)]


def read_parameters(kind):
    """Return the text of each parameter in the source of a class."""
    (node,) = (
        node
        for node in ast.parse(Path(inspect.getfile(kind)).read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    section = ast.get_docstring(node).split("Parameters\n----------\n")[1]
    section = re.split(r"\n\n\w[\w ]+\n-+\n", section)[0]
    entries = re.findall(r"(?m)^(\w+) : .*\n((?:    .*\n?|\n(?= ))+)", section)
    return {name: " ".join(text.split()) for name, text in entries}


@pytest.mark.parametrize("kind", estimators())
def test_an_estimator_documents_its_parameters_in_its_own_source(kind):
    assert list(read_parameters(kind)) == list(inspect.signature(kind).parameters)


def test_docstrings_are_literal():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(node, "id", getattr(node, "attr", None))
            assert name != "__doc__", path


def test_parameters_of_one_name_have_one_text():
    texts = {kind.__name__: read_parameters(kind) for kind in estimators()}
    shared = {}
    for name, entries in texts.items():
        for parameter in set(entries) - OWN_TEXTS.get(name, set()):
            shared.setdefault(parameter, {})[name] = entries[parameter]
    for parameter, written in shared.items():
        assert len(set(written.values())) == 1, (parameter, written)
    for name, parameters in OWN_TEXTS.items():
        for parameter in parameters:
            others = shared[parameter].values()
            assert texts[name][parameter] not in others, (name, parameter)
