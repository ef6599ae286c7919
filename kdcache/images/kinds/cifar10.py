"""CIFAR-10 as published."""

from kdcache.images.kind import Plain, SourceKind


def _recognise(path: str) -> Plain | None:
    from kdcache.images.cifar import recognised

    return recognised("cifar10", path)


KIND = SourceKind(
    name="cifar10",
    about="CIFAR-10, in any of the forms it is published in",
    written="cifar10:DIR",
    source="kdcache.images.cifar:CifarSource",
    options={"path": str, "split": str},
    needed=("path",),
    subject="path",
    fixed={"kind": "cifar10"},
    takes_split=True,
    recognise=_recognise,
    precedence=20,
    other_split="test",
)
