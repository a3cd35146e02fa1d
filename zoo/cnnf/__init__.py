"""CNN-F (Huang et al., NeurIPS 2020): networks, and the layout of the authors' files."""

from zoo.cnnf.network import CNNF, Iteration, four_conv, two_conv, wide_resnet
from zoo.cnnf.public import load_public

__all__ = ["CNNF", "Iteration", "four_conv", "load_public", "two_conv", "wide_resnet"]
