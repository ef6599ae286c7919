"""`kd cache` from the first build to repair, the way a person would type it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

READER = """
import sys
import numpy as np
from kdcache import Cache
cache = Cache.open(sys.argv[1])
rows = sum(len(batch) for batch in cache.stream(batch_size=4))
assert rows == len(cache), (rows, len(cache))
loaded = [name for name in sys.modules if name.startswith("kdcache.teachers") or name in ("torch", "timm", "transformers")]
assert not loaded, loaded
"""


@pytest.fixture
def copy(built, tmp_path):
    """A cache a test may break."""
    return shutil.copytree(built, tmp_path / "copy")


def parts_of(cache):
    return sorted(path for path in (cache / "parts").rglob("*.h5"))


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_build_says_what_it_made(kd, build_words, tmp_path):
    ran = kd(*build_words, "--out", "c", "--json")
    assert ran.code == 0
    assert ran.json["path"] == "c"
    assert (ran.json["rows"], ran.json["parts_built"], ran.json["complete"]) == (10, 3, True)
    assert "random weights" in ran.err
    assert "building c" in ran.err


def test_running_a_build_again_builds_nothing(kd, copy):
    ran = kd("cache", "build", "--out", copy)
    assert ran.code == 0
    assert "nothing to build" in ran.out
    assert f"resuming {copy}" in ran.err


def test_the_name_is_chosen_and_the_newest_cache_is_the_default(kd, build_words, tmp_path):
    assert kd(*build_words).code == 0
    info = kd("cache", "info", "--json").json
    assert info["path"].startswith("kd/caches/timm-test_vit-photos")
    assert info["complete"]
    assert info["plan"]["teacher"]["weights"]["source"].startswith("random:")
    assert "RANDOM WEIGHTS" in kd("cache", "info").out


def test_shares_build_the_whole(kd, build_words):
    for share, code in (("1/2", 3), ("2/2", 0)):
        ran = kd(*build_words, "--out", "c", "--only", share, "--json")
        assert ran.code == code, "3 while parts are still to build"
    assert ran.json["complete"]
    assert ran.json["parts_built"] == 1


def test_a_dry_run_writes_nothing(kd, build_words, tmp_path, copy):
    ran = kd(*build_words, "--out", "c", "--dry-run")
    assert ran.code == 0
    assert "codec" in ran.out
    parts_of(copy)[0].with_suffix(".json").unlink()
    assert "1 of 3 parts would be built" in kd("cache", "build", "--out", copy, "-n").out
    assert kd("cache", "info", copy, "--json").json["parts_missing"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_plan_tells_bytes_time_and_room_and_writes_nothing(kd, build_words, tmp_path):
    ran = kd("cache", "plan", *build_words[2:], "--json")
    bill = ran.json
    assert ran.code == 0
    assert bill["rows"] == 10
    assert bill["fits"] is True
    assert bill["hours"] > 0
    chosen = [cost for cost in bill["costs"] if cost["chosen"]]
    assert [cost["codec"] for cost in chosen] == ["float16"]
    assert {cost["codec"] for cost in bill["costs"]} >= {"float32", "int8", "bfloat16"}
    assert not any(tmp_path.iterdir())


def test_get_tells_what_was_said(kd, built):
    ran = kd("cache", "get", "cats/3.jpg", "--cache", built, "--json")
    assert ran.code == 0
    assert ran.json["image_id"] == "cats/3.jpg"
    assert len(ran.json["signals"]["embedding"]) == 64
    assert "label" in kd("cache", "get", "cats/3.jpg", "--cache", built).out


def test_an_unknown_image_is_named_with_its_neighbours(kd, built):
    ran = kd("cache", "get", "cats/33.jpg", "--cache", built)
    assert ran.code == 2
    assert "cats/33.jpg" in ran.err
    assert "cats/3.jpg" in ran.err


def test_a_sound_cache_verifies(kd, built):
    assert kd("cache", "verify", built, "--color", "always").out.endswith("\nstate  \x1b[1;32mok\x1b[0m\n")
    ran = kd("cache", "verify", built, "--replay", 5, "--teacher", 5, "--json")
    assert ran.code == 0
    assert ran.json["state"] == "ok"
    assert (ran.json["replayed"], ran.json["said_again"]) == (5, 5)
    assert ran.json["findings"] == []


def test_a_missing_part_is_incomplete(kd, copy):
    parts_of(copy)[0].with_suffix(".json").unlink()
    ran = kd("cache", "verify", copy)
    assert ran.code == 3
    assert "1 missing" in ran.out


def test_a_flipped_byte_is_named_repaired_and_built_again(kd, copy, built):
    broken = parts_of(copy)[1]
    flip(broken, broken.stat().st_size - 100)
    ran = kd("cache", "verify", copy, "--json")
    assert ran.code == 4
    assert ran.json["state"] == "damaged"
    assert {finding["part"] for finding in ran.json["findings"]} == {"v000/000001"}
    assert all(set(finding["rows"]) <= set(range(4, 8)) for finding in ran.json["findings"])
    ran = kd("cache", "repair", copy)
    assert ran.code == 4
    assert "v000/000001" in ran.out
    assert broken.exists()
    assert kd("cache", "repair", copy, "--yes").code == 0
    assert not broken.exists()
    assert kd("cache", "build", "--out", copy).code == 0
    assert kd("cache", "verify", copy).code == 0
    assert broken.read_bytes() == parts_of(built)[1].read_bytes()


def test_a_cache_can_change_its_format_and_codec(kd, built):
    ran = kd("cache", "convert", built, "--format", "zarr", "--codec", "embedding=int8", "--out", "z", "--json")
    assert ran.code == 0
    assert ran.json["parts_written"] == 3
    info = kd("cache", "info", "z", "--json").json
    assert info["plan"]["layout"]["backend"] == "zarr"
    assert info["plan"]["signals"][0]["codec"] == "int8"


def test_parts_built_elsewhere_can_be_merged(kd, build_words):
    for number in (1, 2):
        assert kd(*build_words, "--out", f"share{number}", "--only", f"{number}/2").code == 3, (
            "parts are still to build"
        )
    ran = kd("cache", "merge", "share1", "--out", "half", "--json")
    assert ran.code == 3
    assert ran.json["parts_missing"] > 0
    assert kd("cache", "convert", "half", "--format", "zarr", "--out", "half-zarr").code == 3
    ran = kd("cache", "merge", "share1", "share2", "--out", "whole", "--json")
    assert ran.code == 0
    assert ran.json["parts_missing"] == 0
    assert kd("cache", "verify", "whole").code == 0


def test_repair_tells_what_only_a_build_can_mend(kd, copy, photos):
    flip(copy / "index.arrow", 200)
    (copy / "parts" / "README.txt").write_text("not ours")
    for words in (["cache", "repair", copy], ["cache", "repair", copy, "--yes"]):
        ran = kd(*words, "--json")
        assert ran.code == 4
        assert ran.json["parts"] == []
        assert "index.arrow" in ran.json["others"][0]["what"]
        assert "README.txt" in ran.json["warnings"][0]["what"]
    assert "kd cache build --out" in ran.err
    assert kd("cache", "build", "--out", copy, "--workers", 0).code == 0
    assert kd("cache", "repair", copy).code == 0
    ran = kd("cache", "verify", copy, "--json")
    assert (ran.code, ran.json["state"], len(ran.json["warnings"])) == (0, "ok", 1)


def test_views_can_be_added(kd, build_words):
    words = [*build_words, "--recipe", "augment", "--views", 1, "--set", "crop.scale=[0.5, 1.0]", "--out", "c"]
    assert kd(*words).code == 0
    before = parts_of_view(0)
    assert kd("cache", "add-views", "c", 1, "--json").json["views"] == 2
    assert kd("cache", "build", "--out", "c", "--workers", 0).code == 0
    info = kd("cache", "info", "c", "--json").json
    assert info["complete"]
    assert info["plan"]["views"]["count"] == 2
    assert info["plan"]["views"]["recipe"]["crop"]["scale"] == [0.5, 1.0]
    assert parts_of_view(0) == before
    assert kd("cache", "get", "cats/3.jpg", "--cache", "c", "--view", 1).code == 0


def parts_of_view(view):
    return {path.name: path.read_bytes() for path in Path(f"c/parts/v{view:03d}").iterdir()}


def test_an_unreadable_image_makes_the_build_incomplete(kd, build_words, photos, tmp_path):
    data = shutil.copytree(photos, tmp_path / "broken")
    (data / "cats" / "1.jpg").write_bytes(b"not a picture")
    words = [str(data) if word == str(photos) else word for word in build_words]
    ran = kd(*words, "--out", "c")
    assert ran.code == 3
    assert "rejected.jsonl" in ran.out
    assert "cats/1.jpg" in (tmp_path / "c" / "rejected.jsonl").read_text()


def test_reading_a_cache_loads_no_teacher(built):
    subprocess.run([sys.executable, "-c", READER, str(built)], cwd=Path(__file__).parents[2], check=True)


@pytest.fixture(scope="session")
def logits_and_features(build_words, tmp_path_factory) -> Path:
    """A cache with two views of logits and feature maps."""
    from cli.app import run

    out = tmp_path_factory.mktemp("caches") / "both"
    words = [word if word != "embedding" else "logits,features" for word in build_words]
    more = ["--recipe", "augment", "--views", "2", "--codec", "logits=topk:2", "--out", str(out), "-qq"]
    assert run([*words, *more]) == 0
    return out


def test_logits_travel_to_tinyvit_and_back(kd, logits_and_features, photos):
    ran = kd("cache", "export", "tinyvit", "logits", "--cache", logits_and_features, "--json")
    assert ran.code == 0
    assert (ran.json["records"], ran.json["epochs"]) == (20, [0, 1])
    (classes,) = kd("cache", "info", logits_and_features, "--json").json["plan"]["signals"][0]["signal"]["shape"]
    words = ["--data", photos, "--class-count", classes, "--teacher", "clip", "--size", "b32"]
    ran = kd("cache", "import", "tinyvit", "logits", *words, "--out", "back", "--json")
    assert ran.code == 0
    assert (ran.json["rows"], ran.json["without_record"]) == (10, 0)
    there = kd("cache", "get", "cats/3.jpg", "--cache", logits_and_features, "--view", 1, "--json").json
    back = kd("cache", "get", "cats/3.jpg", "--cache", "back", "--view", 1, "--json").json
    assert there["signals"]["logits"]["ids"] == back["signals"]["logits"]["ids"]


def test_an_import_is_told_whose_preprocessing_it_was(kd, logits_and_features, photos):
    kd("cache", "export", "tinyvit", "logits", "--cache", logits_and_features)
    (classes,) = kd("cache", "info", logits_and_features, "--json").json["plan"]["signals"][0]["signal"]["shape"]
    words = ["cache", "import", "tinyvit", "logits", "--data", photos, "--class-count", classes, "--out", "back"]
    ran = kd(*words)
    assert ran.code == 2
    assert "no --teacher" in ran.err
    assert all(name in ran.err for name in ("florence", "clip", "donut", "data2vec"))
    ran = kd(*words, "--teacher", "timm:resnet18")
    assert ran.code == 2
    assert "timm:resnet18 has no published preprocessing" in ran.err
    ran = kd(*words, "--teacher", "clip", "--size", "nona")
    assert ran.code == 2
    assert "did you mean nano?" in ran.err
    assert kd(*words, "--teacher", "clip", "--size", "nano").code == 0
    plan = kd("cache", "info", "back", "--json").json["plan"]
    assert plan["teacher"]["preprocess"]["size"] == [64, 64]
    assert "no --size: pixels prepared as for clip l14" in kd(*words[:-1], "other", "--teacher", "clip").err


def test_features_travel_to_divedoc(kd, logits_and_features, tmp_path):
    split = f"validation={logits_and_features}"
    ran = kd("cache", "export", "divedoc", "out.h5", "--split", split, "--view", 1, "--json")
    assert ran.code == 0
    assert ran.json["rows"] == {"validation": 10}
    assert all(Path(table).is_file() for table in ran.json["tables"])
    ran = kd("cache", "export", "divedoc", "out.h5", "--split", split)
    assert ran.code == 2
    assert "out.h5 is there already" in ran.err
