"""Energy an accelerator has used, from the counter of its driver, where it has one.

Output: joules; None without `pip install nvidia-ml-py` (the extra `energy`) or on a device without such a counter.
"""


class Energy:
    """Energy used since this object was made."""

    def __init__(self) -> None:
        self._start = millijoules()

    def joules_a_step(self, steps: int) -> float | None:
        """The mean over so many steps, loading and validation included; None without a counter."""
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
        # By its own name: CUDA_VISIBLE_DEVICES gives the devices other numbers than the driver does.
        name = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByUUID(name)))
    except pynvml.NVMLError:
        return None
