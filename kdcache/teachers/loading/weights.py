"""Find, read and identify weights.

Input: the value of `--weights` (nothing, a file, a folder, `hub:REPO`). Output: tensors by name, with the sha256 of their files.
Only safetensors and `torch.load(weights_only=True)`: nothing here can run code from a file.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcache.base import plain_json
from kdcache.base.digest import file_sha256
from kdcache.base.tensors import FETCH, read_tensors, shortened
from kdcache.errors import Damage, Unavailable, UsageError
from kdcache.signals.teacher import Weights
from kdcache.teachers.loading.bounds import check_settings

SINGLE_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json", "open_clip_config.json")
HUB_FILES = ("*.json", "*.txt", "model*.safetensors")
OLDER_HUB_FILES = ("pytorch_model*.bin", "open_clip_*.safetensors", "open_clip_*.bin")


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: tensors by name, their identity, and the folder of their configuration if there is one."""

    tensors: dict[str, Any]
    record: Weights
    folder: Path | None
    nbytes: int = 0
    """Total size of the weights' files in bytes."""

    def settings(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file beside the weights; None if there is none."""
        path = self.folder / name if self.folder else None
        return read_settings(path) if path is not None and path.is_file() else None


def find_checkpoint(weights: str | None, published: str | None, *, name: str) -> Checkpoint:
    """The requested checkpoint or, for None, the published one from the Hub."""
    if weights is None and published is None:
        raise UsageError(f"{name} has no checkpoint on the Hub", hint="pass --weights FILE, or --weights random")
    path, source = _locate(weights or f"hub:{published}")
    return read_checkpoint(path, source=source)


def find_packaged(weights: str | None, package: Callable[[], Path], *, source: str) -> Checkpoint:
    """The weights in the package, or a file or folder of the same layout."""
    if weights == "random":
        raise UsageError(f"{source.removeprefix('package:')} comes with its weights", hint="leave --weights out")
    path, source = _locate(weights) if weights else (package(), source)
    return read_checkpoint(path, source=source)


def find_folder(weights: str | None, published: str) -> tuple[Path, str]:
    """The folder of a model and its source: the requested one, else `published`, a folder or Hub repository."""
    folder, source = _locate(weights or (published if Path(published).is_dir() else f"hub:{published}"))
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; this teacher needs the folder with its config.json")
    _check_folder(folder)
    return folder, source


def _locate(weights: str) -> tuple[Path, str]:
    if weights.startswith("hub:"):
        return _download(weights.removeprefix("hub:")), weights
    path = Path(weights).expanduser()
    if not path.exists():
        raise Unavailable(f"no weights at {path}", hint="--weights takes a file, a folder, hub:REPO or random")
    return path, f"file:{path.resolve().name}"


def read_checkpoint(path: Path, *, source: str) -> Checkpoint:
    """All tensors of a file or folder."""
    files = weight_files(path)
    _check_folder(path)
    tensors: dict[str, Any] = {}
    for file in files:
        tensors |= read_tensors(file)
    record = Weights(source=source, sha256=files_sha256(files))
    return Checkpoint(tensors, record, path if path.is_dir() else None, nbytes_of(files))


def weight_files(path: Path) -> list[Path]:
    """The weight files at a path: the file itself, or those of a folder as publishers lay them out."""
    if path.is_file():
        return [path]
    for name in SINGLE_FILES[:1]:
        if (path / name).is_file():
            return [path / name]
    for name in INDEX_FILES:
        if (path / name).is_file():
            return _all_there(path, _shards(path / name))
    for name in SINGLE_FILES[1:]:
        if (path / name).is_file():
            return [path / name]
    alone = sorted(path.glob("*.safetensors"))
    if len(alone) == 1:
        return alone
    raise UsageError(f"no weights in the folder {path}", hint=f"looked for {', '.join(SINGLE_FILES)} and sharded ones")


def _check_folder(path: Path) -> None:
    """Check the limits of all settings files that a library will read beside the weights."""
    for name in SETTINGS:
        if (path / name).is_file():
            read_settings(path / name)


def read_settings(path: Path) -> dict[str, Any]:
    """The configuration of a model or of its preprocessing."""
    settings = read_json(path)
    check_settings(settings, path)
    return settings


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds a mapping."""
    loaded = plain_json.read_json(path, hint=FETCH)
    if not isinstance(loaded, dict):
        raise Damage(f"{path} holds a {type(loaded).__name__}, not settings by name", hint=FETCH)
    return loaded


def _shards(index: Path) -> list[str]:
    """The different files that an index names."""
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise Damage(f"{index} has no weight_map of tensors to files", hint=FETCH, path=str(index))
    return sorted(set(shards.values()))


def _all_there(folder: Path, names: list[str]) -> list[Path]:
    missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        raise Damage(f"{folder}: shards in the index are missing: {shortened(missing)}")
    return [folder / name for name in names]


def nbytes_of(files: list[Path]) -> int:
    """Total size of the files in bytes."""
    return sum(file.stat().st_size for file in files)


def files_sha256(files: list[Path]) -> str:
    """sha256 of one file; for several files, the sha256 of their names and digests."""
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256("".join(f"{file_sha256(f)}  {f.name}\n" for f in files).encode()).hexdigest()


def _download(repo: str) -> Path:
    """Download the snapshot of a Hub repository: configuration and safetensors, or other weight files if there are none."""
    from huggingface_hub import snapshot_download

    hint = "pass --weights FILE_OR_FOLDER, or --weights random to measure time only"
    try:
        folder = Path(snapshot_download(repo, allow_patterns=list(HUB_FILES)))
        if not any(folder.glob("model*.safetensors")):
            folder = Path(snapshot_download(repo, allow_patterns=[*HUB_FILES, *OLDER_HUB_FILES]))
    except OSError as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise Unavailable(f"cannot get {repo} from the Hub: {reason}", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{repo!r} is not the name of a Hub repository", hint="like hub:OWNER/NAME") from error
    return folder
