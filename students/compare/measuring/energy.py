"""What an accelerator has used, where it tells: the counter its driver keeps.

Output: joules. Needs `pip install nvidia-ml-py` (the extra `energy`) and a device that counts; there is no number without them.
"""


class Energy:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._start = millijoules()

    def joules_a_step(self, steps: int) -> float | None:
        """The mean over so many steps, loading and validation included; None where nothing tells."""
        now = millijoules()
        return None if now is None or self._start is None else (now - self._start) / 1000 / steps


def millijoules() -> float | None:
    """Since the driver was loaded, of the accelerator torch uses first; None where nothing tells."""
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
