"""What the kind of image source declares of itself: `--data greys:count=24`. It is read by every command that opens images."""

from kdcache.images.kind import SourceKind

KIND = SourceKind(
    name="greys",
    about="squares of grey, made when they are read",
    written="greys[:count=N,split=train|val]",
    source="kd_toy.greys:Greys",
    options={"count": int, "split": str},
    other_split="val",
)
