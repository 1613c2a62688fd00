"""What the cache of visual words notices: one row for each kind of change.

Before and after the change, the row runs in different processes. What is expected:

- anew: computed again, and the result differs;
- alike: computed again, and the result may be the same;
- served: read from the cache;
- warned: computed in each run, and a warning says so;
- refused: an error;
- stale: an old result is served, which the guide warns of.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import shutil
from functools import partial
from importlib import metadata
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.cluster import KMeans

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor, _identity
from skinest.images import check_images
from tests.cache_rows import check_row, make_images, run_in_two_processes
from tests.own_code import KINDS, MODULE, NOTICED, OWN_CODE

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "scaling.rst"

GRID = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))


def bovw(descriptor=GRID, **settings):
    settings = {"n_words": 3, "random_state": 0, **settings}
    return BoVWSIFTTransformer(descriptor=descriptor, **settings)


# The user's own code ---------------------------------------------------------------


def change_own_code(run, body, versions=None):
    """Return a descriptor of the user whose code differs after the change."""
    source = MODULE + body.replace("{power}", str(run.pick(1, 3))) + "\n"
    module = run.write_module(source)
    if versions is not None:
        versioned = getattr(module, "VERSIONED", module.describe)
        versioned.version = run.pick(*versions)
    return bovw(module.describe), make_images()


# What it depends on is not in its module.


def change_another_module(run, versions=None):
    other = run.write_module(f"POWER = {run.pick(1, 3)}\n", "other")
    body = f"import {other.__name__}\n" + (
        f"def describe(image):\n    return rows(image, {other.__name__}.POWER)\n"
    )
    return change_own_code(run, body, versions)


def change_at_run_time(run, versions=None):
    body = "NUMBER = 1\ndef describe(image):\n    return rows(image, NUMBER)\n"
    estimator, X = change_own_code(run, body, versions)
    estimator.descriptor.__globals__["NUMBER"] = run.pick(1, 3)
    return estimator, X


def change_environment(run, versions=None):
    run.patch.setenv("OWN_POWER", run.pick("1", "3"))
    body = "def describe(image):\n    return rows(image, int(os.environ['OWN_POWER']))"
    return change_own_code(run, body, versions)


def change_own_file(run, versions=None):
    path = run.folder / "power.txt"
    path.write_text(run.pick("1", "3"))
    body = (
        f"def describe(image):\n    return rows(image, int(open({str(path)!r}).read()))"
    )
    return change_own_code(run, body, versions)


def change_module_function(run, versions=None):
    """Replace a function of a library, as a patch of it does."""
    body = "def describe(image):\n    return rows(image, np.i0(0))"
    if run.after:
        run.patch.setattr(np, "i0", lambda number: 3)
    return change_own_code(run, body, versions)


OUTSIDE = {
    "another module": change_another_module,
    "a global at run time": change_at_run_time,
    "an environment variable": change_environment,
    "a file that it reads": change_own_file,
    "a patched library": change_module_function,
}
OWN = {name: partial(change_own_code, body=body) for name, body in OWN_CODE.items()}

# Functions without a name that pickle can find.


def change_lambda(run):
    power = run.pick(1, 3)
    return bovw(lambda image: (image.reshape(-1, 3) / 255.0) ** power), make_images()


def change_closure(run):
    body = (
        "def make(power):\n"
        "    def describe(image):\n        return rows(image, power)\n"
        "    return describe\n"
        "describe = make({power})\n"
    )
    return change_own_code(run, body, versions=(1, 2))


def move_to_worker(run, body):
    """Return a descriptor of a script, which workers cannot import by its name."""
    names = {"__name__": "script"}
    exec(MODULE + body, names)
    return bovw(names["describe"]), make_images()


def set_version(run, version):
    """Return a descriptor with a version that may be invalid."""
    body = (
        "class Describe:\n    version = {version}\n"
        "    def __call__(self, image):\n        return rows(image, 1)\n"
        "describe = Describe()"
    )
    return change_own_code(run, body.replace("{version}", version))


def change_version_alone(run):
    body = "def describe(image):\n    return rows(image, 1)"
    return change_own_code(run, body, versions=(1, "1"))


def move_comments(run):
    comment = run.pick("", "# A comment, and other lines.\n\n")
    body = f"{comment}def describe(image):\n    {comment}    return rows(image, 1)"
    return change_own_code(run, body, versions=(1, 1))


def change_own_clusterer(run, versions):
    source = (
        "from sklearn.cluster import KMeans\n"
        "class Own(KMeans):\n"
        f"    version = {run.pick(*versions)}\n"
        "    def fit(self, X, y=None, sample_weight=None):\n"
        f"        return super().fit(X + {run.pick(0, 9)})\n"
    )
    module = run.write_module(source)
    return bovw(clusterer=module.Own(n_init=1)), make_images()


def change_start_of_clusterer(run):
    """Pass a function as a parameter of a clusterer of scikit-learn."""
    source = (
        "import numpy as np\n"
        "def init(X, n_clusters, random_state):\n"
        f"    return X[{run.pick(0, 5)}:][:n_clusters]\n"
    )
    init = run.write_module(source).init
    return bovw(clusterer=KMeans(init=init, n_init=1, max_iter=1)), make_images()


# Files ------------------------------------------------------------------------------


def replace_file(run, replace):
    """Let an image file be another one of the same size and time of modification."""
    paths = run.write_images() if not run.after else sorted_files(run)
    if run.after:
        before = os.stat(paths[0])
        replace(paths[0], cv2.imread(paths[0])[::-1])
        after = os.stat(paths[0])
        os.utime(paths[0], ns=(before.st_atime_ns, before.st_mtime_ns))
        assert before.st_size == after.st_size
    return bovw(), paths


def sorted_files(run, folder="files"):
    return sorted(map(str, (run.folder / folder).iterdir()))


def write_in_place(path, image):
    with open(path, "r+b") as file:
        file.write(cv2.imencode(".bmp", image)[1].tobytes())


def write_beside(path, image):
    cv2.imwrite(f"{path}.new.bmp", image)
    os.replace(f"{path}.new.bmp", path)


def move_files(run):
    paths = run.write_images() if not run.after else sorted_files(run)
    if run.after:
        for path in paths:
            os.replace(path, f"{path}.moved")
        paths = sorted_files(run)
    return bovw(), paths


def touch_file(run):
    paths = run.write_images() if not run.after else sorted_files(run)
    if run.after:
        os.utime(paths[0], (1, 1))
    return bovw(), paths


def turn_link(run, of_folder):
    """Let a link lead to other files."""
    for seed in (0, 1) if not run.after else ():
        (run.folder / f"set{seed}").mkdir()
        run.write_images(f"set{seed}", seed)
    if of_folder:
        link = run.folder / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(run.folder / run.pick("set0", "set1"))
        return bovw(), sorted_files(run, "link")
    for number in range(4):
        link = run.folder / "files" / f"{number}.bmp"
        link.unlink(missing_ok=True)
        link.symlink_to(run.folder / run.pick("set0", "set1") / link.name)
    return bovw(), sorted_files(run)


def copy_with_times(run):
    """Put copies in the place of files, as `cp -p` and tar do."""
    if not run.after:
        (run.folder / "other").mkdir()
        paths = run.write_images() + run.write_images("other", seed=1)
        for path in paths:
            os.utime(path, (1, 1))
    else:
        for path in sorted_files(run, "other"):
            shutil.copy2(path, run.folder / "files")
    return bovw(), sorted_files(run)


def change_while_checked(run):
    """Replace a file after it was checked."""
    paths = run.write_images()
    images = check_images(paths)
    if run.after:
        bovw(memory=run.folder / "memory").fit_transform(images)
        write_in_place(paths[0], cv2.imread(paths[0])[::-1])
    return bovw(), images


def reverse_files(run):
    paths = run.write_images() if not run.after else sorted_files(run)
    return bovw(), run.pick(paths, paths[::-1])


def name_in_another_way(run):
    paths = run.write_images() if not run.after else sorted_files(run)
    run.patch.chdir(run.folder)
    relative = [Path(path).relative_to(run.folder) for path in paths]
    return bovw(), run.pick(paths, relative)


def change_folder_of_work(run):
    for seed in (0, 1) if not run.after else ():
        (run.folder / f"set{seed}").mkdir()
        run.write_images(f"set{seed}", seed)
    run.patch.chdir(run.folder / run.pick("set0", "set1"))
    return bovw(), [f"{number}.bmp" for number in range(4)]


# Arrays, parameters, versions -------------------------------------------------------


def change_images(run, change):
    images = make_images()
    return bovw(), change(images) if run.after else images


def change_some_pixels(images):
    images[0, 10:30, 10:30] = 255 - images[0, 10:30, 10:30]
    return images


def change_settings(run, before=None, after=None):
    return bovw(**(run.pick(before, after) or {})), make_images()


def change_version(run, module):
    if run.after:
        run.patch.setattr(module, "__version__", "99.0")
    return bovw(), make_images()


def change_installed(run, package):
    known = metadata.version
    if run.after:
        run.patch.setattr(
            metadata, "version", lambda name: "99" if name == package else known(name)
        )
    _identity.find_version.cache_clear()
    return bovw(), make_images()


def settings(after, before=None):
    return partial(change_settings, before=before, after=after)


def another_kind_of_memory(run):
    """Name the same folder by a Memory; the runner uses a path."""
    estimator, X = bovw(), make_images()
    if run.after:
        memory = joblib.Memory(str(run.folder / "memory"), verbose=0)
        bovw(memory=memory).fit_transform(X)
    return estimator, X


def list_own_rows(names):
    """Return two rows for each; test_cache_changes_of_own_code.py has the others."""
    rows = {}
    for name in names:
        rows[f"own code, no version: {name}"] = OWN[name], "warned"
        make = partial(OWN[name], versions=(1, 2))
        rows[f"own code, new version: {name}"] = make, "anew"
    return rows


ROWS = {
    **list_own_rows(KINDS),
    **{f"no version: {name}": (make, "warned") for name, make in OUTSIDE.items()},
    **{
        f"new version: {name}": (partial(make, versions=("a", "b")), "anew")
        for name, make in OUTSIDE.items()
    },
    **{
        f"a forgotten version: {name}": (partial(OWN[name], versions=(1, 1)), "anew")
        for name in NOTICED
    },
    "a forgotten version: a helper": (
        partial(OWN["a helper"], versions=(1, 1)),
        "stale",
    ),
    "a lambda": (change_lambda, "warned"),
    "a function in a function, with a version": (change_closure, "warned"),
    "a version that is None": (partial(set_version, version="None"), "warned"),
    "a version that is a list": (partial(set_version, version="[1]"), "refused"),
    "a version that is a dict": (partial(set_version, version="{}"), "refused"),
    "a version that is True": (partial(set_version, version="True"), "refused"),
    "a version that is a method": (
        partial(set_version, version="lambda self: 1"),
        "refused",
    ),
    "a version that is a property": (
        partial(set_version, version="property(lambda self: 1)"),
        "served",
    ),
    "a version that raises an error": (
        partial(set_version, version="property(lambda self: 1 / 0)"),
        "refused",
    ),
    "a version that is a number of NumPy": (
        partial(set_version, version="np.int64(1)"),
        "served",
    ),
    "the type of a version": (change_version_alone, "alike"),
    "comments and lines": (move_comments, "served"),
    "an object of a script": (
        partial(
            move_to_worker,
            body=(
                "class Describe:\n    version, power = 1, 2\n"
                "    def __call__(self, image):\n"
                "        return rows(image, self.power)\n"
                "describe = Describe()\n"
            ),
        ),
        "served",
    ),
    "a function of a script": (
        partial(
            move_to_worker,
            body=(
                "def describe(image):\n    return rows(image, 2)\n"
                "describe.version = 1\n"
            ),
        ),
        "served",
    ),
    "own clusterer, no version": (
        partial(change_own_clusterer, versions=(None, None)),
        "warned",
    ),
    "own clusterer, new version": (
        partial(change_own_clusterer, versions=(1, 2)),
        "anew",
    ),
    "a function in a clusterer": (change_start_of_clusterer, "warned"),
    "a file, in place": (partial(replace_file, replace=write_in_place), "anew"),
    "a file, by another": (partial(replace_file, replace=write_beside), "anew"),
    "files, with their times": (copy_with_times, "anew"),
    "a file after it was checked": (change_while_checked, "anew"),
    "the place of files": (move_files, "alike"),
    "the time of a file": (touch_file, "alike"),
    "a link to a folder": (partial(turn_link, of_folder=True), "anew"),
    "links to files": (partial(turn_link, of_folder=False), "anew"),
    "the order of files": (reverse_files, "anew"),
    "relative paths": (name_in_another_way, "served"),
    "the working folder": (change_folder_of_work, "anew"),
    "pixels": (partial(change_images, change=change_some_pixels), "anew"),
    "fewer images": (partial(change_images, change=lambda images: images[:3]), "anew"),
    "other dtype": (partial(change_images, change=lambda im: im / 255), "served"),
    "list of arrays": (partial(change_images, change=list), "served"),
    "alpha": (
        partial(change_images, change=lambda im: np.insert(im, 3, 0, axis=-1)),
        "served",
    ),
    "descriptor": (settings({"descriptor": ColorPatchDescriptor()}), "anew"),
    "grid_step": (
        settings({"descriptor": clone(GRID).set_params(grid_step=8)}),
        "anew",
    ),
    "threshold": (
        settings(
            {"descriptor": SIFTDescriptor(contrast_threshold=0.06)},
            {"descriptor": SIFTDescriptor()},
        ),
        "anew",
    ),
    "root": (
        settings({"descriptor": SIFTDescriptor(root=False)}, {"descriptor": None}),
        "anew",
    ),
    "n_words": (settings({"n_words": 4}), "anew"),
    "encoding": (settings({"encoding": "vlad"}), "anew"),
    "fisher": (settings({"encoding": "fisher"}), "anew"),
    "n_components": (settings({"n_components": 2}), "anew"),
    "pyramid": (settings({"pyramid": (1, 2)}), "anew"),
    "max_descriptors": (settings({"max_descriptors": 9}), "anew"),
    "clusterer": (settings({"clusterer": KMeans(n_init=1)}), "anew"),
    "parameter of the clusterer": (
        settings(
            {"clusterer": KMeans(init="random", n_init=1, max_iter=1)},
            {"clusterer": KMeans(init="random", n_init=1, max_iter=9)},
        ),
        "anew",
    ),
    "random_state": (settings({"random_state": 1}), "anew"),
    "n_jobs": (settings({"n_jobs": 2}), "served"),
    "verbose": (settings({"verbose": 1}), "served"),
    "kind of memory": (another_kind_of_memory, "served"),
    "numpy": (partial(change_version, module=np), "alike"),
    "sklearn": (partial(change_version, module=sklearn), "alike"),
    "joblib": (partial(change_version, module=joblib), "alike"),
    "cv2": (partial(change_version, module=cv2), "alike"),
    **{
        package: (partial(change_installed, package=package), "alike")
        for package in _identity._NOT_LOADED
    },
}


if os.name == "nt":  # no links, and no time at which a file was changed
    for name in ("a file, in place", "a link to a folder", "links to files"):
        del ROWS[name]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return run_in_two_processes("tests.test_cache_changes", folder)


@pytest.mark.parametrize("name", ROWS)
def test_a_cache_never_lies(name, results):
    before, after = (each[name] for each in results)
    check_row(ROWS[name][1], before, after)


def test_the_guide_says_what_is_not_noticed():
    text = " ".join(GUIDE.read_text().split())
    assert "Change the version whenever the results change: after you edit" in text
    assert "**Do not use it with paths.** It identifies ``X`` by the paths only" in text
