"""A vision transformer for small images, with the hidden widths of its MLPs to choose."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class VisionTransformer(nn.Module):
    """Patches, learned positions, pre-norm blocks, the mean over tokens and a linear layer.

    Weights are normal with deviation 0.02, cut at 2, biases 0.

    Args:
        shape: of an image: channels, height, width.
        widths: hidden, of the MLP of every block.
        classes: how many outputs.
        patch: pixels of a side of a patch, a divisor of height and width.
        features: of a token.
        heads: of the attention, a divisor of features.

    References:
        An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale, Dosovitskiy et
        al., 2021, https://arxiv.org/abs/2010.11929.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        widths: Sequence[int],
        classes: int,
        patch: int = 4,
        features: int = 128,
        heads: int = 4,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        tokens = (height // patch) * (width // patch)
        self.patches = nn.Conv2d(channels, features, patch, stride=patch)
        self.positions = nn.Parameter(torch.zeros(tokens, features))
        self.blocks = nn.Sequential(*(Block(features, heads, hidden) for hidden in widths))
        self.norm = nn.LayerNorm(features)
        self.head = nn.Linear(features, classes)
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """Shapes (n, c, h, w) to (n, classes)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(1))

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.positions, std=0.02)
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class Block(nn.Module):
    """Attention, then an MLP, each normalised before and added to its input."""

    def __init__(self, features: int, heads: int, hidden: int, *, causal: bool = False) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(features)
        self.attention = Attention(features, heads, causal=causal)
        self.mlp_norm = nn.LayerNorm(features)
        self.mlp = nn.Sequential(
            nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape (n, tokens, features) in and out."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.mlp(self.mlp_norm(tokens))


class Attention(nn.Module):
    """Multi-head self-attention; causal, if tokens see none that follow them."""

    def __init__(self, features: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.queries_keys_values = nn.Linear(features, 3 * features)
        self.output = nn.Linear(features, features)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape (n, tokens, features) in and out."""
        parts = self.queries_keys_values(tokens).unflatten(-1, (3, self.heads, -1))
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.output(mixed.transpose(1, 2).flatten(2))
