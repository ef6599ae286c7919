"""Read ImageNet's classes from the files that come with it.

Input: the folder of ImageNet. Output: the 1000 synsets in sorted order (their positions are the usual class numbers), their
words, and the synset of every validation image.

It reads whichever exist: `LOC_synset_mapping.txt` and `LOC_val_solution.csv` (Kaggle), or `meta.mat` and
`ILSVRC2012_validation_ground_truth.txt` of the devkit, which may lie beside the images, in the devkit's folder or in its
`.tar.gz`. The devkit numbers classes in its own order, so its ground truth cannot be used without its meta.mat.
"""

import csv
import io
import os
import tarfile

from kdcache.base.lazy import lazy
from kdcache.errors import Damage
from kdcache.images.matfile import read_mat

MAPPING, SOLUTION = "LOC_synset_mapping.txt", "LOC_val_solution.csv"
META, TRUTH = "meta.mat", "ILSVRC2012_validation_ground_truth.txt"
DEVKIT = "ILSVRC2012_devkit_t12"
_CLASSES = 1000


class Synsets:
    """The class files of one copy of ImageNet, each read when it is needed."""

    def __init__(self, root: str) -> None:
        self._root = root

    @lazy
    def words(self) -> dict[str, str] | None:
        """Synset -> words, in sorted order; None if no file lists the classes."""
        if (text := self._text(MAPPING)) is not None:
            pairs = (line.partition(" ") for line in text.splitlines() if line.strip())
            return dict(sorted((synset, words.strip()) for synset, _, words in pairs))
        numbered = self._devkit
        return None if numbered is None else dict(sorted(numbered.values()))

    @lazy
    def validation(self) -> dict[str, str] | None:
        """Validation image (file name without extension) -> synset; None if no file tells it."""
        if (text := self._text(SOLUTION)) is not None:
            rows = csv.DictReader(io.StringIO(text))
            return {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}
        truth, numbered = self._text(TRUTH), self._devkit
        if truth is None or numbered is None:
            return None
        try:
            found = [numbered[int(line)][0] for line in truth.split()]
        except (ValueError, KeyError) as error:
            raise Damage(f"{TRUTH} in {self._root} has a class that is not in {META}: {error}") from error
        return {f"ILSVRC2012_val_{place:08d}": synset for place, synset in enumerate(found, 1)}

    @lazy
    def _devkit(self) -> dict[int, tuple[str, str]] | None:
        """Number in the devkit -> synset and words."""
        raw = self._document(META)
        if raw is None:
            return None
        where = f"{META} in {self._root}"
        try:
            rows = read_mat(raw, where)["synsets"]
            found = {int(row["ILSVRC2012_ID"][0]): (str(row["WNID"]), str(row["words"])) for row in rows}
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Damage(f"{where} is not the devkit's: {error}", hint="fetch the devkit again") from error
        return {number: pair for number, pair in found.items() if number <= _CLASSES}

    def _text(self, name: str) -> str | None:
        raw = self._document(name)
        return None if raw is None else raw.decode("utf-8-sig", "replace")

    def _document(self, name: str) -> bytes | None:
        for folder in ("", DEVKIT, os.path.join(DEVKIT, "data"), "data"):
            path = os.path.join(self._root, folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    return file.read()
        archive = os.path.join(self._root, f"{DEVKIT}.tar.gz")
        return _packed(archive, name) if os.path.isfile(archive) else None


def _packed(path: str, name: str) -> bytes | None:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name.rpartition("/")[2] == name:
                    stream = archive.extractfile(member)
                    return stream.read() if stream else None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Damage(f"{path} cannot be read: {error}", hint="fetch the devkit again") from error
    return None
