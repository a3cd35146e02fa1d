"""Compiled functions that are wrong are not used."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.training.compiling import CheckedCompilation

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Has a statistic that every pass moves."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).square().mean(1)


def compiled_as(
    monkeypatch: pytest.MonkeyPatch, compiled: Callable[[Callable[..., Tensor]], Callable[..., Tensor]]
) -> tuple[CheckedCompilation, Net]:
    """Return a network's function as a compiler that makes `compiled` of it leaves it."""
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: compiled(function))
    net = Net()
    return CheckedCompilation(net.forward, net), net


class Scaled(torch.autograd.Function):
    """The identity, with a gradient that is a third too long."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * 4 / 3


def test_the_first_call_of_a_shape_leaves_the_network_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients and statistics after a call are those of the function alone, and nothing is said."""
    calls: list[torch.Size] = []

    def counted(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(images: Tensor) -> Tensor:
            calls.append(images.shape)
            return function(images)

        return run

    checked, net = compiled_as(monkeypatch, counted)
    twin = Net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for images in (IMAGES, IMAGES, IMAGES[:2]):
            checked(images).sum().backward()
            twin(images).sum().backward()
    assert [shape[0] for shape in calls] == [4, 4, 4, 2, 2], "a check and a call, a call, a check and a call"
    assert all(map(torch.equal, net.state_dict().values(), twin.state_dict().values()))
    for weight, other in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(weight.grad, other.grad)


@pytest.mark.parametrize("wants_images", [False, True])
def test_wrong_gradients_are_not_used(monkeypatch: pytest.MonkeyPatch, wants_images: bool) -> None:
    """A right output with a gradient a third off is noticed, of weights and of images, and told once."""
    checked, net = compiled_as(monkeypatch, lambda function: lambda x: Scaled.apply(function(x)))
    images = IMAGES.clone().requires_grad_(wants_images)
    leaf = images if wants_images else net.layers[0].weight
    net.layers.requires_grad_(not wants_images)
    with pytest.warns(UserWarning, match="images 4x3x8x8 run uncompiled: .* is 33% off") as told:
        output = checked(images)
    assert len(told) == 1
    expected = torch.autograd.grad(net(images).sum(), leaf)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for answer in (output, checked(images)):
            torch.testing.assert_close(torch.autograd.grad(answer.sum(), leaf)[0], expected)


def test_a_compiler_that_fails_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error becomes one line."""

    def broken(images: Tensor) -> Tensor:
        raise ValueError("no compiler\nhere")

    checked, _ = compiled_as(monkeypatch, lambda function: broken)
    with pytest.warns(UserWarning, match=r"torch.compile fails with ValueError: no compiler here$"):
        output = checked(IMAGES)
    assert torch.equal(output, Net()(IMAGES))


def test_small_gradients_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a few values is compared by itself, not lost among large ones."""

    class Lost(Net):
        def forward(self, images: Tensor) -> Tensor:
            bias = self.layers[0].bias
            return super().forward(images) + 0.02 * (bias - bias.detach()).sum()

    net = Lost()
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: lambda x: Net.forward(net, x))
    with pytest.warns(UserWarning, match="100% off"):
        CheckedCompilation(net.forward, net)(IMAGES)


def test_what_rounds_is_judged_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own gradients may be anywhere; a compiler that spoils those in float32 is not believed."""
    net = Net()

    def rough(images: Tensor) -> Tensor:
        return net((2 * images).round() / 2)

    compiled: list[Callable[..., Tensor]] = []

    def right(function: Callable[..., Tensor], dynamic: bool) -> Callable[..., Tensor]:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", right)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked = CheckedCompilation(rough, net, net.forward)
        checked(IMAGES)
        checked(IMAGES[:2])
    assert compiled == [rough, net.forward], "the second size is believed as the first was"

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: lambda x: Scaled.apply(function(x)))
    checked = CheckedCompilation(rough, net, net.forward)
    with pytest.warns(UserWarning, match="33% off"):
        checked(IMAGES)
    with pytest.warns(UserWarning, match="images 2x3x8x8 run uncompiled: neither do those of another size"):
        checked(IMAGES[:2])


def test_without_memory_for_the_check_it_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled function needs less of it; a line says that nobody has looked."""
    net = Net()

    def hungry(images: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: net.forward)
    checked = CheckedCompilation(hungry, net)
    with pytest.warns(UserWarning, match="too little memory to check"):
        output = checked(IMAGES)
    assert torch.equal(output, Net()(IMAGES))


@pytest.mark.gpu
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default:TensorFloat32:UserWarning")
@pytest.mark.filterwarnings("default:.torch.jit:DeprecationWarning")
def test_the_gpu_compiles_right_gradients() -> None:
    """torch's own compiler is believed."""
    net = Net().cuda()
    checked = CheckedCompilation(net.forward, net)
    checked(IMAGES.cuda()).sum().backward()
    assert checked._is_believed == {IMAGES.shape: True}
