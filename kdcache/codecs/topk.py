"""`topk:K`: the K likeliest classes of a row, packed into one record of 16-bit words.

In: float32 logits (rows, classes). Out: one array of little-endian uint16 words per row, so that a row is contiguous:

    ids     K words, likeliest first; 2 K words (low word, high word, ...) for more than 65,536 classes
    logp    K words: code c stands for the log-probability -48 c / 65535
    tails   3 words, for the temperatures 1, 2 and 4: code c stands for log(tail mass / head mass) = 24 - 48 c / 65534,
            and 65535 for "no tail"

Uniform steps of 0.00073 in the logarithm keep the relative error of every probability below 0.037 % (float16: 0.049 % at best),
and can neither overflow nor vanish. The range goes down to e^-48 because reading at temperature 4 raises that to e^-12: if it
ended at e^-24, classes that a very sure teacher rules out would get e^-6 each. Tails are stored as odds because the log of the
tail mass alone cannot distinguish small heads (the top class of 70,000 equal ones has a tail of 0.99999).

For logits (rows, positions, classes) each position has such a record: an array (rows, positions, words).

Example: of 4 classes, 1 and 2 are kept. Code 601 stands for -48 * 601 / 65535 = -0.440 = log 0.644. The tail of 0.119 is
spread over classes 0 and 3.

    >>> import torch
    >>> codec = TopKCodec(Signal(name="logits", shape=(4,)), 2)
    >>> words = codec.encode(torch.tensor([[0.0, 2.0, 1.0, -1.0]]))["logits"]     # one row of 2 ids, 2 codes, 3 tails
    >>> words.tolist()
    [[1, 2, 601, 1966, 35498, 34132, 33450]]
    >>> codec.decode({"logits": words}).probabilities().astype(float).round(3).tolist()    # softmax: 0.087, 0.644, 0.237, 0.032
    [[0.06, 0.644, 0.237, 0.06]]
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.distribution import TEMPERATURES, TopK, check_classes
from kdcache.codecs.distribution_codec import DistributionCodec
from kdcache.codecs.full import FEW_CLASSES
from kdcache.codecs.measure import refuse_non_finite, topk_error
from kdcache.errors import UsageError
from kdcache.signals.signal import Signal

if TYPE_CHECKING:
    import torch

WORD = "<u2"
LOGP_STEP = 48.0 / 65535
TAIL_HIGHEST = 24.0
TAIL_STEP = 48.0 / 65534
NO_TAIL = 65535
MANY_CLASSES = 5000
"""From this many classes on (ImageNet-21k) the default is topk:100, below it topk:10, as in TinyViT's ImageNet-1k cache."""


class TopKCodec(DistributionCodec):
    """The K likeliest classes, 4 K + 6 bytes a row or position (6 K + 6 for more than 65,536 classes)."""

    form = "topk:K"
    help = "logits: the K likeliest classes, 16-bit log-probabilities and tails; 4 K + 6 bytes a row"
    # Rounding each log p and the odds by half a step changes p by at most p (1 - p) (1 + 1/2) steps: less than half a step.
    rounding = LOGP_STEP / 2

    @classmethod
    def usual_for(cls, signal: Signal) -> str | None:
        """`topk` for signals with more than FEW_CLASSES classes."""
        if cls.usable_for(signal) is not None or signal.classes <= FEW_CLASSES:
            return None
        return "topk:100" if signal.classes >= MANY_CLASSES else "topk:10"

    @classmethod
    def choices_for(cls, signal: Signal) -> tuple[str, ...]:
        """K = 1, 10 and 100, as far as the signal has so many classes."""
        return tuple(f"topk:{k}" for k in (1, 10, 100) if k <= signal.classes)

    def __init__(self, signal: Signal, k: int) -> None:
        self._classes = signal.classes
        if not 1 <= k <= self._classes:
            raise UsageError(
                f"topk:{k} does not suit {signal.name} of {self._classes} classes", hint=f"choose 1 to {self._classes}"
            )
        self.signal = signal
        self.k = k
        self._id_words = 1 if self._classes <= 1 << 16 else 2

    @property
    def name(self) -> str:
        """`topk:K`"""
        return f"topk:{self.k}"

    def fields(self) -> tuple[Field, ...]:
        """One packed field."""
        k, ids = self.k, self.k * self._id_words
        order = "word 2i + 65536 * word 2i+1" if self._id_words == 2 else "one word each"
        about = (
            ("codec", self.name),
            ("classes", str(self._classes)),
            ("words", f"0..{ids - 1} ids; {ids}..{ids + k - 1} logp; {ids + k}..{ids + k + 2} tails"),
            ("ids", f"class numbers, likeliest first, {order}"),
            ("logp", "log-probability at temperature 1 = -48 * code / 65535"),
            (
                "tails",
                "log(tail mass / head mass) at temperatures 1, 2, 4 = 24 - 48 * code / 65534; code 65535: no tail",
            ),
        )
        shape = (*self.signal.shape[:-1], ids + k + len(TEMPERATURES))
        return (Field(self.signal.name, WORD, shape, attributes=about, by_position=len(shape) > 1),)

    def encode(self, values: Any) -> Fields:
        """Encode logits. Equal logits are ordered by class number, so that equal logits always give equal bytes."""
        import torch

        refuse_non_finite(values, self.signal)
        values = values.reshape(-1, self._classes)
        ids = largest(values, self.k)
        z = values - values.amax(-1, keepdim=True)
        heads = [(z.gather(-1, ids) / t).exp().sum(-1) for t in TEMPERATURES]
        tails = _tail_masses(z, ids)
        logp = z.gather(-1, ids) - (heads[0] + tails[0]).log()[:, None]
        odds = torch.stack([tail.log() - head.log() for tail, head in zip(tails, heads, strict=True)], -1)
        return self._packed(ids, logp, odds)

    def recode(self, decoded: Any) -> Fields:
        """Encode logits; or keep the first K classes of a top-k record with more classes, without changing their codes."""
        import torch

        if not isinstance(decoded, TopK):
            return self.encode(decoded.as_logits())
        had = decoded.ids.shape[-1]
        if had < self.k or decoded.tails.shape[-1] < len(TEMPERATURES):
            lack = f"only {had} classes" if had < self.k else "no tails at temperatures 2 and 4"
            raise UsageError(f"{self.name} cannot be made from what is stored: it holds {lack}", hint="build it anew")
        odds = []
        for temperature in TEMPERATURES:
            _, p, rest = decoded.sparse(temperature, "bucket")
            with np.errstate(divide="ignore"):
                odds.append(np.log(rest + p[..., self.k :].sum(-1)) - np.log(p[..., : self.k].sum(-1)))
        ids, logp = decoded.ids[..., : self.k], decoded.logp[..., : self.k]
        return self._packed(*map(torch.from_numpy, (ids, logp, np.stack(odds, -1))))

    def _packed(self, ids: "torch.Tensor", logp: "torch.Tensor", odds: "torch.Tensor") -> Fields:
        import torch

        words = torch.cat([self._split(ids), _code(-logp / LOGP_STEP, 65535), self._tail_codes(odds)], -1)
        # Converting to int16 keeps the low 16 bits: the same words, and a quarter of the bytes to copy from the device.
        packed = words.to(torch.int16).cpu().numpy().view(WORD)
        return {self.signal.name: packed.reshape(-1, *self.signal.shape[:-1], packed.shape[-1])}

    def _split(self, ids: "torch.Tensor") -> "torch.Tensor":
        if self._id_words == 1:
            return ids
        import torch

        return torch.stack([ids & 0xFFFF, ids >> 16], -1).flatten(-2)

    def _tail_codes(self, odds: "torch.Tensor") -> "torch.Tensor":
        if self.k == self._classes:
            return odds.new_full(odds.shape, NO_TAIL).long()
        return _code((TAIL_HIGHEST - odds) / TAIL_STEP, NO_TAIL - 1)

    def decode(self, fields: Fields) -> TopK:
        """Decode records into ids, log-probabilities and tails. Torch tensors decode to torch tensors."""
        words: Any = fields[self.signal.name]
        split = self.k * self._id_words
        ids = _to_int64(words[..., :split])
        if self._id_words == 2:
            ids = ids[..., 0::2] | ids[..., 1::2] << 16
        check_classes(ids, self._classes, self.name)
        logp = _to_float32(words[..., split : split + self.k]) * -LOGP_STEP
        tails = _to_float32(words[..., split + self.k :])
        odds = TAIL_HIGHEST - tails * TAIL_STEP
        odds[tails == NO_TAIL] = -np.inf
        return TopK(ids, logp, odds, self._classes)

    def compare(self, values: "torch.Tensor", decoded: TopK) -> dict[str, float]:
        """Mass of the listed classes, largest error of a probability, KL(true || decoded, uniform tail) at T = 1, 2, 4."""
        return topk_error(values, decoded)


def largest(values: "torch.Tensor", k: int) -> "torch.Tensor":
    """Indices of the k largest values, largest first, lower index first among equals.

    torch.topk does not define which of several equal values it takes, nor their order. So its result is sorted here; in the few
    rows where more than k values reach the k-th largest, the choice is repeated with keys that are all different.
    """
    chosen, ids = values.topk(k, dim=-1)
    crowded = ((values >= chosen[:, -1:]).sum(-1) > k).nonzero().flatten()
    if len(crowded):
        ids[crowded] = _unique_keys(values[crowded]).topk(k, dim=-1).indices
    ids = ids.sort(-1).values
    order = values.gather(-1, ids).sort(dim=-1, descending=True, stable=True).indices
    return ids.gather(-1, order)


def _unique_keys(values: "torch.Tensor") -> "torch.Tensor":
    """Unique int64 keys in the order of the values; of equal values, the one with the lower index has the larger key.

    The high half is the float's bits as an integer (reversed for negative floats), from which the index is subtracted.
    """
    import torch

    bits = (values + 0.0).view(torch.int32)  # -0.0 + 0.0 = 0.0, so that the two zeros are equal
    ordered = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return (ordered.long() << 32) - torch.arange(values.shape[-1], device=values.device)


def _tail_masses(z: "torch.Tensor", ids: "torch.Tensor") -> list["torch.Tensor"]:
    """Sum of exp(z / T) over the classes not in `ids`, for each temperature; z <= 0.

    One exponential at temperature 4; squaring gives those at 2 and 1. A sum that underflows is below any storable tail.
    """
    powers = (z / TEMPERATURES[-1]).exp_().scatter_(-1, ids, 0.0)
    at_four = powers.sum(-1)
    at_two = powers.square_().sum(-1)
    return [powers.square_().sum(-1), at_two, at_four]


def _code(steps: "torch.Tensor", highest: int) -> "torch.Tensor":
    return steps.round().clamp(0, highest).long()


def _to_int64(words: Any) -> Any:
    return words.astype(np.int64) if isinstance(words, np.ndarray) else words.long()


def _to_float32(words: Any) -> Any:
    return words.astype(np.float32) if isinstance(words, np.ndarray) else words.float()
