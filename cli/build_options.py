"""The options of a build, the same for `build` and `plan`, and the record they become."""

from typing import TYPE_CHECKING

from cli import options as o

if TYPE_CHECKING:
    from kdcache.options import BuildOptions


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
    """From the command line to what the library takes."""
    from dataclasses import replace

    from kdcache.options import BuildOptions

    paths = {"weights": weights, "head": head, "classes": classes, "templates": templates}
    layout = {"backend": format, "compression": compress, "part_rows": part_rows}
    machine = {"batch": batch, "devices": o.comma_list(device), "workers": workers, "precision": precision}
    views_asked = {"recipe": recipe, "overrides": tuple(settings or ()), "views": views, "seed": seed}
    said = {"signals": None if signal is None else o.comma_list(signal), "input_size": o.image_size(input_size)}
    everything = {**paths, **layout, **machine, **views_asked, **said}
    options = BuildOptions(teacher=teacher or "", size=size, data=data, **everything)  # type: ignore[arg-type]
    return replace(options, codecs=o.codec_table(codec, options.kept))
