"""The options that `kd cache build`, `kd cache plan` and `kd compare` share."""

from dataclasses import replace
from typing import TYPE_CHECKING

from cli import options as o

if TYPE_CHECKING:
    from kdcache.build.options import BuildOptions


def build_options(
    teacher: o.Teacher = None,
    size: o.BuildSize = None,
    weights: o.WeightsFile = None,
    head: o.HeadFile = None,
    classes: o.ClassesFile = None,
    templates: o.TemplatesFile = None,
    input_size: o.InputSize = None,
    precision: o.PrecisionName = "float32",
    data: o.Data = None,
    recipe: o.RecipeName = None,
    settings: o.Settings = None,
    background: o.BackgroundName = None,
    views: o.Views = 1,
    seed: o.Seed = 0,
    signal: o.Signals = None,
    codec: o.Codecs = None,
    format: o.Format = "hdf5",
    compress: o.Compress = None,
    part_rows: o.PartRows = None,
    batch: o.Batch = None,
    device: o.Devices = None,
    workers: o.Workers = None,
) -> "BuildOptions":
    """Options of the command line -> `BuildOptions`."""
    from kdcache.build.options import BuildOptions

    options = BuildOptions(
        teacher=teacher or "", size=size, data=data, weights=weights, head=head, classes=classes, templates=templates,
        recipe=recipe, overrides=tuple(settings or ()), background=background, views=views, seed=seed,
        signals=None if signal is None else o.comma_list(signal), input_size=o.image_size(input_size),
        backend=format, compression=compress, part_rows=part_rows,
        batch=batch, devices=o.comma_list(device), workers=workers, precision=precision,
    )  # fmt: skip
    # A codec without a signal name is for the only kept signal; without --signal, `options.kept` has the default.
    return replace(options, codecs=o.codec_table(codec, options.kept))
