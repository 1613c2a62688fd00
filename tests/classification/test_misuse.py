"""Wrong arguments: errors that name them, before any image is read."""

import keras
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skinest import TransferClassifier, VGGTransferClassifier

from .conftest import small

Y = [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.fixture
def unread(tmp_path):
    """Write eight files that pass for images until one of them is read."""
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for path in paths:
        path.write_text("not an image")
    return paths


class Incomplete(keras.optimizers.schedules.LearningRateSchedule):
    """Its configuration leaves an argument out."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate

    def get_config(self):
        return {}


def check_error(paths, settings, arguments, match, error=ValueError):
    clf = small(**settings)
    with pytest.raises(error, match=match) as raised:
        clf.fit(paths, **{"y": Y, **arguments})
    assert ".png" not in str(raised.value), "a file has been read"
    assert not hasattr(clf, "classes_")


def test_a_backend_that_cannot_train_is_refused(unread, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    says = "Keras cannot train on its backend 'numpy'"
    check_error(unread, {}, {}, says, NotImplementedError)


def test_files_are_read_where_all_is_right(unread):
    with pytest.raises(ValueError, match=r"X\[\d\]: .*\.png"):
        small().fit(unread, Y)


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"backbone": "resnet"}, "'backbone' parameter"),
        ({"trainable": "block5"}, "trainable='block5' is not a part of tiny"),
        ({"fine_tune": "conv"}, "fine_tune='conv' is not a part of .* head, stage5"),
        ({"trainable": None}, "'trainable' parameter"),
        ({"image_size": 64}, "'image_size' parameter"),
        ({"image_size": (64,)}, r"image_size=\(64,\) must be"),
        ({"image_size": (64.0, 64.0)}, r"image_size=\(64.0, 64.0\) must be"),
        ({"image_size": (16, 64)}, r"image_size=\(16, 64\).* 32 pixels"),
        ({"hidden_units": 8}, "'hidden_units' parameter"),
        ({"hidden_units": (8, 0)}, r"hidden_units=\(8, 0\)"),
        ({"hidden_units": (8.5,)}, r"hidden_units=\(8.5,\)"),
        ({"hidden_units": (True,)}, r"hidden_units=\(True,\)"),
        ({"pooling": "mean"}, "'pooling' parameter"),
        ({"dropout": 1}, "'dropout' parameter"),
        ({"l2": -1}, "'l2' parameter"),
        ({"epochs": 0}, "'epochs' parameter"),
        ({"learning_rate": 0}, "'learning_rate' parameter"),
        ({"learning_rate": keras.layers.Dense(3)}, "learning_rate=<Dense.*schedules"),
        (
            {"fine_tune_learning_rate": Incomplete(0.1)},
            "rebuilt .*a get_config",
        ),
        (
            {"optimizer": "lossscaleoptimizer"},
            "'lossscaleoptimizer' is not an optimizer",
        ),
        ({"fine_tune_learning_rate": -1.0}, "'fine_tune_learning_rate' parameter"),
        (
            {"fine_tune_learning_rate": keras.layers.Dense(3)},
            "fine_tune_learning_rate=<Dense.*schedules",
        ),
        ({"optimizer": "adamm"}, "optimizer.*adamm"),
        ({"optimizer": None}, "'optimizer' parameter"),
        ({"class_weight": "balance"}, "'class_weight' parameter"),
        ({"class_weight": {0: 1}}, r"class_weight has \[0\].*\[1\] is missing"),
        ({"class_weight": {0: 1, 1: 1, 2: 1}}, r"class_weight.*\[2\] is not in y"),
        ({"class_weight": {"0": 1, "1": 1}}, r"class_weight.*\[0, 1\] is missing"),
        ({"class_weight": {0: -1, 1: 1}}, "class_weight=.*0 or more"),
        ({"class_weight": {0: np.nan, 1: 1}}, "class_weight=.*finite"),
        ({"class_weight": {0: "1", 1: 1}}, "class_weight=.*numbers"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"validation_fraction": 0.1}, "validation_fraction=0.1 of 8 images gives 1"),
        ({"validation_fraction": 0.9}, "validation_fraction=0.9 .* 0 for training"),
        ({"early_stopping": True}, "validation_fraction=0.1 of 8 images gives 1"),
        ({"early_stopping": True, "monitor": "f1"}, "monitor='f1'"),
        ({"early_stopping": True, "monitor": "val_val_loss"}, "monitor='val_val"),
        ({"keras_callbacks": [print]}, "keras_callbacks has .*print"),
        ({"keras_callbacks": print}, "'keras_callbacks' parameter"),
        ({"checkpoint": 1}, "'checkpoint' parameter"),
        ({"augmentation": 3}, "'augmentation' parameter"),
        ({"n_prediction_views": 3}, r"'n_prediction_views' .*\{1, 2, 4, 8\}"),
        ({"weights": 3}, "'weights' parameter"),
        ({"compute_dtype": "float16"}, "'compute_dtype' parameter"),
        ({"random_state": "0"}, "'random_state' parameter"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_settings(settings, match, unread):
    check_error(unread, settings, {}, match)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"y": None}, "y is None"),
        ({"y": [0] * 8}, "y holds one class only, 0, in 8 images"),
        ({"y": ["a"] * 8}, "y holds one class only, 'a', in 8 images"),
        ({"y": Y[:-1]}, "X has 8 images, but y has 7"),
        ({"y": np.linspace(0, 1, 8)}, "Unknown label type: continuous"),
        ({"y": np.zeros((8, 2))}, "y should be a 1d array"),
        ({"y": np.zeros((8, 1, 1))}, "y: Found array with dim 3"),
        ({"y": [0, 1, 0, np.inf] * 2}, "y contains infinity, at position 3"),
        ({"y": [0, 1, np.nan] + [1.0] * 5}, "y contains NaN"),
        ({"y": ["a", "b", None] + ["a"] * 5}, "y mixes values of types NoneType, str"),
        ({"y": ["a", "b", np.nan] + ["a"] * 5}, "y mixes values of types float, str"),
        (
            {"y": np.array(["a", "b", 1] + ["a"] * 5, dtype=object)},
            "y mixes values of types int, str",
        ),
        ({"sample_weight": [1] * 7}, "sample_weight.*7"),
        ({"sample_weight": [-1] + [1] * 7}, "Negative values .*sample_weight"),
        ({"sample_weight": [np.nan] + [1] * 7}, "sample_weight contains NaN"),
        ({"sample_weight": [0] * 8}, "sample_weight is 0"),
        ({"sample_weight": [1e300] + [1] * 7}, "up to 1e.300.*Divide .* mean"),
        ({"groups": [1] * 7}, "groups has 7 entries, .* 8 images"),
        ({"groups": ["a", None] * 4}, "groups mixes values of types NoneType, str"),
        ({"X_val": np.zeros((2, 32, 32))}, "Pass both X_val and y_val"),
        ({"y_val": [0, 1]}, "Pass both X_val and y_val"),
        (
            {"X_val": np.zeros((2, 32, 32)), "y_val": [0, 1, 1]},
            "X_val has 2 images, but y_val has 3",
        ),
        (
            {"X_val": np.full((2, 32, 32), 7.0), "y_val": [0, 1]},
            r"X_val\[0\] .*255",
        ),
        (
            {"X_val": np.zeros((2, 32, 32)), "y_val": [0, 2]},
            r"y_val has the labels \[2\], but the training images have \[0, 1\] only",
        ),
        (
            {"X_val": np.zeros((2, 32, 32)), "y_val": ["0", "1"]},
            r"y_val has the labels \['0', '1'\]",
        ),
        (
            {"X_val": np.zeros((2, 32, 32)), "y_val": [0, np.nan]},
            "y_val contains NaN, at position 1",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_wrong_arguments_of_fit(arguments, match, unread):
    check_error(unread, {}, arguments, match)


def test_images_that_all_weigh_nothing(unread):
    settings = {"class_weight": {0: 0, 1: 1}}
    arguments = {"sample_weight": [1] * 4 + [0] * 4}
    check_error(unread, settings, arguments, "training images have the weight 0")


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"y": ["a"] * 7 + ["rare"]}, r"y has only one image of \['rare'\]"),
        ({"groups": [1, 2, 3, np.nan] * 2}, "groups contains NaN"),
        ({"groups": [1] * 8}, "validation_fraction=0.5 needs two groups"),
        ({"groups": Y}, "validation_fraction=0.5: no split by groups"),
    ],
)
def test_what_cannot_be_held_out(arguments, match, unread):
    check_error(unread, {"validation_fraction": 0.5}, arguments, match)


def test_classes_of_one_image_train_where_nothing_is_held_out(images):
    clf = small(epochs=1).fit(images, ["a"] * 10 + ["b", "c"])
    assert clf.predict_proba(images).shape == (12, 3)


def test_no_file_of_weights(unread, tmp_path):
    missing = tmp_path / "vgg16.weights.h5"
    for weights in (missing, str(missing), "Imagenet"):
        name = "Imagenet" if weights == "Imagenet" else "vgg16.weights.h5"
        check_error(
            unread, {"weights": weights}, {}, f"weights=.*{name}", FileNotFoundError
        )


def test_no_file_of_validation_images(unread):
    arguments = {"X_val": ["/no/image.jpg"] * 2, "y_val": [0, 1]}
    match = r"2 of 2 paths .*X_val\[0\]: '/no/image.jpg'"
    check_error(unread, {}, arguments, match, FileNotFoundError)


def test_validation_image_that_cannot_be_decoded(tmp_path):
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    X = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    clf = VGGTransferClassifier(weights=None, image_size=(32, 32), epochs=1)
    with pytest.raises(ValueError, match=r"X_val\[0\]: .*text\.jpg"):
        clf.fit(X, [0, 1] * 4, X_val=[str(path)], y_val=[1])


def test_augmentation_that_is_a_class(unread):
    from skinest.augmentation import Augmentation

    settings = {"augmentation": Augmentation}
    check_error(unread, settings, {}, "augmentation=Augmentation is a class", TypeError)


def test_vgg_classifier_is_of_vgg_alone(unread):
    with pytest.raises(ValueError, match="'backbone' parameter"):
        VGGTransferClassifier("mobilenetv2", weights=None).fit(unread, Y)
    with pytest.raises(ValueError, match="fine_tune='Conv_1' is not a part of vgg19"):
        VGGTransferClassifier("vgg19", fine_tune="Conv_1").fit(unread, Y)


@pytest.mark.parametrize("cls", [TransferClassifier, VGGTransferClassifier])
def test_nothing_is_there_before_fit(cls, images, tmp_path):
    clf = cls()
    for call in (
        lambda: clf.predict(images),
        lambda: clf.predict_proba(images),
        lambda: clf.model_,
        lambda: clf.save_backbone(tmp_path / "name.weights.h5"),
    ):
        with pytest.raises(NotFittedError):
            call()
