"""Energy used by an accelerator, read from the counter of its driver.

Output: joules; None without `pip install nvidia-ml-py` (the extra `energy`) or on a device without such a counter.
"""


class Energy:
    """Energy used since this object was made."""

    def __init__(self) -> None:
        self._start = millijoules()

    def joules_a_step(self, steps: int) -> float | None:
        """Joules per step since the start, with loading and validation; `steps`: number of steps. None without a counter."""
        now = millijoules()
        return None if now is None or self._start is None else (now - self._start) / 1000 / steps


def millijoules() -> float | None:
    """Millijoules since the driver was loaded, of torch's current accelerator; None without a counter."""
    import torch

    if not torch.cuda.is_available():
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        # Found by UUID, because CUDA_VISIBLE_DEVICES renumbers devices and the driver does not.
        name = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByUUID(name)))
    except pynvml.NVMLError:
        return None
