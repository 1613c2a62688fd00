"""The benchmarks: how runs are made, kept, judged quiet and shown."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("psutil")
ROOT = Path(__file__).parents[1]

_quiet, _runs, make_tables, _backbone_tables = map(
    importlib.import_module, ("_quiet", "_runs", "make_tables", "_backbone_tables")
)

MACHINE = {
    "processor": "A processor",
    "instructions": "AVX2",
    "cores": 2,
    "memory": "8 GiB",
    "limits": {},
    "versions": {"skinest": "0.1"},
}


@pytest.fixture
def system(monkeypatch):
    """Stand in for the system's counters, which the test moves on."""
    clock = {"total": 0.0, "busy": 0.0, "own": 0.0, "stolen": 0.0}
    monkeypatch.setattr(_runs, "read_counters", lambda: _quiet.Counters(**clock))

    def use(seconds, own=0.0, others=0.0, stolen=0.0):
        """Let some seconds pass on two processors."""
        clock["total"] += 2 * seconds
        clock["busy"] += own + others
        clock["own"] += own
        clock["stolen"] += stolen

    return use


@pytest.fixture
def record(tmp_path):
    def make(name="a_part", settings=None, **options):
        return _runs.Record(
            name, settings or {"images": 3}, MACHINE, tmp_path, **options
        )

    return make


def test_sides_take_turns(system, record):
    order = []

    def measure(side):
        order.append(side)
        return {"seconds": len(order)}

    kept = record()
    _runs.alternate("AB", 3, measure, kept)
    assert "".join(order) == "ABABAB"
    assert [run["seconds"] for run in kept.runs["B"]] == [2, 4, 6]


def test_a_part_that_was_stopped_goes_on_where_it_ended(system, record):
    order = []

    def measure(side):
        if len(order) == 3:
            raise KeyboardInterrupt
        order.append(side)
        return {"seconds": 1}

    with pytest.raises(KeyboardInterrupt):
        _runs.alternate("AB", 2, measure, record())
    again = []
    kept = record()
    _runs.alternate("AB", 2, lambda side: again.append(side) or {}, kept)
    assert order + again == ["A", "B", "A", "B"]
    assert not record(again=True).runs


@pytest.mark.parametrize("key", ["settings", "machine"])
def test_runs_of_other_settings_or_machines_are_not_mixed(key, record, monkeypatch):
    record().add("A", {"seconds": 1})
    settings = None
    if key == "settings":
        settings = {"images": 4}
    else:
        monkeypatch.setitem(MACHINE, "instructions", "AVX512")
    with pytest.raises(SystemExit, match=f"other {key}"):
        record(settings=settings)
    assert record(settings=settings, again=True).runs == {}


def test_a_record_is_written_at_once_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a_part.json"
    _runs.write_record(path, {"name": "μ"})
    with pytest.raises(TypeError):
        _runs.write_record(path, {"name": object()})
    assert _runs.read_record(path) == {"name": "μ"}
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("used", "quiet"),
    [
        ({"own": 20}, True),
        ({"own": 19, "others": 0.9}, True),  # 4.5 % of two processors' 20 seconds
        ({"own": 18, "others": 1.1}, False),
        ({"own": 18, "stolen": 1.1}, False),
        ({"others": 10}, False),
    ],
)
def test_a_run_beside_other_work_is_not_quiet(used, quiet, system, record):
    kept = record()
    _runs.alternate(["A"], 1, lambda side: system(10, **used) or {"seconds": 10}, kept)
    (run,) = kept.runs["A"]
    assert _quiet.is_quiet(run) == quiet
    assert ("not quiet" in _runs.describe_run(run)) != quiet
    assert run["others"] == pytest.approx(used.get("others", 0) / 20)
    assert run["stolen"] == pytest.approx(used.get("stolen", 0) / 20)


def test_the_counters_of_the_system_know_what_is_idle(monkeypatch):
    class Times(SimpleNamespace):
        def _asdict(self):
            return vars(self).copy()

    # A guest of this machine used 2 of the 10 seconds of "user".
    times = Times(
        user=10, nice=1, system=4, idle=60, iowait=5, irq=0, softirq=1, steal=3
    )
    times.guest, times.guest_nice = 2, 0
    monkeypatch.setattr(_quiet.psutil, "cpu_times", lambda: times)
    monkeypatch.setattr(_quiet, "read_own_seconds", lambda: 7.0)
    assert _quiet.read_counters() == _quiet.Counters(84, 16, 7.0, 3)


def test_own_seconds_count_processes_that_were_started():
    burn = "from time import process_time\nwhile process_time() < 0.2: pass\nprint(1)"
    before = _quiet.read_own_seconds()
    _runs.run_in_new_process("-c", burn)
    assert _quiet.read_own_seconds() - before > 0.15


def test_a_run_that_fails_ends_the_part_and_says_why():
    with pytest.raises(SystemExit, match="no such luck"):
        _runs.run_in_new_process("-c", "raise ValueError('no such luck')")


def test_no_time_is_quiet():
    now = _quiet.Counters(5, 4, 3, 0)
    assert _quiet.compare_counters(now, now) == {"others": 0, "stolen": 0}


def test_spread_and_ratios():
    ours = _runs.spread([{"s": 2}, {"s": 3}, {"s": 2.5}], "s")
    other = _runs.spread([{"s": 6}, {"s": 4}, {"s": 5}], "s")
    assert ours == _runs.Spread(2.5, 2, 3)
    assert _runs.times_as_good(ours, other) == (2, 1.6)
    assert _runs.times_as_good(other, ours, higher_is_better=True) == (2, 5 / 3)


def test_instructions_are_the_best_that_there_are(monkeypatch):
    for flags, name in (
        ("fpu avx2 avx512f avx512_bf16", "AVX512-bf16"),
        ("avx2 amx_bf16 avx512f", "AMX-bf16"),
        ("fpu", "not known"),
    ):
        monkeypatch.setattr(_quiet, "read_cpuinfo", lambda key, flags=flags: flags)
        assert _quiet.read_instructions() == name


def test_a_table_shows_spread_comparisons_and_noise(record, tmp_path, monkeypatch):
    quiet, noise = {"others": 0.01, "stolen": 0}, {"others": 0.234, "stolen": 0}
    kept = record("some_speed")
    kept.note_load()
    for speed in (20, 30, 25):
        kept.add("plain", {"speed": speed, **(noise if speed == 30 else quiet)})
        kept.add("ours", {"speed": 2 * speed, **quiet})
    rows = tuple(make_tables.Row(side, side, "speed") for side in ("plain", "ours"))
    table = make_tables.Table(
        "some_speed", "images a second", rows, (("ours", "plain"),), True
    )
    monkeypatch.setitem(make_tables.TABLES, "some", table)
    page = "before\n<!-- table some -->\nold\n<!-- end -->\nafter\n"
    shown = make_tables.fill_in_tables(page, tmp_path)
    assert "old" not in shown and shown.startswith("before\n<!-- table some -->\n")
    assert shown.endswith("<!-- end -->\nafter\n")
    assert (
        "| plain | 25.0 | 20.0 to 30.0 | 3 | not quiet in 1 of 3: others used 23 % |"
        in shown
    )
    assert "| ours | 50.0 | 40.0 to 60.0 | 3 |  |" in shown
    assert "| ours / plain | 2.00 | 1.67 | not quiet |" in shown
    assert "AVX2" in shown and "load average" in shown
    assert make_tables.fill_in_tables(shown, tmp_path) == shown


def test_a_table_without_results_stays(tmp_path):
    page = "<!-- table unet_speed -->\nold\n<!-- end -->\n"
    assert make_tables.fill_in_tables(page, tmp_path) == page


def test_tables_of_another_folder_are_written_beside_its_results(
    record, tmp_path, monkeypatch
):
    kept = record("reading")
    kept.note_load()
    kept.add("skinest, PNG masks", {"ms": 3, "others": 0, "stolen": 0})
    before = make_tables.README.read_text()
    monkeypatch.setattr(sys, "argv", ["make_tables.py", "--results", str(tmp_path)])
    make_tables.main()
    shown = (tmp_path / "tables.md").read_text()
    assert shown.startswith("## reading\n\n| ms a file |")
    assert "| PNG masks: skinest | 3.00 |" in shown
    assert shown.count("## ") == 1
    assert make_tables.README.read_text() == before


def test_make_bench_leaves_the_results_of_other_machines_alone():
    text = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^bench:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert all(line.endswith(" --results build/bench") for line in recipe.splitlines())
    scripts = {path.name for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert scripts <= set(re.findall(r"\w+\.py", recipe))
    assert "build/" in (ROOT / ".gitignore").read_text().splitlines()


def test_parts_of_networks_have_the_settings_of_the_results(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench_unet.py"])
    bench_unet = importlib.import_module("bench_unet")
    options = bench_unet.read_options()
    for part in options.parts:
        stored = _runs.read_record(_runs.RESULTS / f"unet_{part}.json")
        assert bench_unet.describe_settings(part, options) == stored["settings"]


def test_growth_is_an_exponent():
    spreads = {
        f"{kind}, {size} images": _runs.Spread(value, value, value)
        for kind, values in (("seconds", (2, 8)), ("peak GB", (1, 1)))
        for size, value in zip(("600", "9,600"), values, strict=True)
    }
    sentence = make_tables.compare_growth(spreads, make_tables.RESULTS)
    assert "exponent 0.50 and peak memory by 0.00" in sentence


def test_the_pace_is_that_of_the_folder_of_the_speeds(record, tmp_path):
    kept = record("unet_pace_speed")
    kept.note_load()
    for side in make_tables.PACED:
        speeds = dict.fromkeys(make_tables.TIMED, 50)
        kept.add(side, {**speeds, "others": 0, "stolen": 0})
    assert "The best Dice score" not in make_tables.render("unet_pace_speed", tmp_path)
    cells = [{"val_dice": [0.9]}, {"val_dice": [0.7, 0.8, 0.9]}]
    pace = json.dumps({"images": 100, "cells": cells})
    (tmp_path / "unet_pace.json").write_text(pace)
    shown = " ".join(make_tables.render("unet_pace_speed", tmp_path).split())
    assert "reached after 3 epochs of 100 images, which take 6 s" in shown
    assert "With the encoder it takes 1, 2 s" in shown


def test_each_network_has_a_row_in_the_tables_of_backbones(record, tmp_path):
    kept = record("backbones_larger")
    kept.note_load()
    sides = _backbone_tables.BACKBONE_SIDES
    for run in range(3):
        for side, ms in zip(sides[:3], (8, 4, 10), strict=True):
            values = {"ms": ms + run, "difference": run * 1e-6}
            kept.add(f"vgg19, {side}", {**values, "others": 0.2 * run, "stolen": 0})
    shown = _backbone_tables.show_times(tmp_path).splitlines()
    times = "9.00 (8.00 to 10.0) * | 5.00 (4.00 to 6.00) * | 11.0 (10.0 to 12.0) *"
    assert shown[2] == f"| vgg19 | {times} |  |  |"
    assert shown[6] == "| vgg19 | 1.80 / 1.60 | 0.818 / 0.727 |  |  |"
    differences = _backbone_tables.show_differences(tmp_path).splitlines()
    assert differences[2] == "| vgg19 | 2e-06 | 2e-06 |  |  |"


@pytest.mark.parametrize(
    ("rounded", "expected"),
    [(3.0, ("float32", "bfloat16")), (9.0, ("float32",))],
    ids=["fast", "slow"],
)
def test_a_row_of_the_table_follows_from_the_runs(rounded, expected):
    bench_backbones = importlib.import_module("bench_backbones")
    sides, openvino = _backbone_tables.BACKBONE_SIDES, _backbone_tables.OPENVINO
    forward = {
        side: [{"ms": ms + run, "difference": 1e-6} for run in range(3)]
        for side, ms in zip(sides, (9, 8, 7, 4, rounded - 1), strict=True)
    }
    assert bench_backbones.find_faster(forward) == expected
    forward[openvino[0]][1]["difference"] = 2e-5  # too far in float32
    assert "float32" not in bench_backbones.find_faster(forward)


def test_as_many_images_are_changed_as_in_the_results(monkeypatch):
    near_duplicates = importlib.import_module("near_duplicates")
    monkeypatch.setattr(sys, "argv", ["near_duplicates.py"])
    stored = _runs.read_record(_runs.RESULTS / "near_duplicates_changes.json")
    n_images = {change["images"] for change in stored["report"].values()}
    assert {near_duplicates.read_options().n_changed} == n_images


def test_the_page_has_each_table_once_and_says_what_the_results_say():
    page = make_tables.README.read_text()
    names = re.findall(r"<!-- table (\w+) -->", page)
    expected = [*make_tables.TABLES, *make_tables.SCORE_TABLES]
    assert sorted(names) == sorted(expected)
    assert page.count("<!-- end -->") == len(re.findall("<!-- (?!end)", page))
    assert make_tables.fill_in_tables(page) == page


def test_results_name_no_place_of_a_machine():
    for path in make_tables.RESULTS.rglob("*.json"):
        content = json.loads(path.read_text())
        if "runs" in content:  # a comparison of speeds
            assert set(content) == {"settings", "machine", "days", "loads", "runs"}
        assert not re.search(r"/(home|root|tmp|work|Users)/", path.read_text())


def test_the_picture_of_few_masks_shows_the_results(monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.syspath_prepend(ROOT / "docs")
    picture = importlib.import_module("few_masks_picture")
    figure = picture.draw()
    cells = json.loads((make_tables.RESULTS / "unet_few.json").read_text())["cells"]
    assert len(cells) == 6
    for ax, name in zip(figure.axes, ("Dice", "below .7"), strict=True):
        shown = {container.get_label(): container for container in ax.containers}
        for encoder, label in picture.LABELS.items():
            found = [cell for cell in cells if cell["encoder"] == encoder]
            line, _, (bars,) = shown[label].lines
            assert line.get_xdata().tolist() == [cell["images"] for cell in found]
            assert line.get_ydata().tolist() == [cell[name][0] for cell in found]
            limits = [segment[:, 1].tolist() for segment in bars.get_segments()]
            np.testing.assert_allclose(limits, [cell[name][1:] for cell in found])
