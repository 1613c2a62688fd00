"""Cases of arguments, right and wrong, for the public functions and estimators.

Hypothesis makes them. A call may succeed, or raise an error that names an argument.
Training of networks is replaced: a call that gets there has passed all checks.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
import re
from functools import partial
from unittest import mock

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from imblearn.over_sampling import RandomOverSampler
from sklearn.dummy import DummyClassifier

import skinest
from skinest.datasets import load_image_folder, load_image_table, make_dermoscopy
from skinest.images import check_images, limit_side, list_unreadable, resize
from skinest.inspection import GradCAMDisplay, OcclusionDisplay
from skinest.kernels import chi2_kernel, histogram_intersection_kernel
from skinest.masks import check_masks
from skinest.metrics import dice_score, iou_score, segmentation_report
from tests.fuzz.reporting import Fault, check_message, describe

BLOCK = 50  # cases of one target in a row, from one seed
N_IMAGES = 6
ALLOWED = (ValueError, TypeError, OSError)
DTYPES = st.sampled_from(
    "u1 u2 i1 i4 i8 u8 f2 f4 f8 ? c8 U3 S3 O M8[s] >u2".split()
).map(np.dtype)

# Values of all kinds.

NUMBERS = st.one_of(
    st.integers(-3, 10),
    st.sampled_from([2**31, -(2**63), 10**30, 0.5, 1.0, -1.0, 1e300, 1e-300]),
    st.sampled_from([np.nan, np.inf, -np.inf, np.float32(0.5), np.int64(2)]),
)
SCALARS = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.sampled_from([1j, b"x", object, np.str_("a"), np.datetime64("2020")]),
    st.text(max_size=4),
)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)


@st.composite
def any_array(draw):
    dtype, shape = draw(DTYPES), draw(SHAPES)
    if dtype.kind == "O":
        return np.full(shape, draw(SCALARS), dtype=object)
    seed = draw(st.integers(0, 99))
    values = np.random.default_rng(seed).integers(0, 300, shape)
    return values.astype(dtype)


ANYTHING = st.recursive(
    st.one_of(SCALARS, any_array()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", 0, 1, "rotation"]), inner, max_size=3),
    ),
    max_leaves=6,
)

# Values that are nearly right.


@st.composite
def image_arrays(draw):
    n = draw(st.sampled_from([N_IMAGES, N_IMAGES, N_IMAGES, 1, 0]))
    shape = draw(
        st.sampled_from([(16, 16, 3), (16, 18, 3), (9, 8), (8, 8, 4), (1, 1, 3)])
    )
    dtype = draw(st.sampled_from(["u1", "u1", "u1", "u2", "f4", "i4", "?"]))
    values = np.random.default_rng(draw(st.integers(0, 9))).integers(
        0, 256, (n, *shape)
    )
    images = values / 255 if dtype == "f4" else values
    return images.astype(dtype)


def image_lists(folder):
    paths = [str(path) for path in sorted((folder / "bases").iterdir())]
    some = st.sampled_from([*paths, str(folder), "nowhere.png", "a\0b"])
    return st.one_of(
        image_arrays(),
        image_arrays().map(list),
        st.lists(some, min_size=N_IMAGES, max_size=N_IMAGES),
        st.lists(st.one_of(some, any_array()), max_size=N_IMAGES),
        ANYTHING,
    )


@st.composite
def mask_arrays(draw):
    labels = draw(
        st.sampled_from([[0, 1], [0, 255], [0], [0, 1, 2], [-1, 0], [1, 255]])
    )
    shape = draw(st.sampled_from([(16, 16), (16, 18), (9, 8), (1, 1), (0, 0)]))
    n = draw(st.sampled_from([N_IMAGES, N_IMAGES, N_IMAGES, 1]))
    dtype = draw(st.sampled_from(["u1", "u1", "i4", "f4", "?"]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    return rng.choice(labels, (n, *shape)).astype(dtype)


MASKS = st.one_of(mask_arrays(), mask_arrays().map(list), ANYTHING)
LABELS = st.one_of(
    st.lists(st.sampled_from([0, 1]), min_size=N_IMAGES, max_size=N_IMAGES),
    st.lists(st.sampled_from(["a", "b"]), min_size=N_IMAGES, max_size=N_IMAGES),
    st.just(["a", "b"] * (N_IMAGES // 2)),
    st.lists(SCALARS, min_size=N_IMAGES, max_size=N_IMAGES),
    ANYTHING,
)
WEIGHTS = st.one_of(
    st.none(),
    st.lists(NUMBERS, min_size=N_IMAGES, max_size=N_IMAGES),
    st.just(np.ones(N_IMAGES)),
    ANYTHING,
)


@st.composite
def settings_of(draw, function, base):
    """Draw the arguments of a function: the base, one or two of them replaced."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    replaced = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    return {**base, **{name: draw(st.one_of(SCALARS, ANYTHING)) for name in replaced}}


def leave_out_harmless(settings):
    """Remove what any text is right for, a folder, and what prints lines."""
    for name in ("memory", "verbose"):
        settings.pop(name, None)


def name_all(function, given):
    """Return all arguments of a function, so that an error may name any of them."""
    return {**dict.fromkeys(inspect.signature(function).parameters), **given}


class Reached(Exception):
    """Training begins."""


def reach(*arguments, **options):
    raise Reached


# Each target draws arguments and returns them by name, and a function without any.


def read_images(draw, folder):
    X, y = draw(image_lists(folder)), draw(st.one_of(st.none(), LABELS))
    name = draw(st.sampled_from(["X", "X_val"]))

    def call():
        images = check_images(X, y, name=name)
        for index, image in enumerate(images):
            if image.dtype != np.uint8 or image.shape[2:] != (3,):
                raise Fault(f"an image of shape {image.shape} and type {image.dtype}")
            images.key(index)

    return {name: X, "y": y}, call


def read_masks(draw, folder):
    y = draw(MASKS)
    return {"y": y}, lambda: [mask.shape for mask in check_masks(y)]


def list_files(draw, folder):
    paths = draw(st.lists(st.one_of(st.text(max_size=5), SCALARS), max_size=4))
    return {"paths": paths}, lambda: list_unreadable(paths)


def change_size(draw, folder):
    image = draw(image_arrays())
    image = image[0] if len(image) else np.zeros((0, 4, 3), np.uint8)
    size = draw(st.one_of(st.tuples(NUMBERS, NUMBERS), SCALARS))
    side = draw(st.one_of(st.none(), SCALARS))

    def call():
        resize(image, size)
        limit_side(image, side)

    return {"image": image, "size": size, "max_side": side}, call


def score_masks(draw, folder):
    function = draw(st.sampled_from([dice_score, iou_score, segmentation_report]))
    y_true = draw(MASKS)
    y_pred = draw(st.one_of(st.just(y_true), MASKS))
    base = {"y_true": y_true, "y_pred": y_pred}
    given = draw(settings_of(function, base))
    return given, partial(function, **given)


def compute_kernels(draw, folder):
    kernel = draw(st.sampled_from([chi2_kernel, histogram_intersection_kernel]))
    table = st.one_of(st.just(np.full((3, 4), 0.25)), any_array(), ANYTHING)
    X, Y = draw(table), draw(st.one_of(st.none(), table))
    return {"X": X, "Y": Y}, lambda: kernel(X, Y)


def augment(draw, folder):
    given = draw(settings_of(skinest.Augmentation, {}))
    image = draw(st.one_of(image_arrays().filter(len).map(lambda X: X[0]), any_array()))
    mask = draw(st.one_of(st.none(), mask_arrays().map(lambda y: y[0]), any_array()))
    state = draw(st.one_of(st.just(np.random.default_rng(0)), SCALARS))
    names = {**given, "image": image, "mask": mask, "random_state": state}
    return names, lambda: skinest.Augmentation(**given)(image, state, mask=mask)


def resample(draw, folder):
    X, y = draw(image_lists(folder)), draw(st.one_of(LABELS, MASKS))
    given = draw(settings_of(skinest.ImageResampler, {"sampler": RandomOverSampler()}))
    names = {"X": X, "y": y, **given}
    return names, lambda: skinest.ImageResampler(**given).fit_resample(X, y)


def fit_words(draw, folder):
    X, y = draw(image_lists(folder)), draw(st.one_of(st.none(), LABELS))
    base = {"n_words": 3, "max_descriptors": 500, "random_state": 0}
    given = draw(settings_of(skinest.BoVWSIFTTransformer, base))
    leave_out_harmless(given)
    names = {"X": X, "y": y, **given}
    return names, lambda: skinest.BoVWSIFTTransformer(**given).fit_transform(X, y)


def fit_descriptor(draw, folder):
    kind = draw(st.sampled_from([skinest.SIFTDescriptor, skinest.ColorPatchDescriptor]))
    given = draw(settings_of(kind, {}))
    image = draw(image_arrays().filter(len).map(lambda X: X[0]))
    bovw = partial(skinest.BoVWSIFTTransformer, 2, random_state=0)
    names = {"descriptor": kind, "X": image, **given}
    return names, lambda: bovw(descriptor=kind(**given)).fit([image] * 3)


def fit_classifier(draw, folder):
    settings = {"backbone": "mobilenetv2", "weights": None, "image_size": (32, 32)}
    y = draw(st.sampled_from([[0, 1] * 3, ["a", "b"] * 3, list("abcabc"), [True] * 6]))
    return call_fit(draw, skinest.TransferClassifier, settings, folder, y)


def fit_segmenter(draw, folder):
    settings = {"depth": 1, "base_filters": 1, "image_size": (16, 16)}
    y = draw(mask_arrays())
    return call_fit(draw, skinest.UNetSegmenter, settings, folder, y)


def call_fit(draw, kind, settings, folder, y):
    """Draw settings and data, most of them right, and up to two wrong ones."""
    X = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 16, 16, 3), dtype=np.uint8)
    fraction = draw(st.sampled_from([None, None, 0.3, 0.5]))
    settings = {**settings, "validation_fraction": fraction}
    data = {"X": X, "y": y}
    right = {
        "sample_weight": np.ones(N_IMAGES),
        "groups": [0, 0, 1, 1, 2, 3],
        "X_val": X[:4],
        "y_val": y[:4],
    }
    for name in draw(st.sets(st.sampled_from(sorted(right)), max_size=2)):
        data[name] = right[name]
    wrong = {
        "X": image_lists(folder),
        "y": st.one_of(LABELS, MASKS),
        "sample_weight": WEIGHTS,
        "groups": LABELS,
        "X_val": image_lists(folder),
        "y_val": st.one_of(LABELS, MASKS),
    }
    names = [*inspect.signature(kind).parameters, *wrong, *wrong]
    for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
        chosen = data if name in wrong else settings
        chosen[name] = draw(wrong.get(name, st.one_of(SCALARS, ANYTHING)))
    leave_out_harmless(settings)
    call = partial(kind, **settings)
    return {**data, **settings}, lambda: call().fit(**data)


def find_in_a_folder(draw, folder):
    base = {"container_path": str(folder)}
    given = draw(settings_of(load_image_folder, base))
    names = {**name_all(load_image_folder, given), "folder": None}
    return names, partial(load_image_folder, **given)


def find_in_a_table(draw, folder):
    import pandas as pd

    names = [path.stem for path in sorted((folder / "bases").iterdir())]
    cells = st.one_of(st.sampled_from(names), SCALARS)
    rows = draw(st.lists(st.tuples(cells, SCALARS, SCALARS), max_size=5))
    frame = pd.DataFrame(rows, columns=["name", "dx", "lesion"])
    base = {
        "table": frame,
        "folder": str(folder / "bases"),
        "name_column": "name",
        "target_column": "dx",
        "group_column": draw(st.sampled_from([None, "lesion"])),
    }
    given = draw(settings_of(load_image_table, base))
    return name_all(load_image_table, given), partial(load_image_table, **given)


def make_images(draw, folder):
    base = {"n_images": 3, "image_size": (32, 32)}
    given = draw(settings_of(make_dermoscopy, base))
    return given, partial(make_dermoscopy, **given)


def show_maps(draw, folder):
    images = draw(image_arrays())[:1]
    maps = draw(st.one_of(st.just(np.ones((1, 2, 2))), ANYTHING))
    titles = draw(st.one_of(st.none(), ANYTHING))
    names = {"images": images, "maps": maps, "titles": titles}

    def call():
        import matplotlib.pyplot as plt

        try:
            GradCAMDisplay.from_maps(images, maps, titles=titles)
        finally:
            plt.close("all")

    return names, call


def hide_patches(draw, folder):
    images = draw(image_arrays())[:1]
    names = "target", "patch_size", "stride", "fill", "response_method", "batch_size"
    replaced = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    given = {"X": images, **{name: draw(ANYTHING) for name in replaced}}
    classifier = DummyClassifier().fit(np.zeros((2, 1)), [0, 1])

    def call():
        import matplotlib.pyplot as plt

        try:
            OcclusionDisplay.from_estimator(classifier, **given)
        finally:
            plt.close("all")

    return given, call


TARGETS = (
    read_images,
    read_masks,
    score_masks,
    fit_classifier,
    fit_segmenter,
    resample,
    augment,
    fit_words,
    change_size,
    compute_kernels,
    find_in_a_table,
    list_files,
    fit_descriptor,
    find_in_a_folder,
    make_images,
    show_maps,
    hide_patches,
)


def run(reporter, numbers, folder, seed):
    replace_training()
    reporter.n_printed = reporter.count_printed()  # by TensorFlow, when it is imported
    first = numbers.start // BLOCK
    for block in range(first, -(-numbers.stop // BLOCK)):
        run_block(reporter, numbers, folder, block, int(seed))


def replace_training():
    import keras
    import matplotlib

    from skinest.classification import _transfer_classifier
    from skinest.segmentation import _train_segmenter

    keras.ops.zeros(1)  # TensorFlow prints at its first operation
    matplotlib.use("agg")
    # An error if they no longer exist.
    mock.patch.object(_transfer_classifier, "start_network", reach).start()
    mock.patch.object(_train_segmenter, "train_network", reach).start()


def run_block(reporter, numbers, folder, block, seed):
    """Run the cases of a block, from its own seed, that are among the numbers."""
    target = TARGETS[block % len(TARGETS)]
    case = iter(range(block * BLOCK, (block + 1) * BLOCK))

    @hypothesis.seed(1_000_000 * seed + block)
    @hypothesis.settings(
        max_examples=BLOCK,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.data())
    def run_example(data):
        names, call = target(data.draw, folder)
        number = next(case, None)
        if number in numbers:
            about = describe_call(names, target.__name__, "")
            reporter.run(number, check, names, call, target.__name__, about=about)

    run_example()


def check(names, call, target, warned):
    """Call a function; an error or a warning must name one of its arguments."""
    try:
        call()
        result = "result"
    except Reached:
        result = "ready to train"
    except Fault as fault:
        raise Fault(describe_call(names, target, fault)) from None
    except ALLOWED as error:
        result = "error"
        try:
            check_names(error, names)
        except Fault as fault:
            raise Fault(describe_call(names, target, fault)) from error
    except Exception as error:
        raise Fault(describe_call(names, target, describe(error))) from error
    for warning in warned:
        text = f"{warning.category.__name__}: {warning.message}"
        if not issubclass(warning.category, (UserWarning, FutureWarning)):
            raise Fault(describe_call(names, target, text))
    return result


def check_names(error, names):
    words = re.findall(r"\w+", str(error))
    check_message(error, *(set(words) & set(names)))


def describe_call(names, target, fault):
    given = ", ".join(f"{name}={value!r:.150}" for name, value in names.items())
    return f"{target}: {str(fault)[:600]} | {given[:900]}"
