"""BatchNorm keeps its initial statistics, as in TinyViT's fine-tuning (TRAIN.EVAL_BN_WHEN_TRAINING of TinyViT/config.py)."""

from typing import TYPE_CHECKING, ClassVar

from students.base.objective import Constraint

if TYPE_CHECKING:
    from torch import nn


class FrozenNorms(Constraint):
    """Every BatchNorm is in evaluation mode while the rest of the network trains; its weight and bias still learn."""

    kind: ClassVar[str] = "frozen-norms"
    freezes_norms: ClassVar[bool] = True

    def before_step(self, network: "nn.Module") -> None:
        """Put every BatchNorm back into evaluation mode, from which `network.train()` has taken it."""
        from torch.nn.modules.batchnorm import _BatchNorm

        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


CONSTRAINT = FrozenNorms
