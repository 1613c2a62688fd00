"""Images and features on which heads are compared.

The training images of ISIC 2016 part 3, and three subsets of HAM10000.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from itertools import product
from time import perf_counter

import numpy as np

from skinest import BottleneckFeatureExtractor
from skinest.datasets import fetch_isic2016_part3, fetch_isic2018_task3

BACKBONES = ("mobilenetv2", "vgg16")
# Numbers of images of HAM10000 by diagnosis; "small" has one image per lesion.
SUBSETS = {
    "seven": {"NV": 620, "MEL": 160, "BKL": 160, "BCC": 90, "AKIEC": 70}
    | {"VASC": 50, "DF": 50},
    "small": {"MEL": 100, "NV": 200},
    "large": {"MEL": 300, "NV": 500, "BKL": 200},
}
MALIGNANT = ("MEL", "BCC", "AKIEC")


def read_sets(data_home):
    """Return paths, classes and lesions of each set."""
    isic = fetch_isic2016_part3(data_home)
    no_lesions = np.arange(len(isic.target))
    sets = {"isic2016": (np.array(isic.paths), isic.target, no_lesions)}
    ham = fetch_isic2018_task3(data_home)
    paths, names = np.array(ham.paths), np.array(ham.target_names)[ham.target]
    for seed, (name, counts) in enumerate(SUBSETS.items()):
        rng = np.random.default_rng(seed)
        sample = sample_single if name == "small" else sample_lesions
        chosen = []
        for diagnosis, n_images in counts.items():
            images = np.flatnonzero(names == diagnosis)
            chosen.append(sample(rng, images, ham.groups[images], n_images))
        chosen = np.sort(np.concatenate(chosen))
        y = ham.target if name == "seven" else (names == "MEL").astype(int)
        sets[name] = paths[chosen], y[chosen], ham.groups[chosen]
        if name == "seven":
            y = np.isin(names, MALIGNANT).astype(int)
            sets["malignant"] = paths[chosen], y[chosen], ham.groups[chosen]
    return sets


def sample_single(rng, images, lesions, n_images):
    """Return one random image of each of some random lesions."""
    order = rng.permutation(len(images))
    _, first = np.unique(lesions[order], return_index=True)
    return images[order[np.sort(first)]][:n_images]


def sample_lesions(rng, images, lesions, n_images):
    """Return all images of random lesions, until there are enough images."""
    found = []
    for lesion in rng.permutation(np.unique(lesions)):
        if len(found) < n_images:
            found.extend(images[lesions == lesion])
    return np.array(found)


def compute_features(options, sets):
    """Save the features of each set and network, with average and maximum pooling."""
    for backbone, name in product(options.backbones, ("isic2016", *SUBSETS)):
        if locate(options, backbone, name, "max").exists():
            continue
        start, pooled = perf_counter(), {"avg": [], "max": []}
        extractor = BottleneckFeatureExtractor(
            backbone, weights=getattr(options, backbone), pooling="flatten"
        )
        for part in np.array_split(sets[name][0], len(sets[name][0]) // 50):
            flat = extractor.fit(part).transform(part)
            maps = flat.reshape(len(flat), 7 * 7, -1)
            pooled["avg"].append(maps.mean(axis=1))
            pooled["max"].append(maps.max(axis=1))
        for pooling, parts in pooled.items():
            file = locate(options, backbone, name, pooling)
            np.save(file, np.concatenate(parts))
        print(f"{backbone}, {name}: {perf_counter() - start:.0f} s", flush=True)


def locate(options, backbone, name, pooling):
    """Return the path of the features of a set."""
    name = "seven" if name == "malignant" else name
    return options.results / f"{backbone}_{name}_{pooling}.npy"
