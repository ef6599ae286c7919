"""Named layers of any network as signals: the signal `blocks.3` is the output of the module `blocks.3`."""

from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from kdcache.errors import UsageError

USUAL = ("logits", "embedding", "features")
"""Signals that are not layers, even if the network has a module of that name."""


class LayerTaps:
    """Collects the outputs of named modules during a forward pass."""

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
        """The outputs since the last call, by name."""
        caught, self._caught = self._caught, {}
        return caught

    def _catcher(self, signal: str) -> Any:
        def catch(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._caught[signal] = first_tensor(output)

        return catch


def _nearest(wanted: str, network: nn.Module, names: list[str]) -> str:
    """A hint: similar names, or a list of names."""
    near = get_close_matches(wanted, (*USUAL, *names), n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    outer = [name for name, _ in network.named_children()]
    inner = next((name for name in names if name.count(".") == 1), None)
    inside = f", and inside of them, such as {inner}" if inner else ""
    return f"signals are {', '.join(USUAL)}; layers are {', '.join(outer)}{inside}"


def first_tensor(output: Any) -> Tensor:
    """The output tensor of a module; the first one if it returns several."""
    while not isinstance(output, Tensor):
        output = next(iter(output.values())) if hasattr(output, "values") else output[0]
    return output
