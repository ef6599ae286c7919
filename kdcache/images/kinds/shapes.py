"""The embedded set `shapes`, generated when it is read."""

from kdcache.images.kind import SourceKind

KIND = SourceKind(
    name="shapes",
    about="the embedded set: generated pictures of one shape each, in 100 classes",
    written="shapes",
    source="kdcache.images.shapes:Shapes",
    options={"split": str, "size": int, "count": int, "seed": int},
    embedded=True,
    painted_side="size",
    recipe="demo",
    other_split="val",
)
