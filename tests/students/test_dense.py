"""Students of dense targets: they share the teacher's encoder, and need no image where its outputs were kept."""

from pathlib import Path

import pytest
import torch

from kdcache.errors import Mismatch, UsageError
from tests.students.conftest import build_cache, learn, losses_of, trained_by, weights_of
from tests.teachers import test_data2vec as published
from tests.teachers.test_data2vec import tensors as tensors

DENSE = ("inputs", "targets", "cls-layers")


def dense_cache(out: Path, signals: tuple[str, ...] = DENSE, codec: str = "float32", **asked) -> Path:
    codecs = dict.fromkeys(signals, codec)
    return build_cache(
        out,
        teacher="data2vec",
        size="nano",
        weights="random",
        signals=signals,
        codecs=codecs,
        recipe="data2vec",
        data="shapes:count=48,size=64",
        **asked,
    )


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """48 images, everything the student may want, to the last bit."""
    return dense_cache(tmp_path_factory.mktemp("dense") / "c", views=2)


def teach(out, cache, **asked):
    return learn(out, cache, student="data2vec-nano", size=None, **asked)


def test_the_encoder_is_the_teachers_and_never_learns(dense, tmp_path):
    from kdcache.cache import Cache
    from kdcache.teachers.reopen import reopen_network

    run, _ = teach(tmp_path / "run", dense, steps=3)
    own = reopen_network(Cache.open(dense).teacher)
    network = run.network()
    for name, tensor in own.encoder.state_dict().items():
        assert torch.equal(network.encoder.state_dict()[name], tensor), name
    fresh, _ = teach(tmp_path / "fresh", dense, steps=1)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(network.blocks.parameters(), fresh.network().blocks.parameters(), strict=True)
    ]
    assert sum(moved) > len(moved) // 2


def preset(folder: Path, *changes: tuple[str, str]) -> str:
    """data2vec-nano's, changed, as a file."""
    text = (Path(__file__).parents[2] / "configs/students/data2vec-nano.yaml").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "mine.yaml"
    file.write_text(text, "utf-8")
    return str(file)


def test_blocks_may_begin_as_the_teachers_first_ones(dense, tmp_path):
    from kdcache.cache import Cache
    from kdcache.teachers.reopen import reopen_network

    student = preset(tmp_path, ("hidden: 288", "hidden: 384"), ("begin: random", "begin: teacher"))
    asked = {"student": student, "size": None, "steps": 1, "settings": ("optimiser.rate=1e-30", "optimiser.decay=0")}
    run, _ = learn(tmp_path / "run", dense, **asked)
    theirs, mine = reopen_network(Cache.open(dense).teacher).blocks, run.network().blocks
    assert len(mine) == 3
    for number, block in enumerate(mine):
        for name, tensor in block.state_dict().items():
            label = f"{name} of block {number}"
            torch.testing.assert_close(tensor, theirs[number].state_dict()[name], rtol=0, atol=1e-20, msg=label)
    for change in (("heads: 3\n  hidden", "heads: 4\n  hidden"), ("depth: 3", "depth: 7")):
        other = preset(tmp_path, ("hidden: 288", "hidden: 384"), ("begin: random", "begin: teacher"), change)
        with pytest.raises(UsageError, match="need heads: 3, hidden: 384 and depth: 6 at most"):
            learn(tmp_path / "refused", dense, student=other, size=None, steps=1)


def test_keeping_no_activations_changes_nothing(dense, tmp_path):
    run, _ = teach(tmp_path / "run", dense, steps=2)
    again, _ = teach(tmp_path / "again", dense, steps=2, where={"recompute": True})
    assert losses_of(run) == losses_of(again)
    assert run.weights.read_bytes() == again.weights.read_bytes()


def test_on_stream_is_off_stream_to_the_last_bit(dense, tmp_path):
    """One pass of the shared encoder in both: the teacher's, then or now."""
    off, _ = teach(tmp_path / "off", dense, steps=4)
    on, _ = teach(tmp_path / "on", dense, steps=4, stream="on")
    assert losses_of(off) == losses_of(on)
    assert off.weights.read_bytes() == on.weights.read_bytes()


def test_a_cache_with_inputs_needs_no_image(dense, tmp_path, monkeypatch):
    """After the replay check nothing is rendered."""
    from students.plan import checks as fits
    from students.train import feed as feeding

    monkeypatch.setattr(fits, "check_replay", lambda *args, **kwargs: None)

    def refuse(self, size, workers):
        raise AssertionError("an image would be rendered")

    monkeypatch.setattr(feeding.Feed, "_pool", refuse)
    run, _ = teach(tmp_path / "run", dense, steps=2)
    assert len(losses_of(run)) == 2


def test_without_inputs_the_student_encodes_what_it_sees(tmp_path, dense):
    """The same targets and views: the losses are those with cached inputs, up to rounding."""
    lean = dense_cache(tmp_path / "lean", ("targets",), views=2)
    seen, _ = teach(tmp_path / "seen", lean, steps=3)
    from_inputs, _ = teach(tmp_path / "told", dense, steps=3)
    assert losses_of(seen) == pytest.approx(losses_of(from_inputs), rel=1e-4)


def test_the_cheap_mode_trains_from_class_tokens(dense, tmp_path):
    run, _ = teach(tmp_path / "run", dense, steps=2, settings=("objective.signal=cls-layers", "objective.loss=cosine"))
    assert all(0 < loss < 2 for loss in losses_of(run))


def test_it_is_judged_by_what_it_finds_and_goes_on_as_if_never_stopped(dense, tmp_path):
    asked = {"steps": 4, "val": "shapes:split=val,count=20", "settings": ("judge.bank=20", "judge.every=2")}
    whole, _ = teach(tmp_path / "whole", dense, **asked)
    val = [line for line in whole.metrics() if line["kind"] == "val"]
    assert [line["step"] for line in val] == [2, 4]
    assert val[0]["score"] == pytest.approx(
        sum(val[0][key] for key in ("top1", "top3", "inverse_top1", "inverse_top3")) / 4
    )
    teach(tmp_path / "parts", dense, **asked, where={"stop_at": 3})
    parts, _ = teach(tmp_path / "parts", resume=True, cache=None)
    assert losses_of(parts) == losses_of(whole)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(dense, tmp_path):
    """Each with its half of the cached inputs and targets."""
    asked = ["--student", "data2vec-nano", "--cache", str(dense), "--steps", "4", "--batch", "8"]
    asked += ["--set", "optimiser.eps=0.001"]
    one, two = (trained_by(count, tmp_path / f"of-{count}", *asked) for count in (1, 2))
    assert losses_of(one) == pytest.approx(losses_of(two), rel=2e-4)
    for name, values in weights_of(one).items():
        torch.testing.assert_close(values, weights_of(two)[name], rtol=2e-2, atol=2e-4, msg=name)


def test_images_without_a_split_are_compared_with_those_it_was_trained_on(dense, tmp_path):
    from kdcache.build.options import BuildOptions
    from students.judging.evaluate import examples_of

    run, _ = teach(tmp_path / "run", dense, steps=1)
    photos = tmp_path / "photos" / "a"
    photos.mkdir(parents=True)
    (photos / "1.jpg").write_bytes(b"")
    assert len(examples_of(run, str(photos.parent), None).bank(None).ids) == 48
    assert len(examples_of(run, "shapes:split=val", None).bank(None).ids) == 20_000
    with pytest.raises(UsageError, match="shapes is a training split") as error:
        examples_of(run, "shapes", None).bank(None)
    assert "its val split" in error.value.hint
    assert BuildOptions(f"run:{run.path}").kept == ("embedding",), "it names no classes"


def test_its_page_shows_what_it_finds_nearest_and_it_has_no_export(dense, tmp_path):
    from students.export.onnx import export_onnx
    from students.export.timm import export_timm
    from students.report import write_report

    run, _ = teach(tmp_path / "run", dense, steps=2, val="shapes:split=val,count=40,size=64")
    words = write_report(run, tmp_path / "report.html").read_text("utf-8")
    assert "data2vec-nano, no classifier, at 64×64" in words
    assert "3 blocks on the encoder of a data2vec teacher" in words
    assert "its teacher&#x27;s encoder, and 3 random blocks" in words
    assert "The classes are those of the nearest of at most 512 training images, with their cosine." in words
    assert words.count('class="guesses"') == 8
    assert "cannot be shown" not in words
    assert "with the output of its teacher" not in words, "no heading over nothing"
    for export in (export_timm, export_onnx):
        with pytest.raises(UsageError, match="has no classifier") as error:
            export(run, tmp_path / "out")
        assert f"--teacher run:{run.path}" in error.value.hint


def test_what_does_not_fit_is_refused(dense, cache, tmp_path):
    with pytest.raises(Mismatch, match="keeps logits, but the recipe needs targets"):
        teach(tmp_path / "a", cache, steps=1)
    with pytest.raises(Mismatch, match="the recipe demo compares the student's logits, and data2vec-nano gives layers"):
        teach(tmp_path / "b", dense, steps=1, recipe="demo")
    with pytest.raises(Mismatch, match="keeps inputs, targets, cls-layers, but the recipe needs logits"):
        learn(tmp_path / "c", dense, steps=1, size=64)
    with pytest.raises(
        UsageError, match="starts from weights of its teacher, so it cannot be trained on true classes alone"
    ):
        teach(tmp_path / "d", None, steps=1, stream="none")
    with pytest.raises(
        Mismatch, match=r"shares the encoder of data2vec base, the teacher .* is data2vec nano"
    ) as error:
        learn(tmp_path / "e", dense, student="data2vec-5x768", size=None, steps=1, batch=8)
    assert error.value.hint == "--student data2vec-nano"
    deep = preset(tmp_path, ("depth: 3", "depth: 7"))
    with pytest.raises(Mismatch, match=r"mine has 7 blocks, cls-layers of .* have 6 layers"):
        learn(tmp_path / "g", dense, student=deep, size=None, steps=1, settings=("objective.signal=cls-layers",))
    with pytest.raises(UsageError, match=r"drop_path is 0\.5, but data2vec-nano has no stochastic depth"):
        teach(tmp_path / "h", dense, steps=1, settings=("drop_path=0.5",))
    grey = preset(tmp_path, ("mean: [0.485, 0.456, 0.406]", "mean: [0.5, 0.5, 0.5]"))
    with pytest.raises(Mismatch, match=r"normalises pixels by mean \(0\.5, 0\.5, 0\.5\)") as error:
        learn(tmp_path / "j", dense, student=grey, size=None, steps=1)
    assert "mean: [0.485, 0.456, 0.406]" in error.value.hint
    few = tmp_path / "few" / "one"
    few.mkdir(parents=True)
    (few / "1.jpg").write_bytes(b"")
    with pytest.raises(Mismatch, match="only few has 'one'") as error:
        teach(tmp_path / "k", dense, steps=1, val=str(few.parent))
    assert "--val none" in error.value.hint
    five = preset(tmp_path, ("heads: 3\n  hidden", "heads: 5\n  hidden"))
    with pytest.raises(UsageError, match="5 heads cannot divide 96 channels"):
        learn(tmp_path / "i", dense, student=five, size=None, steps=1)
    with pytest.raises(UsageError, match="only takes inputs of 64 pixels"):
        learn(tmp_path / "f", dense, student="data2vec-nano", size=96, steps=1)


def test_a_run_goes_on_only_with_the_teacher_whose_encoder_it_has(dense, tmp_path):
    run, _ = teach(tmp_path / "first", dense, steps=1)
    teach(tmp_path / "more", dense, steps=1, start=str(run.path))
    for change in (("alibi: false", "alibi: true"), ("heads: 3\n  hidden", "heads: 4\n  hidden")):
        changed = preset(tmp_path, change)
        with pytest.raises(
            Mismatch, match=r"data2vec-nano it starts from has blocks with (alibi: False|heads: 3), mine"
        ):
            learn(tmp_path / "changed", dense, student=changed, size=None, steps=1, start=str(run.path))
    with pytest.raises(UsageError, match="does not record the number of heads"):
        teach(tmp_path / "file", dense, steps=1, start=str(run.weights))
    other = build_cache(
        tmp_path / "other",
        teacher="data2vec",
        size="nano",
        signals=("inputs", "targets"),
        codecs=dict.fromkeys(("inputs", "targets"), "float32"),
        recipe="data2vec",
        data="shapes:count=48,size=64",
    )
    with pytest.raises(Mismatch, match="is not that of this cache's teacher, data2vec nano"):
        teach(tmp_path / "mixed", other, steps=1, start=str(run.path))


def test_the_encoder_of_a_published_checkpoint_is_read_where_it_lies(tensors, tmp_path):
    """fairseq's layout, made small; the preset says the numbers of its network."""
    file = published.write(tensors, tmp_path / "d2v.pt")
    cache = build_cache(
        tmp_path / "c",
        teacher="data2vec",
        weights=file,
        signals=("inputs", "targets"),
        codecs={"inputs": "float32", "targets": "float32"},
        data="shapes:count=16,size=32",
    )
    side, patch = published.SIDE, published.PATCH
    numbers = {"image": side * patch, "patch": patch, "dim": published.DIM, "heads": published.HEADS}
    rest = {"prenet": published.PRENET, "depth": published.DEPTH, "targets": published.TOP}
    words = ", ".join(f"{key}: {value}" for key, value in {**numbers, **rest}.items())
    student = preset(
        tmp_path,
        ("encoder: {image: 64, patch: 8, dim: 96, heads: 3, prenet: 2, depth: 6, targets: 6}", f"encoder: {{{words}}}"),
        ("heads: 3\n  hidden", f"heads: {published.HEADS}\n  hidden"),
        ("input: 64", f"input: {side * patch}"),
    )
    asked = {"student": student, "size": None, "steps": 1}
    with pytest.raises(UsageError, match="came from a file"):
        learn(tmp_path / "refused", cache, **asked)
    run, _ = learn(tmp_path / "run", cache, **asked, where={"weights": file})
    wanted = tensors["modality_encoders.IMAGE.context_encoder.norm.weight"]
    assert torch.equal(run.network().encoder.norm.weight, wanted)
