"""Named layers of any network: the signal `blocks.3` is what the module `blocks.3` puts out."""

from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from kdcache.errors import UsageError

USUAL = ("logits", "embedding", "features")
"""Signals that are not layers, even if the network has a module of that name."""


class LayerTaps:
    """Catches what named modules put out during a pass."""

    def __init__(self, network: nn.Module, signals: tuple[str, ...]) -> None:
        self._caught: dict[str, Tensor] = {}
        modules = {name: module for name, module in network.named_modules() if name}
        self.taps: dict[str, str] = {}
        for signal in signals:
            if signal not in USUAL:
                if signal not in modules:
                    raise UsageError(
                        f"no signal and no layer of this network is called {signal!r}",
                        hint=_nearest(signal, network, list(modules)),
                    )
                modules[signal].register_forward_hook(self._catcher(signal))
                self.taps[signal] = f"output of module {signal}, as it is"

    def collect(self) -> dict[str, Tensor]:
        """What was caught since the last call."""
        caught, self._caught = self._caught, {}
        return caught

    def _catcher(self, signal: str) -> Any:
        def catch(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._caught[signal] = first_tensor(output)

        return catch


def _nearest(wanted: str, network: nn.Module, names: list[str]) -> str:
    """Names a user may have meant, or where names can be found."""
    near = get_close_matches(wanted, (*USUAL, *names), n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    outer = [name for name, _ in network.named_children()]
    inner = next((name for name in names if name.count(".") == 1), None)
    inside = f", and inside of them, such as {inner}" if inner else ""
    return f"signals are {', '.join(USUAL)}; layers are {', '.join(outer)}{inside}"


def first_tensor(output: Any) -> Tensor:
    """The tensor a module puts out, the first one where it puts out several."""
    while not isinstance(output, Tensor):
        output = next(iter(output.values())) if hasattr(output, "values") else output[0]
    return output
