"""Cases of damaged archives and tables of data sets, through their functions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import io
import shutil
import zipfile
from functools import partial
from pathlib import Path

from skinest.datasets import (
    fetch_ham10000_masks,
    fetch_isic2016_part2b,
    fetch_isic2016_part3,
    fetch_isic2018_task3,
    load_image_folder,
    load_image_table,
)
from tests.datasets import (
    ham10000_archives,
    isic2016_part2b_archives,
    isic2016_part3_archives,
)
from tests.fuzz.mutations import make_rng, mutate
from tests.fuzz.reporting import Fault, check_message

FETCHERS = {
    "isic2016_part3": [
        partial(fetch_isic2016_part3, subset=subset) for subset in ("train", "test")
    ],
    "isic2016_part2b": [
        partial(fetch_isic2016_part2b, feature=feature, subset=subset)
        for feature in ("globules", "streaks")
        for subset in ("train", "test")
    ],
    "ham10000": [fetch_isic2018_task3, fetch_ham10000_masks],
}


def write_homes(folder):
    """Write a folder of undamaged archives for each group of data sets, once."""
    for name, module in (
        ("isic2016_part3", isic2016_part3_archives),
        ("isic2016_part2b", isic2016_part2b_archives),
        ("ham10000", ham10000_archives),
    ):
        (folder / name).mkdir(parents=True)
        module.make_home(folder / name)


def run(reporter, numbers, folder, seed):
    for number in numbers:
        rng = make_rng(int(seed), number)
        around = folder / f"around-{numbers.start}"
        shutil.rmtree(around, ignore_errors=True)
        kind = rng.choice(["archive", "archive", "archive", "table"])
        function = fetch_damaged if kind == "archive" else load_damaged
        reporter.run(number, partial(function, rng, folder, around))


def fetch_damaged(rng, folder, around, warned):
    """Fetch a data set of which one file is damaged."""
    name = str(rng.choice(sorted(FETCHERS)))
    home = around / "inner" / "home"
    shutil.copytree(folder / name / "home", home)
    files = sorted(path for path in home.iterdir() if path.is_file())
    damaged = files[rng.integers(len(files))]
    others = [path.read_bytes() for path in files if path.suffix == damaged.suffix]
    contents = [damaged.read_bytes()] * 3 + others
    if damaged.suffix == ".zip" and rng.random() < 0.6:
        damaged.write_bytes(damage_inside(damaged.read_bytes(), rng))
    else:
        damaged.write_bytes(mutate(contents, rng))
    fetch = FETCHERS[name][rng.integers(len(FETCHERS[name]))]
    found = attempt(
        partial(fetch, data_home=home, download_if_missing=False), damaged.stem
    )
    if {path.name for path in around.iterdir()} != {"inner"}:
        raise Fault("a file outside of the folder")
    check_data(found, home)
    return "error" if found is None else "data"


def damage_inside(content, rng):
    """Damage names or contents of the members of a zip, which stays sound itself."""
    damaged = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(damaged, "w") as new,
    ):
        members = [(name, old.read(name)) for name in old.namelist()]
        chosen = int(rng.integers(len(members)))
        for position, (name, data) in enumerate(members):
            if position == chosen and rng.random() < 0.5:
                name = damage_name(name, rng)
            elif position == chosen:
                data = mutate([data or b"\0"], rng)
            new.writestr(zipfile.ZipInfo(name), data)
    return damaged.getvalue()


def damage_name(name, rng):
    changes = [
        "../" * int(rng.integers(1, 4)) + Path(name).name,
        "/" + name,
        name + "/",
        name + "x" * int(rng.integers(1, 300)),
        name.replace("/", "\\"),
        name.swapcase(),
        Path(name).name,
        mutate([name.encode()], rng).decode("latin-1") or "a",
    ]
    return changes[rng.integers(len(changes))]


TABLE = "image,dx,lesion\n" + "".join(
    f"ISIC_{i},{'mel' if i % 3 else 'nv'},L{i // 2}\n" for i in range(9)
)


def load_damaged(rng, folder, around, warned):
    """Load images beside a damaged table, or from folders of damaged names."""
    around.mkdir()
    for i in range(9):
        name = f"ISIC_{i}.jpg"
        if rng.random() < 0.05:
            name = damage_name(name, rng).replace("\0", "").replace("/", "_")[:200]
        place = around / ("mel", "nv")[i % 2]
        place.mkdir(exist_ok=True)
        (place / name.lstrip(".")).write_bytes(b"JPEG")
    if rng.random() < 0.3:
        found = attempt(partial(load_image_folder, around), str(around))
    else:
        table = around / "table.csv"
        table.write_bytes(mutate([TABLE.encode()], rng))
        load = partial(
            load_image_table,
            *(table, around),
            name_column="image",
            target_column="dx",
            group_column=[None, "lesion"][rng.integers(2)],
        )
        found = attempt(load, str(table), "target_column", str(around))
    check_data(found, around)
    return "error" if found is None else "data"


def attempt(function, *names):
    try:
        return function()
    except (ValueError, OSError) as error:
        check_message(error, *names)
        return None


def check_data(found, home):
    """Raise Fault unless all files of a data set exist and are within the folder."""
    if found is None:
        return
    paths = [*found.paths, *found.get("mask_paths", [])]
    for path in map(Path, paths):
        if not path.is_file() or home.resolve() not in path.resolve().parents:
            raise Fault(f"no file of the data set: {path}")
    targets = found.get("target", found.get("mask_paths"))
    if targets is None or len(targets) != len(found.paths):
        raise Fault(f"{len(found.paths)} images, but the targets are {targets}")
