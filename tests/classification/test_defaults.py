"""Default settings of transfer classifiers, and those of the study."""

import doctest
import inspect

import pytest

from skinest import (
    BottleneckFeatureExtractor,
    TransferClassifier,
    VGGTransferClassifier,
)
from skinest.networks import build_transfer_network


def defaults_of(function):
    parameters = inspect.signature(function).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


@pytest.mark.parametrize(
    "other", [VGGTransferClassifier, build_transfer_network, BottleneckFeatureExtractor]
)
def test_defaults_are_the_same_everywhere(other):
    names = ("backbone", "weights", "hidden_units", "pooling", "dropout", "l2")
    expected, found = defaults_of(TransferClassifier), defaults_of(other)
    shared = [name for name in names if name in found]
    assert {"backbone", "weights", "pooling"} <= set(shared)
    for name in shared:
        assert found[name] == expected[name], name


def test_documented_call_of_the_study_has_its_number_of_parameters():
    namespace = {}
    parser = doctest.DocTestParser()
    for example in parser.get_examples(inspect.getdoc(VGGTransferClassifier)):
        exec(example.source, namespace)
        if "study" in namespace:
            break
    study = namespace["study"]
    assert (study.epochs, study.learning_rate) == (50, 1e-4)
    head = {name: getattr(study, name) for name in ("hidden_units", "pooling")}
    model = build_transfer_network(study.backbone, weights=None, **head)
    assert model.count_params() == 27_560_769
