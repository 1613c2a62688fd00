"""Measure which near-duplicates `find_near_duplicates` finds in dermoscopic images.

changes
    Images of HAM10000 are changed in known ways, and searched for among the unchanged
    images of all lesions. Half of the lesions choose the threshold, the other half give
    the table: recall by kind of change, and pairs of different lesions that are found.
ham10000
    Pairs within HAM10000: of one lesion, and of two lesion numbers. Pairs that are
    nearly identical at 16 x 12 pixels are found without skinest, by comparing all.
sources
    Pairs between ISIC 2016 and HAM10000, which must not be on two sides of a split.
features
    Changed images of 50 lesions of the second half, searched for among the images of
    1,200 lesions, without and with features of MobileNetV2. Only when named.
growth
    Time and peak memory of the search within 2,000, 4,000 and all images of HAM10000.

Each part stores its results in results/near_duplicates_PART.json, from which
`make_tables.py` writes the tables of README.md. The parts ham10000 and sources also
save plots of their pairs in the folder --plots.

Usage: python benchmarks/near_duplicates.py [PART ...]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import psutil
from _near_duplicate_tables import DEFAULT, NEAR_DUPLICATE_TABLES
from _parts import in_own_process, make_parser, parse, run_part
from _quiet import (
    describe_machine,
    read_own_seconds,
    read_peak_memory,
)
from _runs import write_record

from skinest.datasets import fetch_isic2016_part3, fetch_isic2018_task3
from skinest.images import check_images, resize
from skinest.inspection import NearDuplicatesDisplay
from skinest.model_selection import NearDuplicates, find_near_duplicates

LOWEST = 0.3  # pairs below it are not looked at
THRESHOLDS = np.round(np.arange(0.4, 1, 0.05), 2)
SIZES = (2_000, 4_000, 7_938)  # images of HAM10000; the last are all that we had
NEAR_IDENTICAL = 6  # root mean square of differences at 16 x 12 pixels, exclusive
N_PLOTTED = 48  # pairs
PARTS = ("changes", "ham10000", "sources", "growth")


def main():
    options = read_options()
    if options.worker:
        size = options.worker[1].partition(" ")[0].replace(",", "")
        print(json.dumps(run_growth(int(size), options)))
        return
    for part in options.parts:
        if part == "growth":
            measure_growth(options)
        else:
            store(part, options)


def read_options():
    parser = make_parser(__doc__, PARTS, ("features",))
    parser.add_argument(
        "--weights", default="imagenet", help="of MobileNetV2; default: download"
    )
    parser.add_argument("--n-jobs", type=int, help="threads")
    parser.add_argument(
        "--images", type=int, default=300, help="changed images of each kind and half"
    )
    parser.add_argument("--plots", type=Path, default=Path("plots"))
    options = parse(parser)
    options.n_images = 10 if options.quick else None
    options.n_changed = 5 if options.quick else options.images
    options.sizes = (100, 200) if options.quick else SIZES
    return options


def store(part, options):
    """Run a part, store its results, and print its tables."""
    print(f"\n## {part}", flush=True)
    path = options.results / f"near_duplicates_{part}.json"
    if path.exists() and not options.again:
        print("results are stored; --again makes new ones")
    else:
        start, used = perf_counter(), read_own_seconds()
        found = STORED[part](options)
        found["seconds"] = round(perf_counter() - start, 1)
        found["processor seconds"] = round(read_own_seconds() - used, 1)
        found |= {"machine": describe_machine(), "day": date.today().isoformat()}
        write_record(path, found)
    for shown, show in NEAR_DUPLICATE_TABLES.values():
        if shown == part:
            print(f"\n{show(options.results)}", flush=True)


def load_ham10000(options):
    """Return paths and lesions of all images, or of a few for a trial run."""
    data = fetch_isic2018_task3(options.data_home)
    if options.quick:
        return data.paths[:400], data.groups[:400]
    return data.paths, data.groups


# Changes


def compress(image, quality):
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(content, cv2.IMREAD_COLOR)


def scale(image, factor):
    height, width = image.shape[:2]
    return resize(image, (round(height * factor), round(width * factor)))


def crop(image, share, rng):
    """Cut off a share of the height and the width, at random sides."""
    cut = np.round(np.multiply(image.shape[:2], share)).astype(int)
    top, left = rng.integers(0, cut + 1)
    bottom, right = image.shape[:2] - (cut - (top, left))
    return image[top:bottom, left:right]


def change_light(image, rng):
    """Change contrast by a tenth, and brightness by up to 20 of 255."""
    changed = image * rng.choice([0.9, 1.1]) + rng.uniform(-20, 20)
    return np.clip(changed, 0, 255).astype(np.uint8)


def rotate(image, degrees):
    """Rotate about the centre, and repeat the pixels of the edge."""
    height, width = image.shape[:2]
    warp = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(image, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)


def combine(image, rng):
    changed = crop(np.rot90(image, rng.integers(4)), 0.1, rng)
    return compress(change_light(scale(changed, 0.75), rng), 60)


CHANGES: dict[str, Callable] = {
    "none": lambda image, rng: image,
    "half the size": lambda image, rng: scale(image, 0.5),
    "1.5 times the size": lambda image, rng: scale(image, 1.5),
    "squeezed to a square": lambda image, rng: resize(image, (128, 128)),
    "JPEG, quality 75": lambda image, rng: compress(image, 75),
    "JPEG, quality 30": lambda image, rng: compress(image, 30),
    "brightness and contrast": change_light,
    "flipped": lambda image, rng: image[:, ::-1],
    "turned by a quarter": lambda image, rng: np.rot90(image),
    "cropped by 5 %": lambda image, rng: crop(image, 0.05, rng),
    "cropped by 10 %": lambda image, rng: crop(image, 0.1, rng),
    "cropped by 20 %": lambda image, rng: crop(image, 0.2, rng),
    "cropped by 30 %": lambda image, rng: crop(image, 0.3, rng),
    "rotated by 3 degrees": lambda image, rng: rotate(image, 3),
    "turned, cropped by 10 %, 3/4 of the size, light, JPEG 60": combine,
}
PROMISED = [
    name for name in CHANGES if name.split()[0] != "rotated" and "30 %" not in name
]


WITH_FEATURES = ("cropped by 20 %", "cropped by 30 %", "rotated by 3 degrees")


def measure_changes(options):
    """Choose the threshold on one half of the lesions, and report on the other."""
    paths, groups = load_ham10000(options)
    rng = np.random.default_rng(0)
    lesions, firsts = np.unique(groups, return_index=True)
    halves = np.array_split(rng.permutation(len(lesions)), 2)
    found = {"thresholds": THRESHOLDS.tolist(), "promised": PROMISED, "originals": {}}
    for name, half in zip(("choice", "report"), halves, strict=True):
        of_half = np.flatnonzero(np.isin(groups, lesions[half]))
        chosen = firsts[half[: options.n_changed]]
        own = np.searchsorted(of_half, chosen)
        scores = search_changed(
            paths[chosen], own, paths[of_half], groups[of_half], rng, options
        )
        found["originals"][name] = len(of_half)
        found[name] = {change: count(*each) for change, each in scores.items()}
        print(f"{name}: done", flush=True)
    return found


def measure_features(options):
    """Search for a few changed images without and with features of a network."""
    from skinest import BottleneckFeatureExtractor

    network = BottleneckFeatureExtractor(
        "mobilenetv2", weights=options.weights, pooling="avg", image_size=(128, 128)
    )
    paths, groups = load_ham10000(options)
    lesions, firsts = np.unique(groups, return_index=True)
    half = np.array_split(np.random.default_rng(0).permutation(len(lesions)), 2)[1]
    searched = np.flatnonzero(np.isin(groups, lesions[half[:1_200]]))
    chosen = firsts[half[: 5 if options.quick else 50]]
    own = np.searchsorted(searched, chosen)
    rows: dict[str, list[float]] = {name: [len(chosen)] for name in WITH_FEATURES}
    for extractor in (None, network):
        scores = search_changed(
            *(paths[chosen], own, paths[searched], groups[searched]),
            *(np.random.default_rng(0), options, WITH_FEATURES),
            threshold=0.7,
            extractor=extractor,
        )
        for name, (right, wrong) in scores.items():
            rows[name] += [int(np.sum(right > 0)), len(wrong)]
    return {"originals": len(searched), "changes": rows}


def search_changed(
    paths, own, originals, groups, rng, options, kinds=tuple(CHANGES), **search
):
    """Return the scores of right pairs and of wrong pairs, by kind of change.

    Right scores have one entry for each changed image, 0 if it was not found. Pairs
    with another image of the same lesion are neither right nor wrong.
    """
    images = check_images(paths)
    changed = [
        np.ascontiguousarray(CHANGES[kind](image, rng))
        for kind in kinds
        for image in images
    ]
    pairs = find_near_duplicates(
        changed, originals, n_jobs=options.n_jobs, **{"threshold": LOWEST, **search}
    )
    right = np.zeros(len(changed))
    wrong: dict[str, list[float]] = {name: [] for name in kinds}
    for (first, second), score in zip(pairs.pairs, pairs.scores, strict=True):
        change, row = divmod(first, len(images))
        if second == own[row]:
            right[first] = score
        elif groups[second] != groups[own[row]]:
            wrong[kinds[change]].append(score)
    parts = zip(kinds, right.reshape(len(kinds), -1), strict=True)
    return {name: (part, np.array(wrong[name])) for name, part in parts}


def count(right, wrong):
    """Return how many right and wrong pairs have each threshold or more."""
    return {
        "images": len(right),
        "found": [int(np.sum(right >= threshold)) for threshold in THRESHOLDS],
        "wrong": [int(np.sum(wrong >= threshold)) for threshold in THRESHOLDS],
    }


# Pairs of real images


def search_ham10000(options):
    paths, groups = load_ham10000(options)
    found = find_near_duplicates(paths, threshold=LOWEST, n_jobs=options.n_jobs)
    is_same = groups[found.pairs[:, 0]] == groups[found.pairs[:, 1]]
    near = find_near_identical(paths)
    is_near = np.array([tuple(pair) in near for pair in found.pairs.tolist()], bool)
    rows = []
    for low in np.r_[LOWEST, THRESHOLDS]:
        high = 1.0 if low == THRESHOLDS[-1] else min(THRESHOLDS[THRESHOLDS > low])
        within = (found.scores >= low) & (found.scores <= high)
        counts = [int((within & kind).sum()) for kind in (within, is_same, is_near)]
        rows.append([float(low), float(high), *counts])
    print("\nTwo lesion numbers:")
    print_pairs(found, ~is_same, paths, paths, 40)
    save(found, ~is_same, "ham10000", options, paths)
    scores = dict(zip(map(tuple, found.pairs.tolist()), found.scores, strict=True))
    return {
        "images": len(paths),
        "by score": rows,
        "near-identical": [
            [Path(paths[i]).stem, Path(paths[j]).stem, round(scores.get((i, j), 0), 3)]
            for i, j in sorted(near)
        ],
        "near-identical, of two lesions": sum(groups[i] != groups[j] for i, j in near),
    }


def find_near_identical(paths):
    """Return the pairs that hardly differ at 16 x 12 pixels, by comparing all pairs."""
    small = [resize(image, (12, 16)).ravel() for image in check_images(paths)]
    small = np.array(small, dtype=np.float64)
    squares = np.sum(small**2, axis=1)
    limit = NEAR_IDENTICAL**2 * small.shape[1]
    near = set()
    for i, row in enumerate(small):
        distances = squares[i + 1 :] + squares[i] - 2 * small[i + 1 :] @ row
        near |= {(i, int(j)) for j in i + 1 + np.flatnonzero(distances < limit)}
    return near


def print_pairs(found, chosen, paths, others, n_shown):
    for row in np.flatnonzero(chosen)[:n_shown]:
        one, other = found.pairs[row]
        print(
            f"{found.scores[row]:.3f}  {Path(paths[one]).stem}  "
            f"{Path(others[other]).stem}  {found.views[row]}"
        )


def search_sources(options):
    others, _ = load_ham10000(options)
    sets = {}
    for subset in ("train", "test"):
        paths = fetch_isic2016_part3(options.data_home, subset=subset).paths
        paths = paths[: options.n_images]
        found = find_near_duplicates(
            paths, others, threshold=LOWEST, n_jobs=options.n_jobs
        )
        print(f"\nISIC 2016, {subset}:")
        print_pairs(found, found.scores > 0, paths, others, 20)
        save(found, found.scores > 0, subset, options, paths, others)
        sets[f"ISIC 2016, {subset}"] = {
            "images": len(paths),
            "others": len(others),
            "pairs": int(np.sum(found.scores >= DEFAULT)),
            "highest": round(float(max(found.scores, default=0)), 3),
        }
    return {"sets": sets}


def save(found, chosen, name, options, *sets):
    """Save a plot of the most similar pairs, and of those around the threshold."""
    rows = np.flatnonzero(chosen)[:N_PLOTTED]
    if not len(rows):
        return
    shown = NearDuplicates(found.pairs[rows], found.scores[rows], found.views[rows])
    display = NearDuplicatesDisplay.from_duplicates(
        shown, *sets, n_pairs=None, max_cols=8
    )
    options.plots.mkdir(exist_ok=True)
    path = options.plots / f"near_duplicates_{name}.png"
    display.figure_.savefig(path, dpi=80)
    print(f"Saved {path}")


# Growth


def measure_growth(options):
    arguments = ["--quick"] if options.quick else []
    if options.n_jobs:
        arguments += ["--n-jobs", options.n_jobs]
    if options.data_home:
        arguments += ["--data-home", options.data_home]
    run_part(
        "near_duplicates_growth",
        [name_size(size) for size in options.sizes],
        in_own_process(__file__, "growth", arguments),
        options,
        n_runs=2,
        settings={"threads": options.n_jobs or 1},
    )


def run_growth(size, options):
    """Search in the first images of HAM10000, and return time and memory."""
    paths, _ = load_ham10000(options)
    before = psutil.Process().memory_info().rss / 1e9
    start, used = perf_counter(), read_own_seconds()
    find_near_duplicates(paths[:size], n_jobs=options.n_jobs)
    return {
        "seconds": perf_counter() - start,
        "processor seconds": read_own_seconds() - used,
        "peak": read_peak_memory(),
        "before": before,
    }


def name_size(size):
    return f"{size:,} images"


STORED = {
    "changes": measure_changes,
    "features": measure_features,
    "ham10000": search_ham10000,
    "sources": search_sources,
}

if __name__ == "__main__":
    main()
