"""The training loop of data2vec-nano, which is trained without labels.

Input: pictures, of which only the pixels are read. Output: a trained encoder.
"""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from kdcache.networks.data2vec import Data2Vec
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.teachers.nano import NANO_DATA2VEC
from kdcache.teachers.nano_training.descent import Descent
from kdcache.teachers.nano_training.masked import Masking, SelfTaught
from kdcache.teachers.nano_training.pictures import cropped, normalised, relit
from kdcache.teachers.nano_training.trainer import Work

MASKING = Masking()
FIRST_KEEP, LAST_KEEP = 0.995, 0.9995
"""Decay of the EMA copy at the start and at the end; it grows linearly over the first half of the steps, then stays."""


def teach_itself(work: Work, masking: Masking = MASKING) -> Data2Vec:
    """Train in the fastest precision; all random numbers come from one seeded generator."""
    dice, preprocess = torch.Generator().manual_seed(work.seed), work.preprocess
    taught = SelfTaught(Data2VecShape.from_plain(NANO_DATA2VEC), masking)
    descent = Descent(taught.student, taught.decoder, work.recipe, work.portions, work.saved, others=taught.copies)
    with sdpa_kernel([SDPBackend.MATH]):  # for so few tokens the fused kernels are slower on a CPU
        for step, pictures, rows in descent.batches(dice, work.progress):
            whole = cropped(pictures.pixels[rows], dice)
            seen = relit(whole, dice)
            descent.step(taught.loss(normalised(whole, preprocess), normalised(seen, preprocess), dice))
            taught.follow(_keep(step, descent.steps))
    return taught.student.eval()


def _keep(step: int, steps: int) -> float:
    return FIRST_KEEP + (LAST_KEEP - FIRST_KEEP) * min(1.0, 2 * step / steps)
