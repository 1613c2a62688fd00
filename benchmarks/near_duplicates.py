"""Measure which near-duplicates `find_near_duplicates` finds in dermoscopic images.

changes
    Images of HAM10000 are changed in known ways, and searched for among the unchanged
    images of all lesions. Half of the lesions choose the threshold, the other half give
    the table: recall by kind of change, and pairs of different lesions that are found.
ham10000
    Pairs within HAM10000: of one lesion, and of two lesion numbers.
sources
    Pairs between ISIC 2016 and HAM10000, which must not be on two sides of a split.

The last two save plots of these pairs in the folder --plots.

Usage: python benchmarks/near_duplicates.py changes ham10000 sources
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from skinest.datasets import fetch_isic2016_part3, fetch_isic2018_task3
from skinest.images import check_images, resize
from skinest.inspection import NearDuplicatesDisplay
from skinest.model_selection import NearDuplicates, find_near_duplicates

LOWEST = 0.3  # pairs below it are not looked at
THRESHOLDS = np.round(np.arange(0.4, 1, 0.05), 2)


def main():
    options = read_options()
    for part in options.parts:
        print(f"\n## {part}", flush=True)
        PARTS[part](options)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART")
    parser.add_argument("--data-home", help="folder of the ISIC archives")
    parser.add_argument(
        "--images", type=int, default=200, help="changed images of each half"
    )
    parser.add_argument("--pairs", type=int, default=48, help="pairs to plot")
    parser.add_argument("--n-jobs", type=int, help="threads")
    parser.add_argument("--plots", type=Path, default=Path("plots"))
    return parser.parse_args()


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


def measure_changes(options):
    """Choose the threshold on one half of the lesions, and report on the other."""
    data = fetch_isic2018_task3(options.data_home)
    rng = np.random.default_rng(0)
    lesions, firsts = np.unique(data.groups, return_index=True)
    halves = np.array_split(rng.permutation(len(lesions)), 2)
    scores = []
    for name, half in zip(("choice", "report"), halves, strict=True):
        of_half = np.flatnonzero(np.isin(data.groups, lesions[half]))
        chosen = firsts[half[: options.images]]
        own = np.searchsorted(of_half, chosen)
        start = perf_counter()
        originals, groups = data.paths[of_half], data.groups[of_half]
        found = search_changed(data.paths[chosen], own, originals, groups, rng, options)
        scores.append(found)
        print(
            f"{name}: {len(chosen)} lesions in {len(CHANGES)} changes, searched for in "
            f"{len(originals)} images in {perf_counter() - start:.0f} s"
        )
    print_thresholds(scores[0])
    print_recall(scores[1])


def search_changed(paths, own, originals, groups, rng, options):
    """Return the scores of right pairs and of wrong pairs, by kind of change.

    Right scores have one entry for each changed image, 0 if it was not found. Pairs
    with another image of the same lesion are neither right nor wrong.
    """
    images = check_images(paths)
    changed = [
        np.ascontiguousarray(change(image, rng))
        for change in CHANGES.values()
        for image in images
    ]
    pairs = find_near_duplicates(
        changed, originals, threshold=LOWEST, n_jobs=options.n_jobs
    )
    right = np.zeros(len(changed))
    wrong: dict[str, list[float]] = {name: [] for name in CHANGES}
    for (first, second), score in zip(pairs.pairs, pairs.scores, strict=True):
        change, row = divmod(first, len(images))
        if second == own[row]:
            right[first] = score
        elif groups[second] != groups[own[row]]:
            wrong[list(CHANGES)[change]].append(score)
    parts = zip(CHANGES, right.reshape(len(CHANGES), -1), strict=True)
    return {name: (part, np.array(wrong[name])) for name, part in parts}


def count(found, names, threshold):
    """Return the recall and the number of wrong pairs."""
    right = np.concatenate([found[name][0] for name in names])
    wrong = np.concatenate([found[name][1] for name in names])
    return np.mean(right >= threshold), int(np.sum(wrong >= threshold))


def print_thresholds(found):
    print("\n| threshold | recall | wrong pairs | precision |\n|---|---|---|---|")
    n_changed = sum(len(found[name][0]) for name in PROMISED)
    for threshold in THRESHOLDS:
        recall, n_wrong = count(found, PROMISED, threshold)
        n_right = recall * n_changed
        precision = n_right / max(1, n_right + n_wrong)
        print(f"| {threshold:.2f} | {recall:.3f} | {n_wrong} | {precision:.3f} |")


def print_recall(found):
    shown = (0.5, 0.6, 0.7, 0.8, 0.9)
    head = " | ".join(f"recall at {each}" for each in shown)
    print(f"\n| change | {head} | 5 % of right scores below | wrong pairs at 0.6 |")
    print("|---|" + "---|" * (len(shown) + 2))
    for name, (right, _) in found.items():
        cells = " | ".join(f"{count(found, [name], each)[0]:.3f}" for each in shown)
        low = np.quantile(right, 0.05)
        print(f"| {name} | {cells} | {low:.2f} | {count(found, [name], 0.6)[1]} |")


# Pairs of real images


def search_ham10000(options):
    data = fetch_isic2018_task3(options.data_home)
    start = perf_counter()
    found = find_near_duplicates(data.paths, threshold=LOWEST, n_jobs=options.n_jobs)
    print(f"{len(data.paths)} images in {perf_counter() - start:.0f} s")
    is_same = data.groups[found.pairs[:, 0]] == data.groups[found.pairs[:, 1]]
    tiny = np.array([find_tiny(data.paths, pair) for pair in found.pairs])
    print("\n| score | pairs | of one lesion | near-identical at 16 x 12 |")
    print("|---|---|---|---|")
    for low in THRESHOLDS:
        within = (found.scores >= low) & (found.scores < low + 0.05)
        counts = within.sum(), (within & is_same).sum(), (within & (tiny < 8)).sum()
        print(f"| {low:.2f} to {low + 0.05:.2f} | {' | '.join(map(str, counts))} |")
    print("\nTwo lesion numbers:")
    print_pairs(found, ~is_same, data.paths, data.paths, 40)
    save(found, ~is_same, "ham10000", options, data.paths)


def find_tiny(paths, pair):
    """Return the largest difference of a pair at 16 x 12 pixels."""
    one, other = (resize(image, (12, 16)) for image in check_images(paths[pair]))
    return np.abs(one.astype(int) - other).max()


def print_pairs(found, chosen, paths, others, n_shown):
    for row in np.flatnonzero(chosen)[:n_shown]:
        one, other = found.pairs[row]
        print(
            f"{found.scores[row]:.3f}  {Path(paths[one]).stem}  "
            f"{Path(others[other]).stem}  {found.views[row]}"
        )


def search_sources(options):
    ham = fetch_isic2018_task3(options.data_home)
    for subset in ("train", "test"):
        isic = fetch_isic2016_part3(options.data_home, subset=subset)
        start = perf_counter()
        found = find_near_duplicates(
            isic.paths, ham.paths, threshold=LOWEST, n_jobs=options.n_jobs
        )
        print(
            f"{subset}: {len(isic.paths)} images of ISIC 2016, {len(ham.paths)} of "
            f"HAM10000, in {perf_counter() - start:.0f} s"
        )
        print_pairs(found, found.scores > 0, isic.paths, ham.paths, 60)
        save(found, found.scores > 0, subset, options, isic.paths, ham.paths)


def save(found, chosen, name, options, *sets):
    """Save a plot of the most similar pairs, and of those around the threshold."""
    rows = np.flatnonzero(chosen)[: options.pairs]
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


PARTS = {
    "changes": measure_changes,
    "ham10000": search_ham10000,
    "sources": search_sources,
}

if __name__ == "__main__":
    main()
