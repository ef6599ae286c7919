"""What make experiment-when-it-pays writes, from measurements that are made up; and that the page is what it would write."""

import json
import re
from xml.etree import ElementTree

import pytest

from tests.experiments import when_it_pays
from tests.experiments.pays_page import BEGIN, END, NAME, NOT_YET, PAGE, figures, filled, results, write
from tests.experiments.trials import RESULTS


def measured(name, connected, cached, view, *, half=0.0, **changes):
    usual = {"name": name, "teacher": "timm:resnet18", "sees": 128, "student": "tinyvit-5m", "pixels": 32}
    return {
        **usual, "batch": 8, "steps": 4, "connected": connected, "cached": cached, "view": view, "view_half": half,
        "seconds": 60.0, **changes,
    }  # fmt: skip


LARGE = measured("large", [21.0, 21.0, 21.0], [1.0, 1.0, 1.0], 20.0)
SMALL = measured("small", [1.2, 1.3, 1.1], [1.0, 1.0, 1.0], 0.2, half=0.02, teacher="florence", sees=64)
USELESS = measured("useless", [1.0, 1.0], [1.0, 1.0], 0.1)


def saved_by(case, views, epochs, students):
    (one,) = [
        one for one in case["saves"] if (one["views"], one["epochs"], one["students"]) == (views, epochs, students)
    ]
    return one


def test_measurements_become_what_the_formula_says():
    """A teacher that adds 20 steps, used 6 times: (6 × 21 - 20 - 6 × 1) / (6 × 21) of the time."""
    found = results([LARGE, SMALL], "a machine")
    large, small = found["cases"]
    assert (large["ratio"], large["even"]) == pytest.approx((20.0, 1.0))
    assert saved_by(large, 1, 6, 1)["mean"] == pytest.approx(100 / 126)
    assert saved_by(large, 90, 90, 1)["mean"] == pytest.approx(0.0, abs=1e-9), "every view is used once"
    assert saved_by(large, 90, 90, 5)["mean"] == pytest.approx(1 - (20 + 5) / (5 * 21))
    assert saved_by(large, 1, 6, 1)["half"] == pytest.approx(0.0, abs=1e-9), "all repeats were alike"
    assert small["ratio"] == pytest.approx(0.2)
    assert small["even_low"] < 1.0 < small["even"] + 0.1
    assert small["even_high"] is None, "at one end of its interval the teacher adds nothing"
    assert saved_by(small, 1, 6, 1)["half"] > 0.05


def test_the_examples_are_the_measured_teachers_nearest_to_them():
    found = results([SMALL, LARGE], "a machine")
    assert {one["letter"]: one["case"] for one in found["examples"]} == {
        "A": "large", "B": "large", "C": "large", "D": "small",
    }  # fmt: skip
    a, b, c, _ = found["examples"]
    assert [one["uses"] for one in (a, b, c)] == [6.0, 30.0, 1.0]
    assert a["saves"] < b["saves"]
    assert c["pays_after"] == pytest.approx(90.0)


def test_a_teacher_that_adds_nothing_is_in_the_table_and_not_in_the_picture(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n{BEGIN}\n{END}\nEnd\n", "utf-8")
    write(results([USELESS, LARGE], "a machine"), tmp_path, page)
    text, picture = page.read_text("utf-8"), (tmp_path / f"{NAME}.svg").read_text("utf-8")
    assert "| never |" in text
    assert picture.count("steps, has paid for itself") == 1, "one dot"


def test_the_page_keeps_what_is_written_by_hand_and_gets_every_figure(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n{BEGIN}\nold\n{END}\nEnd\n", "utf-8")
    write(results([LARGE, SMALL], "2 cores"), tmp_path, page)
    text = page.read_text("utf-8")
    assert text.startswith("# Page\n")
    assert text.endswith("\nEnd\n")
    assert "old" not in text
    assert "a connected teacher adds 20 steps" in text
    assert "saves 79.4 ± 0.0 % of the time, and has paid for itself after 1 epochs" not in text, (
        "one epoch is no plural"
    )
    assert "saves 79.4 ± 0.0 % of the time, and has paid for itself after 1 epoch." in text
    assert json.loads((tmp_path / f"{NAME}.json").read_text("utf-8"))["machine"] == "2 cores"
    write(results([LARGE, SMALL], "2 cores"), tmp_path, page)
    assert page.read_text("utf-8") == text, "the same figures give the same page"


def test_a_page_without_its_marks_is_not_overwritten():
    with pytest.raises(AssertionError, match="lost its marks"):
        filled("# Page\n", "figures")


def test_the_picture_is_a_file_of_its_own_in_which_nothing_lies_outside(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}\n", "utf-8")
    far = measured("far", [900.0, 900.0], [1.0, 1.0], 900.0)
    write(results([SMALL, LARGE, far], "a <machine>"), tmp_path, page)
    root = ElementTree.parse(tmp_path / f"{NAME}.svg").getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    circles = [one for one in root.iter() if one.tag.endswith("circle")]
    assert len(circles) == 3 + 4, "three measured points, four examples"
    for one in circles:
        assert 0 < float(one.attrib["cx"]) < width
        assert 0 < float(one.attrib["cy"]) < height
    words = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert "a cache costs more time than it saves" in words
    assert "measured on a <machine>" in words


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    case = when_it_pays.QUICK[0]
    calls = []

    def compared(case, out, repeat):
        calls.append(case.name)
        out.mkdir()
        settings = when_it_pays._settings(case)
        return {**settings, "connected": [2.0], "cached": [1.0], "view": 1.0, "view_half": None}

    monkeypatch.setattr(when_it_pays, "_compared", compared)
    first = when_it_pays.measure(case, tmp_path, 1)
    assert when_it_pays.measure(case, tmp_path, 1) == first
    assert calls == [case.name]
    assert [path.name for path in tmp_path.iterdir()] == [f"{case.name}.json"], "one small file is all that is left"


def test_a_measurement_with_other_settings_is_not_taken_for_this_one(tmp_path, monkeypatch):
    case = when_it_pays.QUICK[0]
    kept = {**when_it_pays._settings(case), "steps": 99, "connected": [2.0], "cached": [1.0], "view": 1.0}
    (tmp_path / f"{case.name}.json").write_text(json.dumps(kept), "utf-8")
    with pytest.raises(SystemExit, match="remove the file"):
        when_it_pays.measure(case, tmp_path, 1)


def test_the_cases_reach_from_cheap_to_costly_and_have_names_of_their_own():
    names = [case.name for case in when_it_pays.CASES]
    assert len(set(names)) == len(names)
    assert all(case.images >= 2 * case.batch for case in when_it_pays.CASES), (
        "an interval of the build needs some parts"
    )


def test_the_page_says_what_the_results_say():
    """Every figure between the marks of docs/when-it-pays.md comes from docs/results/when-it-pays.json."""
    inside = re.search(f"{re.escape(BEGIN)}\n\n(.*)\n\n{re.escape(END)}", PAGE.read_text("utf-8"), re.DOTALL)
    assert inside is not None
    kept = RESULTS / f"{NAME}.json"
    if inside[1] == NOT_YET:
        assert not kept.exists(), "it has been measured: run make experiment-when-it-pays to the end"
    else:
        assert inside[1] == figures(json.loads(kept.read_text("utf-8")))


@pytest.mark.slow
def test_quick_measures_and_writes_into_its_own_folder(tmp_path, capsys):
    before = PAGE.read_text("utf-8")
    when_it_pays.main([str(tmp_path), "--quick"])
    found = json.loads((tmp_path / "quick" / f"{NAME}.json").read_text("utf-8"))
    assert [case["name"] for case in found["cases"]] == [case.name for case in when_it_pays.QUICK]
    assert all(case["connected"][0] > 0 and case["view"] > 0 for case in found["cases"])
    assert "a connected teacher adds" in (tmp_path / "quick" / "page.md").read_text("utf-8")
    assert PAGE.read_text("utf-8") == before
    assert "wrote" in capsys.readouterr().out
