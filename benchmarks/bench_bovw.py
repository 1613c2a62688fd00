"""Compare BoVWSIFTTransformer with OpenCV's bag-of-words classes, on real images.

Everything runs on the training images of ISIC 2016 part 3, with the defaults of
`cv2.SIFT_create` on both sides, and on the same images, splits, support vector
machines (`class_weight="balanced"`) and scorer (average precision). The sides run in
turn, each run in its own process.

search
    A grid search of words x 4 kernels x 5 folds without refit. skinest runs with an
    empty `memory`, then with a full one, both to the end. The transformer of
    `_bovw_sides.py` is (a) in a plain Pipeline and (b) in ``Pipeline(memory=...)``.
    (a) and (b) run on one fold, and their times are multiplied by the number of folds.
extract
    Descriptors of all images: skinest with 2 threads, and a loop over OpenCV calls
    that OpenCV runs on all cores itself.
growth
    Time and peak memory of `fit` on 600 to 9,600 paths. The paths are links to the
    real images under different names.
quality
    Average precision in cross-validation over several seeds; printed only.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from time import perf_counter

import joblib
import numpy as np
import psutil
from _bovw_sides import (
    KERNELS,
    SCORING,
    OpenCVBoVW,
    classifier_steps,
    folds,
    histograms,
    kernel_scores,
    learn_words,
    run_search,
    sift_of_files,
)
from _parts import in_own_process, make_parser, parse, run_part
from _quiet import read_peak_memory
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from skinest import BoVWSIFTTransformer, SIFTDescriptor
from skinest.datasets import fetch_isic2016_part3
from skinest.feature_extraction._describing import DescribedImages
from skinest.images import check_images

PARTS = ("search", "extract", "growth")
SIDES = ("skinest", "OpenCV")
WORDS = (30, 100)
SIZES = (600, 2_400, 9_600)


def main():
    options = read_options()
    if options.worker:
        part, side = options.worker
        paths, y = load_images(options)
        print(json.dumps(WORKERS[part](side, paths, y, options)))
        return
    paths, y = load_images(options)
    for path in paths:  # fill the system's cache, so that no side waits for the disk
        Path(path).read_bytes()
    for part in options.parts:
        globals()[f"bench_{part}"](paths, y, options)


def read_options():
    parser = make_parser(__doc__, PARTS, ("quality",))
    parser.add_argument("--n-jobs", type=int, default=1, help="of GridSearchCV")
    parser.add_argument("--words", type=int, nargs="+", help=f"default {WORDS}")
    options = parse(parser)
    quick = options.quick
    options.words = options.words or WORDS
    options.n_images = 60 if quick else None
    options.n_folds = 2 if quick else 5
    options.n_jobs = min(joblib.effective_n_jobs(options.n_jobs), options.n_folds)
    options.sizes = tuple(size // 60 for size in SIZES) if quick else SIZES
    return options


def load_images(options):
    paths, y = fetch_isic2016_part3(
        data_home=options.data_home, subset="train", return_X_y=True
    )
    if options.n_images:
        paths, _, y, _ = train_test_split(
            paths, y, train_size=options.n_images, stratify=y, random_state=0
        )
    return paths, y


# cv2.SIFT_create() with its own defaults
SIFT = SIFTDescriptor(contrast_threshold=0.04, root=False)


def ours(n_words="auto", memory=None, seed=0):
    return BoVWSIFTTransformer(
        n_words, descriptor=SIFT, memory=memory, random_state=seed
    )


def own_process(part):
    return in_own_process(__file__, part, sys.argv[1:])


# search


def bench_search(paths, y, options):
    settings = {
        "images": len(y),
        "words": " and ".join(map(str, options.words)),
        "kernels": len(KERNELS),
        "folds": options.n_folds,
        "n_jobs": options.n_jobs,
    }
    run_part(
        "bovw_search",
        SIDES,
        own_process("search"),
        options,
        n_runs=3,
        settings=settings,
    )


def run_search_side(side, paths, y, options):
    """Search once; return seconds, and the mean score on the folds of both sides."""
    splits = folds(y, options.n_folds)
    bovw = ours(10) if side == "skinest" else OpenCVBoVW(10)
    # Import modules that are imported at the first use.
    kernel_scores(*[bovw.fit_transform(paths[:20]), np.arange(20) % 2] * 2)
    # Folds that run at the same time slow each other down as they would in a search.
    timed = splits[: options.n_jobs]
    run = run_opencv_search if side == "OpenCV" else run_our_search
    seconds, search = run(paths, y, splits, timed, options)
    found = search.cv_results_
    scores = [found[f"split{k}_test_score"].mean() for k in range(len(timed))]
    return {**seconds, SCORING: mean(scores)}


def run_our_search(paths, y, splits, timed, options):
    """Search twice, with an empty and a full memory."""
    with TemporaryDirectory() as memory:
        args = Pipeline([("bovw", ours(memory=memory)), *classifier_steps()]), paths, y
        cold, search = run_search(*args, options.words, splits, options.n_jobs)
        warm, _ = run_search(*args, options.words, splits, options.n_jobs)
    return {"empty memory": cold, "full memory": warm}, search


def run_opencv_search(paths, y, splits, timed, options):
    """Search on some folds, in a plain pipeline (a) and in one with a memory (b).

    The folds have the same size, so the seconds of all of them are a multiple.
    """
    n_times, seconds = len(splits) / len(timed), {}
    steps = [("bovw", OpenCVBoVW()), *classifier_steps()]
    with TemporaryDirectory() as memory:
        for name, where in (("plain", None), ("cached", memory)):
            pipeline = Pipeline(steps, memory=where)
            some, search = run_search(
                pipeline, paths, y, options.words, timed, options.n_jobs
            )
            seconds[name] = n_times * some
    return seconds, search


# extract


def bench_extract(paths, y, options):
    run_part(
        "bovw_extract",
        SIDES,
        own_process("extract"),
        options,
        n_runs=5,
        settings={"images": len(y)},
    )


def run_extract(side, paths, y, options):
    describe = describe_ours if side == "skinest" else describe_opencv
    describe(paths[:20])  # imports modules and starts threads
    start = perf_counter()
    n_descriptors = describe(paths)
    return {"seconds": perf_counter() - start, "descriptors": n_descriptors}


def describe_ours(paths):
    """Compute descriptors as BoVWSIFTTransformer(n_jobs=2) does, without encoding."""
    described = DescribedImages(check_images(paths), SIFT, None, 2)
    return sum(described.map(count_descriptors))


def count_descriptors(described):
    return sum(len(values) for values, _ in described)


def describe_opencv(paths):
    return sum(len(values) for values in sift_of_files(paths) if values is not None)


# growth


def bench_growth(paths, y, options):
    run_part(
        "bovw_growth",
        [f"{size:,} images" for size in options.sizes],
        own_process("growth"),
        options,
        n_runs=2,
        settings={"words": 300, "n_jobs": "None"},
    )


def run_growth(side, paths, y, options):
    n_links = int(side.split()[0].replace(",", ""))
    with TemporaryDirectory() as folder:
        links = link_many(paths, n_links, Path(folder))
        ours(10).fit(paths[:20])  # imports modules
        before = psutil.Process().memory_info().rss / 1e9
        start = perf_counter()
        ours(300).fit(links)
        seconds = perf_counter() - start
    return {"seconds": seconds, "peak": read_peak_memory(), "before": before}


def link_many(paths, n_links, folder):
    links = [folder / f"{number}.jpg" for number in range(n_links)]
    for number, link in enumerate(links):
        link.symlink_to(paths[number % len(paths)])
    return [str(link) for link in links]


# quality


def bench_quality(paths, y, options):
    print("\n## quality", flush=True)
    n_words, n_seeds = (100, 2) if options.quick else (300, 5)
    described = sift_of_files(paths)
    say_equivalence(paths, described, n_words)
    scores = defaultdict(list)
    with TemporaryDirectory() as memory:
        for seed in range(n_seeds):
            by_fold = defaultdict(list)
            for train, test in folds(y, options.n_folds, seed):
                bovw = ours(n_words, memory, seed)
                vectors = bovw.fit_transform(paths[train]), bovw.transform(paths[test])
                collect(by_fold, "skinest", vectors, y[train], y[test])
                learned = learn_words([described[i] for i in train], n_words, seed)
                all_vectors = histograms(described, learned)
                vectors = all_vectors[train], all_vectors[test]
                collect(by_fold, "OpenCV", vectors, y[train], y[test])
            for key, values in by_fold.items():
                scores[key].append(mean(values))
            mine, other = scores["skinest", "rbf"][-1], scores["OpenCV", "rbf"][-1]
            print(f"seed {seed}: rbf {mine:.3f}, OpenCV {other:.3f}", flush=True)
    print(f"{SCORING} with {n_words} words: mean of seeds (sd); seeds also move splits")
    for kernel in KERNELS:
        mine, other = scores["skinest", kernel], scores["OpenCV", kernel]
        columns = mine, other, np.subtract(mine, other).tolist()
        cells = [f"{mean(column):+.3f} ({stdev(column):.3f})" for column in columns]
        print(f"{kernel}: skinest {cells[0]}, OpenCV {cells[1]}, by {cells[2]}")


def collect(by_fold, side, vectors, y_train, y_test):
    for kernel, score in kernel_scores(vectors[0], y_train, vectors[1], y_test).items():
        by_fold[side, kernel].append(score)


def say_equivalence(paths, described, n_words):
    """Print the largest difference of histograms from those of the extractor."""
    bovw = OpenCVBoVW(n_words)
    bovw.vocabulary_ = learn_words(described[:60], n_words, 0)
    kept = histograms(described[:60], bovw.vocabulary_)
    largest = np.abs(kept - bovw.transform(paths[:60])).max()
    print(f"largest difference from BOWImgDescriptorExtractor: {largest:.0e}")


WORKERS = {
    "search": run_search_side,
    "extract": run_extract,
    "growth": run_growth,
}

if __name__ == "__main__":
    main()
