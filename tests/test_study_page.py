"""The page of the study: its tables, and the command that makes its results again."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("psutil")
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "study.rst"

study, tables = map(importlib.import_module, ("study", "_study_tables"))

RECORDS = tables.read_records()


def read_table(page, name):
    """Return the rows of a table of the page, read as a reader of the page would."""
    (block,) = re.findall(rf"\.\. table {name}\n(.*?)\.\. end\n", page, re.DOTALL)
    rows = []
    for line in block.splitlines():
        found = re.match(r"   (\* -|  -)(?: (.*))?$", line)
        if found and found[1] == "* -":
            rows.append([found[2] or ""])
        elif found:
            rows[-1].append(found[2] or "")
        elif rows and line.strip():  # a cell goes on
            rows[-1][-1] += " " + line.strip()
    return rows


@pytest.mark.parametrize("name", tables.TABLES)
def test_each_row_of_the_page_is_that_of_the_results(name):
    rows = tables.make_rows(tables.TABLES[name], RECORDS) or []
    shown = read_table(PAGE.read_text(), name)
    for row, expected in zip(shown, rows, strict=True):
        assert row == expected
        assert len(row) == len(rows[0])


def test_the_page_is_what_the_command_writes():
    page = PAGE.read_text()
    assert tables.fill_in_study(page) == page


def test_the_page_says_how_to_make_each_result_again():
    named = re.findall(r"``python benchmarks/study\.py (\w+)``", PAGE.read_text())
    assert sorted(named) == sorted(RECORDS)
    assert set(RECORDS) <= set(study.PARTS)
    shown = " ".join(PAGE.read_text().split())
    for name, record in RECORDS.items():
        assert record["command"] == study.describe_command(study.PARTS[name])
        assert f"``{record['command']}``" in shown


def test_results_name_no_place_of_a_machine():
    for path in tables.FOLDER.glob("*.json"):
        assert not re.search(r"/(home|root|tmp|work|Users)/", path.read_text())


def test_a_page_without_results_stays(tmp_path):
    page = "before\n.. table words\nold\n.. end\n.. run leak\n.. end\nafter\n"
    assert tables.fill_in_study(page, tmp_path) == page


def test_numbers_are_written_as_the_page_has_them():
    assert [tables.say_score(value) for value in (0.8125, 1.0, -0.0071, None)] == [
        ".812",
        "1.000",
        "-.007",
        tables.NONE,
    ]
    assert tables.say_known([0.5, 0.456, 0.6]) == ".500 [.46, .60]"
    assert tables.say_known([0.5]) == ".500"
    assert tables.say_difference([0.02, -0.01, 0.05]) == "+.020 [-.010, +.050]"


# The command


SCRIPT = """
import json, sys
from pathlib import Path
scores, state = Path(sys.argv[3]), Path(sys.argv[5])
assert sys.argv[1] == "some weights"
if not state.exists():
    state.touch()
    sys.exit("stopped")
scores.write_text(json.dumps({"accuracy": 0.5}))
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Return a function that runs a part whose script is stopped at its first run."""
    monkeypatch.setattr(study, "ROOT", tmp_path)
    monkeypatch.setattr(study, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(study, "describe_machine", lambda **options: {"cores": 2})
    monkeypatch.setattr(study, "is_quiet", lambda run: True)
    (tmp_path / "script.py").write_text(SCRIPT)
    part = study.Part("script.py", "'{vgg16}'", can_continue=True)

    def run(**settings):
        defaults = {"state": tmp_path / "state", "data_home": None, "again": False}
        weights = {"vgg16": "some weights", "mobilenetv2": "imagenet"}
        options = SimpleNamespace(**{**defaults, **weights, **settings})
        study.run_part("part", part, options)
        return json.loads((tmp_path / "results" / "part.json").read_text())

    return run


def test_a_part_that_was_stopped_continues_and_its_time_is_added(command, tmp_path):
    with pytest.raises(SystemExit, match="what is done is kept in"):
        command()
    assert not (tmp_path / "results").exists()
    times = tmp_path / "state" / "part" / "times.json"
    assert json.loads(times.read_text()).keys() == {"wall", "processor"}
    times.write_text('{"wall": 600, "processor": 1200}')
    record = command()
    assert record["scores"] == {"accuracy": 0.5}
    assert record["command"] == "python script.py 'FILE'"
    assert record["minutes"] == pytest.approx(10, abs=0.2)
    assert "note" not in record


IMAGES = """
import json, os, sys
from pathlib import Path
scores = {"folder": os.environ.get("SKINEST_DATA")}
Path(sys.argv[sys.argv.index("--scores") + 1]).write_text(json.dumps(scores))
"""


def test_parts_have_the_images_that_the_table_names(command, tmp_path, monkeypatch):
    """Scripts take real images if there are archives, else synthetic ones."""
    (tmp_path / "script.py").write_text(IMAGES)
    monkeypatch.setenv("SKINEST_DATA", str(tmp_path / "of the shell"))
    monkeypatch.setattr(study, "STUDY", tmp_path / "page.rst")
    (tmp_path / "page.rst").write_text("")
    fetched = []
    parts = {
        "real": study.Part("script.py", fetch=fetched.append),
        "also": study.Part("script.py", fetch=fetched.append),
        "synthetic": study.Part("script.py"),
    }
    monkeypatch.setattr(study, "PARTS", parts)
    monkeypatch.chdir(tmp_path)
    arguments = ["study.py", "--data-home", "archives", "--state", str(tmp_path / "s")]
    monkeypatch.setattr(sys, "argv", arguments)
    study.main()
    study.main()
    assert fetched == ["archives"]  # before the first part, and not for stored ones
    for name in parts:
        stored = json.loads((tmp_path / "results" / f"{name}.json").read_text())
        expected = None if name == "synthetic" else str(tmp_path / "archives")
        assert stored["scores"] == {"folder": expected}


def test_nothing_runs_if_archives_can_not_be_had(command, tmp_path, monkeypatch):
    def fetch(data_home):
        raise OSError("archives are missing")

    part = study.Part("script.py", "'{vgg16}'", fetch=fetch)
    monkeypatch.setattr(study, "PARTS", {"first": study.Part("script.py"), "x": part})
    monkeypatch.setattr(sys, "argv", ["study.py", "--state", str(tmp_path / "s")])
    with pytest.raises(OSError, match="archives are missing"):
        study.main()
    assert not (tmp_path / "s").exists()


def test_each_part_with_real_images_fetches_them():
    with_real = {name for name, part in study.PARTS.items() if part.fetch}
    assert set(study.PARTS) - with_real == {"structures", "losses"}


def test_the_processor_time_is_noted_if_other_programs_ran_too(
    command, tmp_path, monkeypatch
):
    with pytest.raises(SystemExit):
        command()
    times = tmp_path / "state" / "part" / "times.json"
    times.write_text('{"wall": 6000, "processor": 1200}')
    monkeypatch.setattr(study, "is_quiet", lambda run: False)
    assert command()["note"].startswith("20 minutes of processor time, while other")


def test_a_part_that_is_stored_is_made_again_only_if_asked(command, tmp_path, capsys):
    with pytest.raises(SystemExit):
        command()
    command()
    (tmp_path / "script.py").write_text("raise ValueError")
    command()
    assert "--again makes it again" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command(again=True)
