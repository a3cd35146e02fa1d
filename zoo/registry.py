"""The catalogue of models. To add one, write its factory and add an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from zoo.entry import Assembled, Download, Shipped, ZooEntry

_HUANG = 'Huang et al., "Neural Networks with Recurrent Generative Feedback", NeurIPS 2020, arXiv 2007.09200'
_CHOKSI = (
    'Choksi et al., "Predify: Augmenting deep neural networks with brain-inspired predictive coding '
    'dynamics", NeurIPS 2021, arXiv 2106.02749'
)
_CNNF_FILES = "https://github.com/yjhuangcd/CNNF/raw/37b610a/models"


_PAPER_BALANCES: dict[str, object] = {"beta": 0.8, "lambda_": 0.1, "alpha": 0.01, "scaling": "plain"}
"""What the Predify paper gives every encoder."""


def _official(file: str, git_blob: str) -> Download:
    return Download(f"{_CNNF_FILES}/{file}", git_blob)


def _standard(iterations: int) -> ZooEntry:
    """Return the small network of the paper's standard-training figure, with that many iterations."""
    name = f"cnnf_fmnist_std_{iterations}" if iterations else "cnn_fmnist_std"
    return ZooEntry(
        name=name,
        label=f"CNN-F-{iterations}" if iterations else "CNN",
        build="zoo.cnnf:two_conv",
        settings={"feedback_to": 0, "res_param": 0.1, "adarelu": "signed"},
        dataset="fashion_mnist",
        iterations=iterations,
        checkpoints={"shipped": Shipped(name)},
        citation=_HUANG,
        licence="MIT",
        partner="cnn_fmnist_std" if iterations else "",
    )


def _balanced(**balances: object) -> dict[str, object]:
    """Return the settings of a predictive-coding network; C comes from the decoders' geometry."""
    return {**balances, "prediction_cells": None, "compat": None, "error_gradient": "full"}


def _small_vgg(
    network: str, label: str, dataset: str, iterations: int, settings: Mapping[str, object]
) -> ZooEntry:
    """Return a small VGG or the predictive-coding network on it, made by the factory of that name."""
    return ZooEntry(
        name=network,
        label=label,
        build=f"zoo.predictive_coding:{network}",
        settings=settings,
        dataset=dataset,
        iterations=iterations,
        checkpoints={"shipped": Shipped(network)},
        citation=_CHOKSI,
        licence="MIT",
        partner=network.replace("pcn_", "cnn_") + "_plain" if iterations else "",
    )


def _tuned(network: str, dataset: str, **balances: tuple[float, ...]) -> ZooEntry:
    """Return a predictive-coding network, on the same weights, with the balances that `bench tune` found.

    They are found for five iterations, and it is evaluated with as many.
    """
    settings = _balanced(scaling="scaled", **balances)
    return replace(_small_vgg(network, "PVGG (tuned)", dataset, 5, settings), name=f"{network}_tuned")


def _imagenet(name: str, label: str, backbone: str, feedback: str) -> ZooEntry:
    """Return a network of the Predify paper; its factory has the same name."""
    return ZooEntry(
        name=name,
        label=label,
        build=f"zoo.predictive_coding:{name}",
        settings=_balanced(**_PAPER_BALANCES),
        dataset="imagenet",
        iterations=10,
        checkpoints={"public": Assembled(backbone, f"https://www.dropbox.com/s/{feedback}?dl=1")},
        citation=_CHOKSI,
        licence="BSD-3-Clause (backbone), CC-BY-4.0 (feedback weights)",
    )


ENTRIES: dict[str, ZooEntry] = {
    "cnn_fmnist": ZooEntry(
        name="cnn_fmnist",
        label="CNN",
        build="zoo.cnnf:four_conv",
        settings={"feedback_to": 0, "res_param": 0.0, "adarelu": "signed"},
        dataset="fashion_mnist",
        iterations=0,
        checkpoints={
            "shipped": Shipped("cnn_fmnist"),
            "official": _official("CNN_fmnist.pt", "dae789763be10bbcc49684c0271aaef5c3626715"),
        },
        citation=_HUANG,
        licence="MIT",
    ),
    "cnnf_fmnist": ZooEntry(
        name="cnnf_fmnist",
        label="CNN-F",
        build="zoo.cnnf:four_conv",
        settings={"feedback_to": 2, "res_param": 0.1, "adarelu": "signed"},
        dataset="fashion_mnist",
        iterations=1,
        checkpoints={
            "shipped": Shipped("cnnf_fmnist"),
            "official": _official("CNNF_1_fmnist.pt", "48e7e05cae203f1e15d765291502d8f9d49c9e20"),
        },
        citation=_HUANG,
        licence="MIT",
        partner="cnn_fmnist",
    ),
    "cnn_cifar": ZooEntry(
        name="cnn_cifar",
        label="CNN",
        build="zoo.cnnf:wide_resnet",
        settings={"depth": 40, "width": 2, "feedback_to": 0, "res_param": 0.0, "adarelu": "signed"},
        dataset="cifar10",
        iterations=0,
        checkpoints={
            "shipped": Shipped("cnn_cifar"),
            "official": _official("CNN_cifar.pt", "0b3b20bfab55aca7988322782f91bf66adafc870"),
        },
        citation=_HUANG,
        licence="MIT",
        published={"last": {"clean": 79.09, "pgd_first": 42.31, "spsa_first": 66.61}},
    ),
    "cnnf_cifar": ZooEntry(
        name="cnnf_cifar",
        label="CNN-F",
        build="zoo.cnnf:wide_resnet",
        settings={"depth": 40, "width": 2, "feedback_to": 5, "res_param": 0.1, "adarelu": "signed"},
        dataset="cifar10",
        iterations=2,
        checkpoints={
            "shipped": Shipped("cnnf_cifar"),
            "official": _official("CNNF_2_cifar.pt", "5f94f9947e74733da1e9d40879e8d37f69c60e6c"),
        },
        citation=_HUANG,
        licence="MIT",
        partner="cnn_cifar",
        published={
            "last": {
                "clean": 78.68,
                "pgd_first": 48.90,
                "pgd_e2e": 49.35,
                "spsa_first": 68.75,
                "spsa_e2e": 51.46,
                "transfer": 66.19,
            },
            "avg": {
                "clean": 80.27,
                "pgd_first": 48.72,
                "pgd_e2e": 55.02,
                "spsa_first": 71.56,
                "spsa_e2e": 58.83,
                "transfer": 67.09,
            },
        },
    ),
    **{entry.name: entry for entry in map(_standard, range(6))},
    "cnn_fmnist_plain": _small_vgg("cnn_fmnist_plain", "VGG", "fashion_mnist", 0, {}),
    "cnn_cifar_plain": _small_vgg("cnn_cifar_plain", "VGG", "cifar10", 0, {}),
    "pcn_fmnist": _small_vgg("pcn_fmnist", "PVGG", "fashion_mnist", 10, _balanced(**_PAPER_BALANCES)),
    "pcn_cifar": _small_vgg("pcn_cifar", "PVGG", "cifar10", 10, _balanced(**_PAPER_BALANCES)),
    "pcn_fmnist_tuned": _tuned(
        "pcn_fmnist",
        "fashion_mnist",
        beta=(0.1937, 0.697, 0.8302),
        lambda_=(0.7436, 0.2486, 0.0849),
        alpha=(0.07475, 1.293, 1.033),
    ),
    "pcn_cifar_tuned": _tuned(
        "pcn_cifar",
        "cifar10",
        beta=(0.0122, 0.9142, 0.4518, 0.1109),
        lambda_=(0.975, 0.02305, 0.09418, 0.4446),
        alpha=(0.0667, 0.7058, 0.02639, 0.01048),
    ),
    "pvgg16": _imagenet(
        "pvgg16",
        "PVGG16",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "8lzp6wfo6n3bymk/weights_pvgg16_imagenet.zip",
    ),
    "peffnetb0": _imagenet(
        "peffnetb0",
        "PEfficientNetB0",
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/efficientnet_b0_ra-3dd342df.pth",
        "0np1pzp3o3qhonv/weights_pefficientNetB0_imagenet.zip",
    ),
}
