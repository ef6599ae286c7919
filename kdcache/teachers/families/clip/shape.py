"""The dimensions of a CLIP, and transformers' configurations made from them."""

from typing import Any

from kdcache.base.strict import Strict

LARGEST_ID_ENDS = 2
"""Value of eos_token_id for which transformers takes the text embedding at the largest token id, as OpenAI and open_clip
do.
"""


class TextShape(Strict):
    """The dimensions of a text tower."""

    context: int
    vocabulary: int
    width: int
    layers: int
    heads: int


class ClipShape(Strict):
    """The dimensions of a CLIP; `text` is None if there is only the image tower."""

    image: int
    patch: int
    width: int
    layers: int
    heads: int
    dim: int
    activation: str
    text: TextShape | None

    def vision_config(self) -> Any:
        """The configuration for transformers."""
        from transformers import CLIPVisionConfig

        return CLIPVisionConfig(
            hidden_size=self.width,
            intermediate_size=4 * self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            image_size=self.image,
            patch_size=self.patch,
            projection_dim=self.dim,
            hidden_act=self.activation,
        )

    def text_config(self) -> Any:
        """The configuration for transformers; None without a text tower."""
        from transformers import CLIPTextConfig

        if self.text is None:
            return None
        return CLIPTextConfig(
            vocab_size=self.text.vocabulary,
            hidden_size=self.text.width,
            intermediate_size=4 * self.text.width,
            num_hidden_layers=self.text.layers,
            num_attention_heads=self.text.heads,
            max_position_embeddings=self.text.context,
            projection_dim=self.dim,
            hidden_act=self.activation,
            eos_token_id=LARGEST_ID_ENDS,
        )
