"""Every test of growth begins with the same generator, from which `grow` draws its seed."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
