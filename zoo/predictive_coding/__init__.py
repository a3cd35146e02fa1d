"""Predictive coding (Choksi et al., NeurIPS 2021): any network made recurrent, and the paper's networks."""

from zoo.predictive_coding.cells import count_cells, count_cells_by_perturbation
from zoo.predictive_coding.config import (
    Config,
    ConfigError,
    ConfigWarning,
    Hyperparameters,
    PCoder,
    read_config,
)
from zoo.predictive_coding.conversion import Part, describe, predify
from zoo.predictive_coding.dynamics import Balance, ErrorGradient, Scaling
from zoo.predictive_coding.network import Iteration, PredictiveCodingNetwork
from zoo.predictive_coding.networks import (
    Normalised,
    cnn_cifar_plain,
    cnn_fmnist_plain,
    load_backbone,
    pcn_cifar,
    pcn_fmnist,
    peffnetb0,
    pvgg16,
)
from zoo.predictive_coding.public import load_public_decoders, load_timm_backbone, read_public_decoders

__all__ = [
    "predify",
    "describe",
    "Balance",
    "Config",
    "ConfigError",
    "ConfigWarning",
    "ErrorGradient",
    "Hyperparameters",
    "Iteration",
    "Normalised",
    "PCoder",
    "Part",
    "PredictiveCodingNetwork",
    "Scaling",
    "count_cells",
    "count_cells_by_perturbation",
    "load_backbone",
    "load_public_decoders",
    "load_timm_backbone",
    "pcn_cifar",
    "cnn_cifar_plain",
    "cnn_fmnist_plain",
    "pcn_fmnist",
    "peffnetb0",
    "pvgg16",
    "read_config",
    "read_public_decoders",
]
