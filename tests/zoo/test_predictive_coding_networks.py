from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.feedback import FeedbackModel
from zoo.predictive_coding import (
    Normalised,
    PredictiveCodingNetwork,
    count_cells,
    load_public_decoders,
    load_timm_backbone,
    pcn_cifar,
    peffnetb0,
    predify,
    pvgg16,
    read_public_decoders,
)
from zoo.predictive_coding.networks import cnn_cifar_plain, cnn_fmnist_plain, pcn_fmnist
from zoo.predictive_coding.public import timm_names


@pytest.mark.parametrize(
    ("build", "plain", "shape"),
    [(pcn_cifar, cnn_cifar_plain, (3, 32, 32)), (pcn_fmnist, cnn_fmnist_plain, (1, 28, 28))],
)
def test_small_networks(
    build: Callable[..., Normalised], plain: Callable[[], Normalised], shape: Any
) -> None:
    """Predictive coding on every stage; its first pass is the plain network with the same weights."""
    model, baseline = build(scaling="scaled").eval(), plain().eval()
    assert isinstance(model.model, PredictiveCodingNetwork)
    model.model.backbone.load_state_dict(baseline.model.network.state_dict())
    images = torch.rand(2, *shape)
    logits = model.unroll(images, 3)

    assert isinstance(model, FeedbackModel)
    assert logits.shape == (4, 2, 10)
    torch.testing.assert_close(logits[:1], baseline.unroll(images, 3))
    assert len(list(model.walk(images, 3))) == 4
    with pytest.raises(TypeError, match="nothing to look into"):
        next(iter(baseline.walk(images, 1)))


def test_normalisation_is_inside() -> None:
    """A zoo model takes images in [0, 1]: black and white become the backbone's extremes."""
    network = predify(nn.Sequential(nn.Identity(), nn.Flatten()), encoders=["0"], decoders=[nn.Identity()])
    model = Normalised(network, (0.5,), (0.25,))

    assert model.unroll(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2), 0).tolist() == [[[-2, 2]]]


@pytest.mark.parametrize(
    ("build", "channels", "sizes"),
    [
        (pvgg16, (64, 128, 256, 512, 512), (224, 112, 56, 28, 14)),
        (peffnetb0, (32, 16, 24, 40, 80, 112, 192, 320), (112, 112, 56, 28, 14, 14, 7, 7)),
    ],
)
def test_the_papers_networks_at_full_size(build: Callable[[], Normalised], channels: Any, sizes: Any) -> None:
    """Encoders and decoders sit where the paper has them, and every prediction fits its target."""
    with torch.device("meta"):
        network = build().model
        assert isinstance(network, PredictiveCodingNetwork)
        images = torch.zeros(1, 3, 224, 224)
    step = next(network.walk(images, 0))

    expected = [(1, c, s, s) for c, s in zip(channels, sizes, strict=True)]
    assert [tuple(e.shape) for e in step.representations] == expected
    assert [tuple(d.shape) for d in step.predictions] == [(1, 3, 224, 224), *expected[:-1]]
    assert step.logits.shape == (1, 1000)
    assert {tuple(balance) for balance in network.balances} == {(0.8, 0.1, 0.01)}


def test_cells_of_the_papers_networks() -> None:
    """C at 224x224 by the geometry."""
    with torch.device("meta"):
        network = peffnetb0(scaling="scaled").model
    assert isinstance(network, PredictiveCodingNetwork)
    shapes = network.shapes(torch.zeros(1, 3, 224, 224, device="meta"))

    cells = [count_cells(decoder, shape) for decoder, shape in zip(network.decoders, shapes, strict=True)]
    assert cells == [108, 288, 576, 864, 1440, 720, 4032, 1728]


def small() -> PredictiveCodingNetwork:
    network = pcn_cifar(widths=(4, 6)).model
    assert isinstance(network, PredictiveCodingNetwork)
    return network


def public_states(network: PredictiveCodingNetwork) -> list[dict[str, Any]]:
    """Return drawn feedback weights under the names that have been seen in the authors' files."""
    states: list[dict[str, Any]] = []
    for n, decoder in enumerate(network.decoders):
        shapes = {name.rsplit(".", 1)[-1]: value.shape for name, value in decoder.state_dict().items()}
        prefix = ("", "pmodule.1.")[n % 2]
        state = {prefix + name: torch.randn(shape) for name, shape in shapes.items()}
        states.append(
            state if n % 2 == 0 else {"pcoderweights": state | {"C_sqrt": torch.ones(1)}, "epoch": 9}
        )
    return states


def test_the_authors_feedback_weights(tmp_path: Path) -> None:
    """Their files are read by their names, whatever prefix the parameters have; re-saved ones come first."""
    network = small()
    states = public_states(network)
    torch.save(states[0], tmp_path / "pvgg16_imagenet_pretrained_pc1_pmodule.pth")
    torch.save(states[1], tmp_path / "new_pnet_pretrained_pc2_009.pth")
    torch.save({}, tmp_path / "pnet_pretrained_pc2_009.pth")
    load_public_decoders(network, read_public_decoders(tmp_path, 2))

    assert torch.equal(network.decoders[0].weight, states[0]["weight"])
    assert torch.equal(network.decoders[1][0].bias, states[1]["pcoderweights"]["pmodule.1.bias"])


def test_feedback_weights_that_do_not_fit(tmp_path: Path) -> None:
    """Missing, doubtful, damaged and foreign files are named."""
    network = small()
    states = public_states(network)
    with pytest.raises(ValueError, match=r"expected one file \*_pc1\*\.pth in .*, found none"):
        read_public_decoders(tmp_path, 2)
    (tmp_path / "net_pc1_009.pth").write_bytes(b"<html>quota</html>")
    with pytest.raises(ValueError, match=r"net_pc1_009\.pth is not a checkpoint or is truncated"):
        read_public_decoders(tmp_path, 1)
    with pytest.raises(ValueError, match="expected 2 files of feedback weights, got 1"):
        load_public_decoders(network, states[:1])
    with pytest.raises(
        ValueError, match=r"pc1 does not fit encoder 'stages\.0': expected one '\w+' in it, found 0"
    ):
        load_public_decoders(network, [{}, states[1]])
    with pytest.raises(ValueError, match=r"pc1 does not fit encoder 'stages\.0': .*size mismatch"):
        load_public_decoders(network, [states[1], states[1]])


def test_timms_weights() -> None:
    """timm's names map one to one to torchvision's; another file is refused."""
    from torchvision.models import efficientnet_b0

    backbone = efficientnet_b0(weights=None)
    own = backbone.state_dict()
    state = {timm: torch.randn_like(own[ours]) for timm, ours in timm_names(backbone)}
    load_timm_backbone(backbone, state | {"bn1.num_batches_tracked": torch.tensor(3)})

    assert torch.equal(backbone.features[0][0].weight, state["conv_stem.weight"])
    assert torch.equal(backbone.features[1][0].block[2][1].running_var, state["blocks.0.0.bn2.running_var"])
    assert torch.equal(backbone.features[2][1].block[2].fc1.bias, state["blocks.1.1.se.conv_reduce.bias"])
    assert torch.equal(backbone.features[7][0].block[3][1].weight, state["blocks.6.0.bn3.weight"])
    assert torch.equal(backbone.classifier[1].bias, state["classifier.bias"])
    assert len(state) == 311
    with pytest.raises(ValueError, match="1 weights left over, first 'head'"):
        load_timm_backbone(backbone, state | {"head": torch.ones(1)})
    del state["bn2.bias"]
    with pytest.raises(ValueError, match=r"1 weights missing, first 'bn2\.bias'"):
        load_timm_backbone(backbone, state)
    with pytest.raises(ValueError, match="size mismatch"):
        load_timm_backbone(backbone, state | {"bn2.bias": torch.ones(3)})


def test_training_the_feedback_reaches_the_decoders_alone() -> None:
    """The first pass's prediction errors (equation 3) have gradients for the feedback and none else."""
    network = small().train()
    images = torch.rand(2, 3, 32, 32)
    errors: Tensor = next(network.walk(images, 0)).prediction_errors
    errors.sum().backward()

    assert all(parameter.grad is not None for parameter in network.decoders.parameters())
    assert all(parameter.grad is None for parameter in network.backbone.parameters())
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())
