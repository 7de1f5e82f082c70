"""Whole networks against a counter of the functions they call, one level above the operators."""

from math import prod

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from nas_bench import plugins
from nas_bench.growth.costs import CostMeter
from nas_bench.training.flops import inference_flops, training_flops

EXAMPLES = {
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "cifar100[architecture=convnet]": (3, 32, 32),
    "cifar100[architecture=resnet18]": (3, 32, 32),
    "cifar100[architecture=vit]": (3, 32, 32),
    "digits": (64,),
    "fashion_mnist": (784,),
    "mnist": (784,),
    "sine": (1,),
    "student_teacher": (10,),
}
TORCHVISION = {
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "efficientnet_b0": 64,
    "convnext_tiny": 64,
    "resnext50_32x4d": 64,
    "regnet_y_400mf": 64,
    "shufflenet_v2_x0_5": 64,
    "mnasnet0_5": 64,
    "densenet121": 64,
    "googlenet": 64,
    "resnet18": 64,
    "squeezenet1_0": 64,
    "vgg11": 64,
    "vit_b_16": 224,
    "swin_t": 64,
}
FAST = ("squeezenet1_0", "resnet18")
MODELS = [
    name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in TORCHVISION
]


class SecondCounter(TorchFunctionMode):
    """Forward multiply-adds, and those of the backward pass that will follow."""

    def __init__(self):
        super().__init__()
        self.forward = self.backward = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        price = FUNCTIONS.get(function)
        if price is not None:
            price(self, out, *args, **(kwargs or {}))
        return out

    def add(self, forward, *operands):
        """A price, paid again for the gradient of each operand that has one."""
        self.forward += forward
        self.backward += forward * sum(o is not None and o.requires_grad for o in operands)

    def linear(self, _out, x, weight, _bias=None):
        self.add(x.numel() * len(weight), x, weight)

    def convolution(self, out, x, weight, *_, **__):
        self.add(out.numel() * weight[0].numel(), x, weight)

    def matmul(self, out, left, right):
        self.add(out.numel() * left.shape[-1], left, right)

    def attention(self, _out, q, k, v, **_):
        self.add(q.numel() * k.shape[-2], q, k)
        self.add(q.numel() // q.shape[-1] * v.shape[-2] * v.shape[-1], q, v)

    def batch_norm(self, _out, x, _mean, _var, weight=None, _bias=None, training=False, *_, **__):
        rate = 4 * training or 1
        self.add(x.numel() * (rate + (weight is not None)), x, weight)

    def layer_norm(self, _out, x, _shape, weight=None, *_, **__):
        self.add(x.numel() * (4 + (weight is not None)), x, weight)

    def pooling(self, _out, x, _size):
        self.add(x.numel())

    def multi_head_attention(self, _out, query, _key, _value, width, *_, **__):
        tokens, n, _ = query.shape
        products = 4 * n * tokens * width**2 + 2 * n * tokens**2 * width
        self.add(products, query, query)  # each product has two operands


FUNCTIONS = {
    F.linear: SecondCounter.linear,
    F.conv2d: SecondCounter.convolution,
    torch.matmul: SecondCounter.matmul,
    torch.Tensor.matmul: SecondCounter.matmul,
    torch.Tensor.__matmul__: SecondCounter.matmul,
    F.scaled_dot_product_attention: SecondCounter.attention,
    F.batch_norm: SecondCounter.batch_norm,
    F.layer_norm: SecondCounter.layer_norm,
    F.adaptive_avg_pool2d: SecondCounter.pooling,
    F.multi_head_attention_forward: SecondCounter.multi_head_attention,
}


def counted(model, shape, samples):
    """Forward, and with the backward pass, per sample."""
    with SecondCounter() as counter:
        model.to("meta")(torch.empty(samples, *shape, device="meta"))
    return counter.forward / samples, (counter.forward + counter.backward) / samples


def agreed(model, shape):
    """Inference and training FLOPs, on which both counters agree, and growth with them.

    Leaves the network on the meta device.
    """
    example = torch.zeros(1, *shape)
    flops = inference_flops(model, example), training_flops(model, example)
    growth = grown(model.eval(), example)
    inference, _ = counted(model, shape, 1)
    _, training = counted(model.train(), shape, 4)
    assert flops == (inference, training)
    assert growth == inference
    return flops


def grown(model, example):
    """What growth is charged for a forward pass on the CPU."""
    meter = CostMeter()
    with torch.no_grad(), meter.charge("part"):
        model(example)
    return meter.flops["part"]


class Undrawn(TorchFunctionMode):
    """Weights are 0, not drawn, which takes longer than to count what they cost."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.normal_, torch.Tensor.uniform_):
            return args[0].zero_()
        return function(*args, **(kwargs or {}))


def torchvision_model(name):
    import torchvision

    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    with Undrawn():
        return getattr(torchvision.models, name)(**options)


@pytest.mark.parametrize("name", MODELS)
def test_networks_of_torchvision_cost_what_their_functions_do(name):
    side = TORCHVISION[name]
    inference, training = agreed(torchvision_model(name), (3, side, side))
    assert 2.7 * inference < training < 3.2 * inference  # above 3: batch norm costs 5, not 2


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    "widths", ["seed_widths", pytest.param("target_widths", marks=pytest.mark.slow)]
)
def test_networks_of_tasks_cost_what_their_functions_do(name, widths):
    task = plugins.task(name)
    inference, training = agreed(task.network(getattr(task, widths)), EXAMPLES[name])
    assert 1.5 * inference < training < 3.1 * inference


def test_a_depthwise_network_trains_for_less_than_three_forward_passes():
    layers = (nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3, groups=32), nn.Flatten())
    inference, training = agreed(nn.Sequential(*layers, nn.Linear(512, 10)), (3, 8, 8))
    assert inference == 32 * (27 * 36 + 9 * 16) + 512 * 10
    assert training == 3 * inference - prod((32, 27, 36))
