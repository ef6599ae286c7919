"""The page of a comparison says what was measured and judged, draws what the sums say, and needs nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcache.base.visible import on_a_line
from students.compare.report import page, write_page
from students.compare.result.sums import Workload
from students.compare.result.table import table
from students.compare.result.verdict import verdict
from students.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH
from tests.students.comparisons import JOB, comparison, teacher
from tests.students.reader import Reader

MANY = (
    "on-stream", "off-stream", "off-stream:k=1", "off-stream:k=50", "off-stream:codec=full:float16", "hard-labels",
    "no-teacher",
)  # fmt: skip
EVIL = "<script>alert('x')</script>&\"fox\""


def read(found):
    return Reader(page(found, verdict(found)))


def pieces(found, start, name):
    """Elements of a name in the chart whose title starts so; places as numbers where they are."""
    whole = page(found, verdict(found))
    chart = next(
        f for f in re.findall(r"<figure.*?</figure>", whole) if f">{start}" in f.split('<svg viewBox="0 0 400')[0]
    )
    return [place for element, place in Reader(chart).seen if element == name]


def rings(found, start="Time of the whole job"):
    return [place for place in pieces(found, start, "circle") if place["r"] == "4.5"]


def height_at(line, x):
    """Where a straight line is at x."""
    (x1, y1), (x2, y2) = [[float(n) for n in point.split(",")] for point in line["points"].split()]
    return y1 + (x - x1) / (x2 - x1) * (y2 - y1)


@pytest.mark.parametrize("found", [comparison(), comparison(MANY, device=True, room=True)], ids=["two", "many"])
def test_the_page_is_whole_and_needs_nothing_else(found):
    seen = read(found)
    assert seen.names.isdisjoint({"script", "link", "iframe", "object", "img"})
    assert seen.addresses == []
    whole = page(found, verdict(found))
    assert "url(" not in whole
    assert "http" not in whole
    assert "@import" not in whole


@pytest.mark.parametrize("found", [comparison(), comparison(MANY, device=True, room=True)], ids=["two", "many"])
def test_every_way_sentence_and_line_of_the_table_is_on_it(found):
    judged = verdict(found)
    words = read(found).words
    assert judged.sentences
    for text in (*judged.sentences, *(arm.name.partition(":")[0] for arm in found.arms)):
        assert text in words
    for name, *cells in table(found, judged):
        assert name.strip() in words
        for cell in cells:
            mean, _, half = cell.partition(" ± ")
            assert mean.partition(" (")[0] in words
            assert half in words


def test_what_it_is_told_cannot_break_it():
    found = comparison(
        student=EVIL, images=EVIL, machine=EVIL, device=False, teacher=teacher(family=EVIL, taps={EVIL: EVIL})
    )
    seen = read(found)
    assert "script" not in seen.names
    assert seen.words.count(EVIL) >= 4


@given(st.text(), st.text())
def test_any_name_survives(student, images):
    words = read(comparison(repeat=1, student=student, images=images)).words
    for text in (student, images):
        shown = " ".join(on_a_line(line) for line in text.split("\n"))
        assert " ".join(shown.split()) in words


def test_the_answer_is_first_and_the_chart_that_shows_it_second():
    found = comparison(recipe_epochs=10.0)
    words, sentence = read(found).words, verdict(found).answer.sentence
    places = [
        words.index(text) for text in (sentence, "with 95 % confidence", "Time of the whole training", "Side by side")
    ]
    assert places == sorted(places)
    bars = [place for place in pieces(found, "Time of the whole training", "rect") if "x" in place]
    on, build, off = (float(bar["width"]) for bar in bars)
    assert (build / on, off / on) == pytest.approx((80 / 510, 306 / 510), abs=1e-3)


def test_the_crossing_is_drawn_where_the_sums_say():
    """0.08 s for a view; 10 images take 0.51 s connected and 0.306 s from the cache: 3.92 of 10 epochs."""
    found = comparison()
    pays = verdict(found).rows[1].pays
    assert pays.epochs == pytest.approx(0.08 / 0.0204)
    (ring,) = rings(found)
    assert float(ring["cx"]) == pytest.approx(LEFT + 3.9216 / 10 * (WIDTH - LEFT - RIGHT), abs=0.1)
    lines = [line for line in pieces(found, "Time of the whole job", "polyline") if line["points"].count(",") == 2]
    drawn = [line for line in lines if not line["points"].startswith("0,")]
    assert len(drawn) == 2, "one line for each way, beside the legend's"
    for line in drawn:
        assert height_at(line, float(ring["cx"])) == pytest.approx(float(ring["cy"]), abs=0.2)
    assert height_at(drawn[0], LEFT) == pytest.approx(HEIGHT - BOTTOM), "connected costs nothing before it begins"
    assert height_at(drawn[1], LEFT) < HEIGHT - BOTTOM - 5, "the cache has to be built first"
    assert "off-stream: 3.92 epochs" in read(found).words


def test_of_several_students_all_epochs_count():
    """Two of 10 epochs: the cache has paid for itself after 3.92 of 20."""
    found = comparison(job=JOB.model_copy(update={"students": 2}))
    (ring,) = rings(found, "Time of the beginning")
    assert float(ring["cx"]) == pytest.approx((LEFT + WIDTH - RIGHT) / 2, abs=0.1)
    assert "epochs, of all students together" in read(found).words


def test_an_early_crossing_gets_a_chart_of_its_own():
    found = comparison(job=JOB.model_copy(update={"epochs": 90.0}))
    assert len(rings(found, "Time of the beginning of the job")) == 1
    assert rings(found) == []


def test_a_crossing_beyond_the_job_is_drawn_and_one_far_beyond_is_not():
    assert len(rings(comparison(job=JOB.model_copy(update={"epochs": 3.0})))) == 1
    assert rings(comparison(job=JOB.model_copy(update={"epochs": 0.5}))) == []


def test_a_cache_that_never_pays_has_no_crossing():
    found = comparison(slow={"off-stream": 0.6})
    assert rings(found) == []
    assert "off-stream does not pay" in read(found).words


def test_a_bar_is_as_long_as_its_step_and_split_like_it():
    """0.51 s a step: 0.02 waiting, 0.2 teacher, 0.26 student, 0.02 optimiser, and 0.01 of rest."""
    bars = [place for place in pieces(comparison(), "Time of a step", "rect") if "x" in place]
    on = [float(bar["width"]) for bar in bars if bar["y"] == bars[0]["y"]]
    assert [width / sum(on) for width in on] == pytest.approx(
        [0.02 / 0.51, 0.2 / 0.51, 0.26 / 0.51, 0.02 / 0.51, 0.01 / 0.51], abs=1e-3
    )
    off = [float(bar["width"]) for bar in bars if bar["y"] != bars[0]["y"]]
    assert len(off) == 4, "nobody waits for a teacher"
    assert sum(off) / sum(on) == pytest.approx(0.6, abs=1e-3)


def test_the_memory_of_a_device_is_drawn_where_there_is_one():
    found = comparison(device=True)
    bars = [float(place["width"]) for place in pieces(found, "Memory of the device", "rect") if "x" in place]
    assert bars[1] / bars[0] == pytest.approx(2 / 9, abs=1e-2), "9 GB in tensors, 11 GB held"
    assert "Memory of the device" not in read(comparison()).words


def test_losses_of_all_ways_share_one_axis_with_a_band_for_the_repeats():
    found = comparison(("on-stream", "off-stream", "hard-labels"))
    assert len(pieces(found, "Loss while training", "polygon")) == 3
    words = read(found).words
    assert "A loss against true classes and one against a teacher are not the same quantity." in words
    assert "not the same quantity" not in read(comparison()).words


def test_one_repeat_has_no_intervals():
    found = comparison(repeat=1)
    seen = read(found)
    assert "polygon" not in seen.names
    assert "Measured once" in seen.words
    assert pieces(found, "Time of a step", "circle") == []


@pytest.mark.parametrize("random", [teacher(source="random:0"), teacher(head=teacher(source="random:0").weights)])
def test_random_weights_are_stamped(random):
    assert "RANDOM WEIGHTS: this teacher was never trained" in read(comparison(teacher=random)).words
    assert "RANDOM WEIGHTS" not in read(comparison()).words


def test_without_a_connected_teacher_it_says_that_nothing_can_be_said():
    words = read(comparison(("off-stream", "hard-labels"))).words
    assert "no arm had a connected teacher" in words
    assert words.startswith(
        "tinyvit-5m, trained 2 ways Nothing can be said about what a cache saves, because no arm had a"
    )


def test_the_sums_are_written_out():
    """1 student, 10 epochs, 1,000 images, 51 ms each: 510 s."""
    words = read(comparison()).words
    assert "on-stream: 1 × 10 × 1,000 × 51 ms / 1 = 8 min 30 s" in words
    assert "off-stream: (1 × 1,000 × 80 ms + 1 × 10 × 1,000 × 30.6 ms) / 1 = 6 min 26 s" in words
    assert "E* = 1 × 80 ms / (51 ms - 30.6 ms) = 3.92 epochs, M* = 0.392 students" in words


def test_the_papers_own_figures_stand_beside_ours():
    found = comparison(project=Workload(images=36_000, epochs=10.0, views=1, gpus=4))
    assert "TinyViT" not in read(found).words, "not asked for"
    words = Reader(page(found, verdict(found), papers=True)).words
    for text in ("92.4 days", "140 days", "330.9 days", "29.8%", "4 hours", "3,700 MiB", "-180 GB"):
        assert text in words
    assert "off-stream 48 min 00 s 3 h 03 min 3 h 51 min 5 h 06 min 24.3%" in words, (
        "of devices, of which there are four"
    )


def test_where_it_comes_from_is_told():
    words = read(comparison(("on-stream", "off-stream:k=3"))).words
    assert "package:florence-nano, sha256 " + "5eed" * 16 in words
    assert "48 kB for 1,000 images × 1 view, 80 ms ± 4 ms each: logits topk:3, converted from base" in words


def test_it_is_written_beside_the_figures(tmp_path):
    found = comparison()
    path = write_page(found, verdict(found), tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text("utf-8") == page(found, verdict(found))
