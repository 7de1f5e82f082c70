"""A small GPT on characters, with the hidden widths of its MLPs to choose."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_bench.training.vit import Block


class CharTransformer(nn.Module):
    """Embedded characters, learned positions, causal pre-norm blocks and a linear layer.

    Weights are normal with deviation 0.02, biases 0, as in GPT-2.

    Args:
        characters: how many there are.
        context: how many are read at once.
        widths: hidden, of the MLP of every block.
        features: of a character.
        heads: of the attention, a divisor of features.

    References:
        Language Models are Unsupervised Multitask Learners, Radford et al., 2019,
        https://openai.com/index/better-language-models/.
    """

    def __init__(
        self,
        characters: int,
        context: int,
        widths: Sequence[int],
        features: int = 48,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, features)
        self.positions = nn.Parameter(torch.zeros(context, features))
        self.blocks = nn.Sequential(*(Block(features, heads, n, causal=True) for n in widths))
        self.norm = nn.LayerNorm(features)
        self.head = nn.Linear(features, characters)
        self._initialise()

    def forward(self, codes: Tensor) -> Tensor:
        """Whole numbers as floats, shape (n, context), to scores (n, characters, context)."""
        tokens = self.embedding(codes.long()) + self.positions
        return self.head(self.norm(self.blocks(tokens))).transpose(1, 2)

    def _initialise(self) -> None:
        nn.init.normal_(self.positions, std=0.02)
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, nn.Embedding)):
                nn.init.normal_(layer.weight, std=0.02)
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)
