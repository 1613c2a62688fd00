"""BoVWSIFTTransformer beside OpenCV's bag-of-words classes, on real images.

Everything runs on the training images of ISIC 2016 part 3, with the defaults of
`cv2.SIFT_create` on both sides, and on the same images, splits, support vector
machines (`class_weight="balanced"`) and scorer (average precision).

search
    A grid search of words x 4 kernels x 5 folds without refit: skinest with an
    empty `memory`, then with a full one, both run to the end; against the
    transformer of `_bovw_sides.py` (a) in a plain Pipeline and (b) in
    ``Pipeline(memory=...)``. For (a) and (b) the parts of one fold per number of
    words are timed and multiplied by how often each part would run. A real search
    of (a) and (b) on one fold, for one number of words, checks that sum.
quality
    Average precision in cross-validation over several seeds.
extract
    Descriptors of all images: skinest by 2 threads, and a loop over OpenCV calls
    that OpenCV spreads over the cores itself; the median of alternating runs.
memory
    Peak memory of a new process that fits on 8,000 paths, with and without
    `memory`. The paths are links to the real images under different names.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import multiprocessing
import platform
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import mean, median, stdev
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import cv2
import joblib
import numpy as np
import psutil
import sklearn
from _bovw_sides import (
    KERNELS,
    SCORING,
    OpenCVBoVW,
    check_by_search,
    classifier_steps,
    folds,
    histograms,
    kernel_scores,
    learn_words,
    opencv_parts,
    run_search,
    seconds_of_search,
    sift_of_files,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

import skinest
from skinest import BoVWSIFTTransformer, SIFTDescriptor
from skinest.datasets import fetch_isic2016_part3
from skinest.feature_extraction._describing import DescribedImages
from skinest.images import check_images

PARTS = ("search", "quality", "extract", "memory")
WORDS = (30, 100, 200, 300, 400, 500)


def main():
    options = read_options()
    say_machine()
    paths, y = load_images(options)
    for part in options.parts or PARTS:
        print(f"\n## {part}", flush=True)
        globals()[f"bench_{part}"](paths, y, options)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a small rehearsal")
    parser.add_argument("--n-jobs", type=int, default=1, help="of GridSearchCV")
    parser.add_argument("--words", type=int, nargs="+", help=f"default {WORDS}")
    parser.add_argument("--data-home", help="folder of the ISIC archives")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{sorted(unknown)} is none of {', '.join(PARTS)}")
    quick = options.quick
    options.words = options.words or WORDS[: 2 if quick else None]
    options.n_images = 60 if quick else None
    options.n_folds = 2 if quick else 5
    options.n_jobs = min(joblib.effective_n_jobs(options.n_jobs), options.n_folds)
    options.n_seeds = 2 if quick else 5
    options.n_runs = 2 if quick else 5
    options.quality_words = 100 if quick else 300
    options.n_paths = 200 if quick else 8_000
    return options


def say_machine():
    cores, memory = joblib.cpu_count(), psutil.virtual_memory().total / 2**30
    print(f"{cores} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}")
    print(
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"OpenCV {cv2.__version__} ({cv2.getNumThreads()} threads), NumPy "
        f"{np.__version__}, joblib {joblib.__version__}, skinest {skinest.__version__}"
    )
    print(f"load of the machine at the start: {psutil.getloadavg()[0]:.1f}", flush=True)


def load_images(options):
    paths, y = fetch_isic2016_part3(
        data_home=options.data_home, subset="train", return_X_y=True
    )
    if options.n_images:
        paths, _, y, _ = train_test_split(
            paths, y, train_size=options.n_images, stratify=y, random_state=0
        )
    for path in paths:  # into the system's cache, so that no side waits for the disk
        Path(path).read_bytes()
    print(f"{len(y)} images, {y.sum()} of them malignant", flush=True)
    return paths, y


# cv2.SIFT_create() with its own defaults
SIFT = SIFTDescriptor(contrast_threshold=0.04, root=False)


def ours(n_words="auto", memory=None, seed=0):
    return BoVWSIFTTransformer(
        n_words, descriptor=SIFT, memory=memory, random_state=seed
    )


# search


def bench_search(paths, y, options):
    splits = folds(y, options.n_folds)
    n_fits = len(options.words) * len(KERNELS) * len(splits)
    print(
        f"words {tuple(options.words)} x kernels {tuple(KERNELS)} x {len(splits)} "
        f"folds = {n_fits} fits, n_jobs={options.n_jobs}, no refit"
    )
    for bovw in (ours(10), OpenCVBoVW(10)):  # load what is loaded on first use
        kernel_scores(*[bovw.fit_transform(paths[:20]), np.arange(20) % 2] * 2)
    with TemporaryDirectory() as memory:
        args = Pipeline([("bovw", ours(memory=memory)), *classifier_steps()]), paths, y
        cold, search = run_search(*args, options.words, splits, options.n_jobs)
        print(f"skinest, empty memory: {cold:.1f} s", flush=True)
        warm, _ = run_search(*args, options.words, splits, options.n_jobs)
        print(f"skinest, full memory: {warm:.1f} s")
    best = {name: str(value) for name, value in search.best_params_.items()}
    print(f"best of skinest: {SCORING} {search.best_score_:.3f} by {best}", flush=True)
    plain, cached = scaled_opencv(paths, y, splits, search, options)
    sides = {
        "skinest, empty memory": cold,
        "skinest, full memory": warm,
        "(a) OpenCV, Pipeline": plain,
        "(b) OpenCV, Pipeline(memory)": cached,
    }
    say_table(
        ["side", "seconds", "of skinest's"],
        [[side, f"{t:.1f}", f"{t / cold:.2f}"] for side, t in sides.items()],
    )


def scaled_opencv(paths, y, splits, search, options):
    """Print the parts of (a) and (b); their seconds for the whole search."""
    print(
        f"OpenCV, timed on {options.n_jobs} of {len(splits)} folds at the same time:\n"
        "  (a) = folds / n_jobs x sum over words of\n"
        "        [kernels x (fit + transform training + transform test) + SVMs]\n"
        "  (b) = folds / n_jobs x sum over words of\n"
        "        [fit + transform training + kernels x transform test + SVMs]\n"
        "  SVMs: scaler and SVC fitted and scored, once for each kernel"
    )
    # Folds that run at the same time slow each other down as they would in a search.
    timed = splits[: options.n_jobs]
    rows, gaps, seconds = [], [], {}
    for n_words in options.words:
        parts = opencv_parts(paths, y, n_words, timed)
        mine = score_on(search, n_words, len(timed))
        gaps.append(mine - parts[SCORING])
        rows.append([n_words, *(f"{value:.3g}" for value in [*parts.values(), mine])])
        seconds[n_words] = np.array(seconds_of_search(parts))
        print(f"  {n_words} words: {parts['fit']:.1f} s to fit", flush=True)
    say_table(["words", *parts, "skinest's"], rows)
    print(f"{SCORING} on the timed folds, skinest minus OpenCV: {mean(gaps):+.3f}")
    if len(timed) == 1:
        check_by_search(paths, y, timed, seconds, options.words)
    return sum(seconds.values()) * len(splits) / len(timed)


def score_on(search, n_words, n_folds):
    """Score the search's candidates of these words on the first folds, on average."""
    found = search.cv_results_
    chosen = found["param_bovw__n_words"] == n_words
    return mean(found[f"split{k}_test_score"][chosen].mean() for k in range(n_folds))


# quality


def bench_quality(paths, y, options):
    n_words = options.quality_words
    described = sift_of_files(paths)
    say_equivalence(paths, described, n_words)
    scores = defaultdict(list)
    with TemporaryDirectory() as memory:
        for seed in range(options.n_seeds):
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
    rows = []
    for kernel in KERNELS:
        mine, other = scores["skinest", kernel], scores["OpenCV", kernel]
        columns = mine, other, np.subtract(mine, other).tolist()
        rows.append([kernel, *(f"{mean(c):+.3f} ({stdev(c):.3f})" for c in columns)])
    say_table(["kernel", "skinest", "OpenCV", "difference"], rows)


def collect(by_fold, side, vectors, y_train, y_test):
    for kernel, score in kernel_scores(vectors[0], y_train, vectors[1], y_test).items():
        by_fold[side, kernel].append(score)


def say_equivalence(paths, described, n_words):
    """Print how far the histograms of kept descriptors are from the extractor's."""
    bovw = OpenCVBoVW(n_words)
    bovw.vocabulary_ = learn_words(described[:60], n_words, 0)
    kept = histograms(described[:60], bovw.vocabulary_)
    largest = np.abs(kept - bovw.transform(paths[:60])).max()
    print(f"kept descriptors against BOWImgDescriptorExtractor: {largest:.0e}")


# extract


def bench_extract(paths, y, options):
    runs = {"skinest": describe_ours, "OpenCV": describe_opencv}
    seconds = defaultdict(list)
    for run in range(options.n_runs + 1):
        for name, function in runs.items():
            start = perf_counter()
            n_descriptors = function(paths)
            if run == 0:  # the first pass loads and starts things
                print(f"{name}: {n_descriptors} descriptors", flush=True)
            else:
                seconds[name].append(perf_counter() - start)
    medians = {name: median(values) for name, values in seconds.items()}
    rows = [
        [name, f"{medians[name]:.2f}", f"{min(values):.2f} to {max(values):.2f}"]
        for name, values in seconds.items()
    ]
    say_table(["side", "median seconds", f"of {options.n_runs} runs"], rows)
    print(f"OpenCV / skinest: {medians['OpenCV'] / medians['skinest']:.2f}")


def describe_ours(paths):
    """Call what BoVWSIFTTransformer(n_jobs=2) calls; alone it would encode as well."""
    described = DescribedImages(check_images(paths), SIFT, None, 2)
    return sum(described.map(count_descriptors))


def count_descriptors(described):
    return sum(len(values) for values, _ in described)


def describe_opencv(paths):
    return sum(len(values) for values in sift_of_files(paths) if values is not None)


# memory


def bench_memory(paths, y, options):
    print(f"BoVWSIFTTransformer.fit on {options.n_paths} paths, symbolic links")
    rows = []
    with TemporaryDirectory() as folder:
        links = link_many(paths, options.n_paths, Path(folder, "images"))
        for memory in (None, str(Path(folder, "memory"))):
            before, peak, seconds = peak_memory(fit_on, links, memory)
            name = "a folder" if memory else "None"
            rows.append([name, f"{peak:.2f}", f"{before:.2f}", f"{seconds:.0f}"])
    say_table(["memory", "peak GB", "GB before fit", "seconds"], rows)


def link_many(paths, n_links, folder):
    folder.mkdir()
    links = [folder / f"{number}.jpg" for number in range(n_links)]
    for number, link in enumerate(links):
        link.symlink_to(paths[number % len(paths)])
    return [str(link) for link in links]


def peak_memory(function, *args):
    """Run `function` in a new process: GB before and at most in it, and its seconds."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=run_in_child, args=(sender, function, *args))
    child.start()
    process, peak = psutil.Process(child.pid), 0
    with suppress(psutil.NoSuchProcess):  # it has ended
        while child.is_alive():  # sampled, because ru_maxrss remembers the parent's
            peak = max(peak, process.memory_info().rss)
            sleep(0.01)
    child.join()
    if child.exitcode:
        sys.exit(f"the measured process ended with {child.exitcode}")
    before, seconds = receiver.recv()
    return before / 1e9, peak / 1e9, seconds


def run_in_child(sender, function, *args):
    before = psutil.Process().memory_info().rss
    start = perf_counter()
    function(*args)
    sender.send((before, perf_counter() - start))


def fit_on(paths, memory):
    ours(300, memory).fit(paths)


def say_table(header, rows):
    table = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = zip(row, widths, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    sys.stdout.flush()


if __name__ == "__main__":
    main()
