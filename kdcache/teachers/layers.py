"""Named layers of any network: `layer:blocks.3` is what the module `blocks.3` puts out."""

from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from kdcache.errors import UsageError

PREFIX = "layer:"


class LayerTaps:
    """Catches what named modules put out during a pass."""

    def __init__(self, network: nn.Module, signals: tuple[str, ...]) -> None:
        self._caught: dict[str, Tensor] = {}
        modules = dict(network.named_modules())
        self.taps: dict[str, str] = {}
        for signal in signals:
            if signal.startswith(PREFIX):
                name = signal.removeprefix(PREFIX)
                if name not in modules or not name:
                    near = ", ".join(get_close_matches(name, modules, n=3))
                    raise UsageError(
                        f"the network has no layer {name!r}", hint=f"did you mean {near}?" if near else None
                    )
                modules[name].register_forward_hook(self._catcher(signal))
                self.taps[signal] = f"output of module {name}, as it is"

    def collect(self) -> dict[str, Tensor]:
        """What was caught since the last call."""
        caught, self._caught = self._caught, {}
        return caught

    def _catcher(self, signal: str) -> Any:
        def catch(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._caught[signal] = first_tensor(output)

        return catch


def first_tensor(output: Any) -> Tensor:
    """The tensor a module puts out, the first one where it puts out several."""
    while not isinstance(output, Tensor):
        output = next(iter(output.values())) if hasattr(output, "values") else output[0]
    return output
