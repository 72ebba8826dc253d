"""A laboratory for seeing gradients vanish, explode and flow in Keras networks."""

from mnist_depth.version import __version__

__all__ = ["__version__"]
