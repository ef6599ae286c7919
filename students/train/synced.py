"""BatchNorm with the statistics of the whole batch, over all processes of a training.

Input: a network. Output: the same network, with norms that sum their statistics over the processes.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _Summed(torch.autograd.Function):
    """The sum over all processes; every process's loss depends on it, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        whole = values.clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        whole = gradient.clone()
        distributed.all_reduce(whole)
        return whole


def summed(values: Tensor) -> Tensor:
    """The sum over all processes, through which gradients flow."""
    whole: Tensor = _Summed.apply(values)
    return whole


class SyncedNorm(nn.BatchNorm2d):
    """BatchNorm over the images of all processes. torch has one for CUDA only; this one needs nothing but all_reduce."""

    def forward(self, x: Tensor) -> Tensor:
        """In training mode, normalise with statistics of the whole batch; otherwise as BatchNorm2d."""
        if not self.training:
            return super().forward(x)
        wide = x.float()
        count = wide.new_tensor([wide.numel() / wide.shape[1]])
        # Two passes, because mean of squares minus square of the mean loses a small variance to rounding.
        sums = summed(torch.cat([wide.sum((0, 2, 3)), count]))
        mean, total = sums[:-1] / sums[-1], sums[-1]
        centred = wide - mean.view(1, -1, 1, 1)
        var = summed(centred.square().sum((0, 2, 3))) / total
        self._remember(mean.detach(), (var * total / (total - 1)).detach())
        scale = torch.rsqrt(var + self.eps) * self.weight
        seen: Tensor = (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)
        return seen

    def _remember(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(var, share)


def synced(network: nn.Module, device: torch.device) -> nn.Module:
    """The network with every BatchNorm taking its statistics over all processes."""
    if device.type == "cuda":
        # torch has no types for it.
        whole: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return whole
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _copied(child))
    return network


def _copied(norm: nn.BatchNorm2d) -> SyncedNorm:
    copy = SyncedNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    copy.load_state_dict(norm.state_dict())
    return copy
