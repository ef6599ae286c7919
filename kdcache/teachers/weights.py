"""Weights: where they are found, how they are read, and which they are.

Input: what `--weights` says (nothing, a file, a folder, `hub:REPO`). Output: tensors by name, with the sha256 of the files they
came from. Only safetensors and `torch.load(weights_only=True)`: nothing here can run code from a file.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcache.digest import file_sha256
from kdcache.errors import Damage, Unavailable, UsageError
from kdcache.spec import Weights
from kdcache.tensors import read_tensors, shortened

SINGLE_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
HUB_FILES = ("*.json", "*.txt", "model*.safetensors")
OLDER_HUB_FILES = ("pytorch_model*.bin", "open_clip_*.safetensors", "open_clip_*.bin")


@dataclass(frozen=True)
class Checkpoint:
    """What was found: tensors by name, who they are, and the folder with their configuration when it was a folder."""

    tensors: dict[str, Any]
    record: Weights
    folder: Path | None

    def settings(self, name: str) -> dict[str, Any] | None:
        """A JSON file beside the weights; None when there is none."""
        path = self.folder / name if self.folder else None
        return read_json(path) if path is not None and path.is_file() else None


def find_checkpoint(weights: str | None, published: str | None, *, name: str) -> Checkpoint:
    """The checkpoint that was asked for; without a wish, the published one from the Hub."""
    if weights is None and published is None:
        raise UsageError(f"{name} has no checkpoint on the Hub", hint="pass --weights FILE, or --weights random")
    path, source = _locate(weights or f"hub:{published}")
    return read_checkpoint(path, source=source)


def find_nano(weights: str | None, package: Callable[[], Path], *, source: str) -> Checkpoint:
    """The small weights in the package, or a file or folder of the same layout."""
    if weights == "random":
        raise UsageError("the nano sizes come with their weights", hint="leave --weights out")
    path, source = _locate(weights) if weights else (package(), source)
    return read_checkpoint(path, source=source)


def find_folder(weights: str | None, published: str) -> tuple[Path, str]:
    """The folder of a model and its source: what was asked for, else `published`, a folder or Hub repository."""
    folder, source = _locate(weights or (published if Path(published).is_dir() else f"hub:{published}"))
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; this teacher needs the folder with its config.json")
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
    tensors: dict[str, Any] = {}
    for file in files:
        tensors |= read_tensors(file)
    return Checkpoint(tensors, Weights(source=source, sha256=files_sha256(files)), path if path.is_dir() else None)


def weight_files(path: Path) -> list[Path]:
    """The weight files at a path: the file itself, or those of a folder as publishers lay them out."""
    if path.is_file():
        return [path]
    for name in SINGLE_FILES[:1]:
        if (path / name).is_file():
            return [path / name]
    for name in INDEX_FILES:
        if (path / name).is_file():
            shards: dict[str, str] = read_json(path / name).get("weight_map", {})
            return _all_there(path, sorted(set(shards.values())))
    for name in SINGLE_FILES[1:]:
        if (path / name).is_file():
            return [path / name]
    alone = sorted(path.glob("*.safetensors"))
    if len(alone) == 1:
        return alone
    raise UsageError(f"no weights in the folder {path}", hint=f"looked for {', '.join(SINGLE_FILES)} and sharded ones")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds a mapping."""
    try:
        loaded = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise Damage(f"{path} is not JSON: {error}", hint="fetch the file again") from error
    if not isinstance(loaded, dict):
        raise Damage(f"{path} holds a {type(loaded).__name__}, not settings by name")
    return loaded


def _all_there(folder: Path, names: list[str]) -> list[Path]:
    missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        raise Damage(f"{folder}: the index names shards that are not there: {shortened(missing)}")
    return [folder / name for name in names]


def files_sha256(files: list[Path]) -> str:
    """sha256 of one file; of several, sha256 over their names and digests."""
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256("".join(f"{file_sha256(f)}  {f.name}\n" for f in files).encode()).hexdigest()


def _download(repo: str) -> Path:
    """The snapshot of a Hub repository: configuration and safetensors, or older files where there are none."""
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
