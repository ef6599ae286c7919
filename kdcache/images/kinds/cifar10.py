"""CIFAR-10 as published."""

from functools import partial

from kdcache.images.kind import Plain, SourceKind


def declared(name: str, called: str) -> SourceKind:
    """CIFAR-10 or CIFAR-100."""
    return SourceKind(
        name=name,
        about=f"{called}, in any of the forms it is published in",
        written=f"{name}:DIR",
        source="kdcache.images.cifar:CifarSource",
        options={"path": str, "split": str},
        needed=("path",),
        subject="path",
        fixed={"kind": name},
        takes_split=True,
        recognise=partial(_recognise, name),
        precedence=20,
        other_split="test",
    )


def _recognise(name: str, path: str) -> Plain | None:
    from kdcache.images.cifar import recognised

    return recognised(name, path)


KIND = declared("cifar10", "CIFAR-10")
