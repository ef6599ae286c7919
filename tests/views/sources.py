"""Sources for the tests of rendering. A module of its own, because render workers import it."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import BadImage, Unavailable
from kdcache.images.source import Listing


@dataclass(frozen=True)
class Painted:
    """Images painted from their id; some ids have a meaning of their own."""

    side: int = 48
    parent: int = 0
    """the process that must survive a `kill` image"""

    @property
    def name(self) -> str:
        return "painted"

    def spec(self) -> dict[str, Any]:
        return {"kind": "painted"}

    def scan(self) -> Listing:
        raise NotImplementedError("it is read by id alone")

    def read(self, image_id: str) -> NDArray[np.uint8]:
        kind, _, number = image_id.partition("-")
        if kind == "bad":
            raise BadImage(f"{image_id} is broken")
        if kind == "gone":
            raise Unavailable(f"{image_id} cannot be reached", hint="Plug the disk in.")
        if kind == "bug":
            raise ZeroDivisionError("a bug of ours")
        if kind == "kill" and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "exit" and os.getpid() != self.parent:
            os._exit(3)
        if kind == "modules":
            raise BadImage(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
        if kind == "slow":
            time.sleep(0.02)
        if kind == "stuck":
            time.sleep(60)
        rng = np.random.default_rng(int(number))
        return rng.integers(0, 256, (self.side, self.side + int(number) % 7, 3), dtype=np.uint8)
