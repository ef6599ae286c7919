"""CIFAR-100 as published."""

from kdcache.images.kind import Plain, SourceKind


def _recognise(path: str) -> Plain | None:
    from kdcache.images.cifar import recognised

    return recognised("cifar100", path)


KIND = SourceKind(
    name="cifar100",
    about="CIFAR-100, in any of the forms it is published in",
    written="cifar100:DIR",
    source="kdcache.images.cifar:CifarSource",
    options={"path": str, "split": str},
    needed=("path",),
    subject="path",
    fixed={"kind": "cifar100"},
    takes_split=True,
    recognise=_recognise,
    precedence=20,
    other_split="test",
)
