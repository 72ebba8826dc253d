"""Mean-field theory of random fully connected networks: what initialization predicts about signals and gradients.

In a wide random network the pre-activations z_l = W_l h_{l-1} + b_l of one sample are Gaussian over the units, with
zero mean and variance q_l (the length). Everything below is an expectation over that Gaussian.

Sources: Poole et al. 2016 (length and correlation maps), Schoenholz et al. 2017 (chi_1, depth scales, 6 xi),
Glorot & Bengio 2010 and He et al. 2015 (the same recursion with real widths). NumPy only.
"""

from mnist_depth.theory.description import describe
from mnist_depth.theory.gaussian import (
    TABLE,
    Activation,
    mean_activation,
    resolve,
    squared_activation,
    squared_slope,
)
from mnist_depth.theory.maps import (
    DepthScales,
    chi_1,
    chi_c,
    correlation_map,
    critical_sigmas,
    depth_scales,
    fixed_correlation,
    fixed_point,
    length_map,
    length_slope,
)
from mnist_depth.theory.networks import (
    INPUT_LENGTHS,
    LayerPrediction,
    hidden_sigma_w,
    initializer_variance,
    not_covered,
    predict,
    predict_config,
)

__all__ = [
    "INPUT_LENGTHS",
    "TABLE",
    "Activation",
    "DepthScales",
    "LayerPrediction",
    "chi_1",
    "chi_c",
    "correlation_map",
    "critical_sigmas",
    "depth_scales",
    "describe",
    "fixed_correlation",
    "fixed_point",
    "hidden_sigma_w",
    "initializer_variance",
    "length_map",
    "length_slope",
    "mean_activation",
    "not_covered",
    "predict",
    "predict_config",
    "resolve",
    "squared_activation",
    "squared_slope",
]
