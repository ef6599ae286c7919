"""Energy used by an accelerator, read from the counter of its driver after every step.

Output: joules; None without `pip install nvidia-ml-py` (the extra `energy`) or on a device without such a counter.
"""

from collections.abc import Callable

Counter = Callable[[], float | None]


class Energy:
    """Energy used by the steps of a training; what comes before and after them does not count."""

    def __init__(self) -> None:
        self._read = counter()
        self._after: list[float | None] = []
        """Millijoules after each step."""

    def step(self) -> None:
        """A step is over."""
        self._after.append(self._read())

    def joules_a_step(self, skipped: int) -> float | None:
        """Mean joules of a step without the first `skipped`, which are at least one. None without a counter."""
        known = [joules for joules in self._after[skipped - 1 :] if joules is not None]
        if len(known) < 2 or None in self._after:
            return None
        return (known[-1] - known[0]) / 1000 / (len(known) - 1)


def counter() -> Counter:
    """A function that reads torch's current accelerator: millijoules since its driver was loaded; None without a counter."""
    import torch

    try:
        import pynvml
    except ImportError:
        return _none
    if not torch.cuda.is_available():
        return _none
    try:
        pynvml.nvmlInit()
        # Found by UUID, because CUDA_VISIBLE_DEVICES renumbers devices and the driver does not.
        name = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
        device = pynvml.nvmlDeviceGetHandleByUUID(name)
    except pynvml.NVMLError:
        return _none

    def read() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(device))
        except pynvml.NVMLError:
            return None

    return read


def _none() -> None:
    return None
