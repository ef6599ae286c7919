"""Few-shot episodes: fair draws, heads that are torch's own, and numbers that depend on nothing but the seed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.base.progress import Silent
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from students.judging.features import look_once
from students.judging.pictures import Pictures, labelled
from students.tasks.few_shot import Settings
from students.tasks.few_shot.episodes import draw_episodes, drawable_classes, measure
from students.tasks.few_shot.heads import epoch_orders, first_weights, fit_heads, right_answers
from students.tasks.few_shot.numbers import FewShot
from tests.students.judging import Labelled, Tiny, cycling, judged_by, noise, spec_of, student_of

PRESET = load_preset("tasks", "few-shot", FewShot)


def judged(source, settings):
    wanted = Settings.from_plain(settings.plain())
    return judged_by("few-shot", Tiny(2), spec_of("left", "right"), source, settings=wanted)


def small(**changes):
    values = {"shots": (2,), "queries": 3, "episodes": 6, "epochs": 3, "way": 3}
    return PRESET.model_copy(update=values | changes)


def clustered(classes=8, each=12, width=10, spread=0.5):
    labels = np.repeat(np.arange(classes), each)
    features = noise(classes, width, 1)[labels] + noise(len(labels), width, 2) * spread
    return torch.from_numpy(features.astype(np.float32)), labels


def measured(features, labels, settings, shots=2, seed=0):
    return measure(features, labels, settings, shots, seed=seed, progress=Silent(), name="clusters")


def test_the_preset_has_the_numbers_of_the_benchmark():
    assert (PRESET.way, PRESET.shots, PRESET.queries, PRESET.episodes) == (5, (5, 20, 50), 15, 600)
    assert (PRESET.epochs, PRESET.batch, PRESET.rate, PRESET.decay) == (100, 4, 0.01, 0.001)
    assert (PRESET.momentum, PRESET.dampening) == (0.9, 0.9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(1, 5))
def test_an_episode_asks_about_other_images_of_its_own_classes(seed, shots):
    _, labels = clustered()
    settings = small()
    classes = np.array([0, 2, 3, 5, 7])
    support, queries = draw_episodes(labels, classes, settings, shots, seed)
    for given_rows, asked in zip(support, queries, strict=True):
        assert len({*given_rows, *asked}) == settings.way * (shots + settings.queries), "no image twice"
        of_support = labels[given_rows].reshape(settings.way, shots)
        of_queries = labels[asked].reshape(settings.way, settings.queries)
        assert (of_support == of_support[:, :1]).all()
        assert (of_queries == of_support[:, :1]).all()
        assert len(set(of_support[:, 0])) == settings.way
        assert set(of_support[:, 0]) <= set(classes.tolist())


def test_every_class_and_image_is_drawn_about_as_often():
    _, labels = clustered()
    support, _ = draw_episodes(labels, np.arange(8), small(episodes=2000), 2, 0)
    counts = np.bincount(support.ravel(), minlength=len(labels))
    assert abs(counts / counts.mean() - 1).max() < 0.35
    assert abs(np.bincount(labels[support].ravel()) / support.size * 8 - 1).max() < 0.05


def test_heads_are_those_of_torch_sgd():
    """An episode of 3 x 3 images in batches of 4 (the last of an epoch has 1), beside nn.Linear and torch.optim.SGD."""
    features, labels = clustered()
    settings, seed, episode = small(epochs=7), 3, 4
    support, _ = draw_episodes(labels, np.arange(8), settings, 3, seed)
    seen = torch.cat([features, torch.ones(len(features), 1)], 1)
    one = range(episode, episode + 1)
    ours = fit_heads(seen, support[episode : episode + 1], settings, seed, one, Silent())[0]

    head = torch.nn.Linear(10, 3)
    start = first_weights(10, 3, 3, seed, one)[0]
    with torch.no_grad():
        head.weight.copy_(start[:, :-1])
        head.bias.copy_(start[:, -1])
    optimiser = torch.optim.SGD(head.parameters(), lr=0.01, momentum=0.9, dampening=0.9, weight_decay=0.001)
    truth = torch.arange(3).repeat_interleave(3)
    for order in epoch_orders(9, 7, 3, seed, one)[0]:
        for first in range(0, 9, 4):
            places = torch.from_numpy(order[first : first + 4])
            optimiser.zero_grad()
            rows = torch.from_numpy(support[episode])[places]
            torch.nn.functional.cross_entropy(head(features[rows]), truth[places]).backward()
            optimiser.step()
    assert torch.allclose(ours[:, :-1], head.weight, atol=1e-6)
    assert torch.allclose(ours[:, -1], head.bias, atol=1e-6)
    assert not torch.allclose(ours, start, atol=1e-3), "the head has learnt something"


def test_an_episode_does_not_know_of_the_others():
    features, labels = clustered()

    def answers(episodes, take):
        settings = small(episodes=episodes)
        support, queries = draw_episodes(labels, np.arange(8), settings, 2, 0)
        return right_answers(features, support, queries, settings, seed=0, progress=Silent())[:take]

    assert (answers(130, 5) == answers(5, 5)).all()


def test_the_seed_is_all_that_matters():
    features, labels = clustered(spread=2.0)
    first = measured(features, labels, small())
    torch.manual_seed(1)
    np.random.seed(1)
    assert measured(features, labels, small()) == first
    assert measured(features, labels, small(), seed=1) != first


def test_features_that_tell_classes_apart_score_high_and_noise_scores_chance():
    settings = small(episodes=150, epochs=30, queries=5)
    good = measured(*clustered(spread=0.1), settings, shots=5)  # type: ignore[call-arg, misc]
    assert good.accuracy > 0.95
    _, labels = clustered()
    chance = measured(torch.from_numpy(noise(len(labels), 10, 5).astype(np.float32)), labels, settings, shots=5)
    assert abs(chance.accuracy - 1 / 3) < 2 * chance.half_width
    assert 0.005 < chance.half_width < 0.05


def test_a_folder_of_any_classes_will_do():
    """The student's own classes play no part."""
    source = cycling(60, ("a", "b", "c", "d"))
    report = judged(source, small(shots=(1, 4)))
    assert [marks.shots for marks in report.marks] == [1, 4]
    assert [marks.classes for marks in report.marks] == [4, 4]
    assert report.images == 60
    again = judged(source, small(shots=(4,)))
    assert again.marks == report.marks[1:], "what is asked besides changes nothing"


def test_features_of_a_real_student_are_what_its_classifier_sees():
    from students.families.registry import build_student, student_spec

    spec = student_spec("tinyvit-5m", classes=("left", "right"), size=32)
    network, source = build_student(spec), cycling(6, ("a", "b"))
    with Pictures(labelled(source), spec, workers=0, batch=4) as pictures:
        student = student_of(network.eval(), spec)
        features, labels = look_once(student, pictures, progress=Silent())
        (_, logits), *_ = pictures.look(student.ask("logits"), progress=Silent())
    assert features.shape == (6, 320)
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert torch.allclose(network.head.fc(features)[:4], logits, atol=1e-5)


def test_unreadable_images_are_named_and_not_drawn():
    good = cycling(60, ("a", "b", "c", "d"))
    source = Labelled(ids=("bad-1", *good.ids), labels=(0, *good.labels), classes=good.classes)
    report = judged(source, small())
    assert report.rejected == {"bad-1": "bad-1 is broken"}
    expected = judged(good, small())
    assert report.marks == expected.marks


def test_too_few_images_are_refused_before_anything_is_rendered():
    source = Labelled(ids=("gone-1", "gone-2"), labels=(0, 1), classes=("a", "b"))
    with pytest.raises(
        UsageError, match=r"few-shot needs 3 classes with 5 images each .* 0 of the 2 classes of painted"
    ):
        judged(source, small())


@pytest.mark.parametrize(
    ("each", "changed", "way"),
    [
        ((9, 9), {}, "--shots 2 --set way=2 fits these images; or give images of more classes"),
        ((9,), {}, "give images of more classes"),
        ((9, 8, 4), {"shots": (3,)}, "--shots 1 fits these images; or give more images per class"),
        ((9, 3, 3), {}, "--shots 1 --set queries=2 fits these images; or give more images per class"),
        ((9, 9, 1), {}, "--shots 2 --set way=2 fits these images; or give more images per class"),
        ((9, 3), {}, "--shots 1 --set way=2 --set queries=2 fits these images; or give images of more classes"),
        ((1, 1, 1), {}, "give more images per class"),
    ],
)
def test_what_the_images_are_enough_for_is_told(each, changed, way):
    labels = tuple(number for number, count in enumerate(each) for _ in range(count))
    source = Labelled(ids=tuple(f"gone-{n}" for n in range(len(labels))), labels=labels, classes=("a", "b", "c"))
    with pytest.raises(UsageError) as refused:
        judged(source, small(**changed))
    assert refused.value.hint == way
    if way.startswith("--shots"):  # with these options nothing is refused
        words = dict(word.split("=") for word in way.partition(" fits")[0].split() if "=" in word)
        said = {"shots": (int(way.split()[1]),), **{key: int(value) for key, value in words.items()}}
        drawable_classes(np.array(labels), small(**changed | said), said["shots"][0], "painted")


def test_shots_are_given_once():
    with pytest.raises(ValueError, match="give each number once"):
        FewShot.from_plain(PRESET.plain() | {"shots": [5, 5]})
