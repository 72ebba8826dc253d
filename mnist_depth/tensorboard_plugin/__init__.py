"""The Depth tab of TensorBoard."""
