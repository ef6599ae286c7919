"""Makes the goldens: `python -m tests.golden.make DIR`. Run once, with the code whose caches and runs are to be read for ever.

Everything is small: a TinyViT of a few thousand parameters (network.py), a data2vec teacher 16 channels wide, images 32 wide.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from kdcache.base.progress import Silent
from kdcache.build.options import BuildOptions
from kdcache.build.prepare import prepare
from kdcache.build.run import build
from kdcache.exchange import import_tinyvit
from kdcache.images import open_source
from kdcache.reshape.convert import convert
from kdcache.reshape.more_views import add_views
from students.judging.evaluate import JudgeOptions, judge_run
from students.train.start import go_on
from tests.exchange.making import CLIP_LIKE, their_records, write_theirs
from tests.golden.facts import write_facts
from tests.golden.small import CPU, SHAPES, VAL, VIEWS, learn
from tests.teachers import test_data2vec as published


def main(root: Path) -> None:
    torch.set_num_threads(1)
    root.mkdir()
    published.write(published.tensors.__wrapped__(), root / "teacher.pt")
    paint_photos(root / "photos")
    make_caches(root, root / "caches")
    make_runs(root, root / "runs")
    usual: Any = {"teacher": f"run:{root / 'runs/whole'}", "data": "shapes:count=16,size=32"}
    cached(root / "caches/of-run", **usual, signals=("logits", "embedding"), codecs={"logits": "full"})
    write_facts(root)


def cached(out: Path, *, only: tuple[int, int] | None = None, **more: Any) -> Path:
    options = BuildOptions(
        teacher="florence",
        data=SHAPES,
        signals=("logits", "embedding"),
        recipe="augment",
        overrides=VIEWS,
        views=2,
        batch=16,
        workers=0,
        devices=("cpu",),
    )
    if more.get("recipe", "augment") != "augment" or "teacher" in more:
        options = replace(options, recipe=None, overrides=(), views=1)
    build(prepare(replace(options, **more), out), only=only, progress=Silent())
    return out


def make_caches(root: Path, folder: Path) -> None:
    folder.mkdir()
    cached(folder / "hdf5")
    cached(folder / "zarr", backend="zarr")
    cached(folder / "hdf5-zstd", compression="zstd:3")
    cached(folder / "zarr-blosc", backend="zarr", compression="blosc:5")
    cached(folder / "interrupted", only=(1, 2))
    cached(folder / "interrupted-zarr", only=(1, 2), backend="zarr")
    cached(folder / "views-added", views=1)
    add_views(folder / "views-added", 1)
    convert(folder / "hdf5", folder / "converted", backend="zarr", codecs={"embedding": "int8"}, progress=Silent())
    every = {"logits": "full", "embedding": "int8", "features": "float16"}
    cached(folder / "plain", teacher="florence", signals=tuple(every), codecs=every, data="shapes:count=16,size=32")
    dense = {"inputs": "float32", "targets": "float16", "cls-layers": "int8"}
    teacher: Any = {"teacher": "data2vec", "weights": str(root / "teacher.pt"), "data": "shapes:count=24,size=32"}
    teacher |= {"signals": tuple(dense), "recipe": "data2vec"}
    cached(folder / "dense", **teacher, codecs=dense, views=2)
    cached(folder / "dense-bfloat16", **teacher, codecs=dict.fromkeys(dense, "bfloat16"))
    teacher = {"teacher": "clip", "size": "nano", "data": str(root / "photos"), "signals": ("embedding",), "batch": 8}
    cached(folder / "photos", **teacher)
    cached(folder / "photos-interrupted", **teacher, only=(1, 2))
    import_theirs(root / "their-logits", folder / "imported")


def paint_photos(folder: Path) -> None:
    """Not square, of every kind that is opened in a way of its own, in folders whose order is easily got wrong; one is broken."""
    noise = np.random.default_rng(0)
    for name in ("apple", "apple pie", "apple-tart"):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            height, width = (23, 40, 31)[number % 3], (36, 24, 31)[number % 3]
            small = noise.integers(0, 255, (5, 5, 4), np.uint8)
            image = Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BICUBIC)
            save(image, folder / name / f"{number}", number)
    (folder / "apple pie" / "6.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")


def save(image: Image.Image, path: Path, number: int) -> None:
    """RGBA, palette with a transparent colour, CMYK, 16 bits, turned by EXIF, plain."""
    png, jpg = path.with_suffix(".png"), path.with_suffix(".jpg")
    if number == 0:
        image.save(png)
    elif number == 1:
        image.convert("RGB").quantize(16).save(png, transparency=3)
    elif number == 2:
        image.convert("RGB").convert("CMYK").save(jpg)
    elif number == 3:
        wide = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(wide).save(png)
    elif number == 4:
        turned = Image.Exif()
        turned[0x0112] = 6
        image.convert("RGB").save(jpg, exif=turned)
    else:
        image.convert("RGB").save(png)


def import_theirs(folder: Path, out: Path) -> None:
    source = open_source("shapes:count=20,size=32")
    keys = source.scan().ids.to_pylist()
    for epoch in range(2):
        write_theirs(folder / f"logits_top5_epoch{epoch}", their_records(keys[epoch:], 5, 100, seed=epoch))
    import_tinyvit(folder, out, source, classes=100, preprocess=CLIP_LIKE, progress=Silent(), keys="id")


def make_runs(root: Path, folder: Path) -> None:
    folder.mkdir()
    tiny: Any = {
        "student": "tinyvit-golden",
        "cache": root / "caches/hdf5",
        "size": 32,
        "val": VAL,
        "validate_every": 3,
    }
    tiny |= {"settings": ("average=0.9", "optimiser.warmup=0", "precision=float32")}
    judge_run(learn(folder / "whole", **tiny), JudgeOptions(VAL, device="cpu"), Silent())
    learn(folder / "stopped", **tiny, stop_at=4)
    learn(folder / "resumed", **tiny, stop_at=4)
    go_on(folder / "resumed", CPU, Silent())
    tuned: Any = {"student": "tinyvit-golden", "start": str(folder / "whole"), "stream": "none", "size": 64, "val": VAL}
    tuned |= {"settings": ("optimiser.warmup=0", "precision=float32")}
    data: Any = {"data": "shapes:count=40,size=64"}
    learn(folder / "finetuned", **tuned, **data)
    learn(folder / "finetuned-stopped", **tuned, **data, stop_at=4)
    dense: Any = {
        "student": "data2vec-golden",
        "cache": root / "caches/dense",
        "val": VAL,
        "weights": str(root / "teacher.pt"),
    }
    dense |= {"settings": ("judge.bank=20", "judge.every=3", "optimiser.warmup_share=0")}
    learn(folder / "dense", **dense)
    learn(folder / "dense-stopped", **dense, stop_at=4)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
