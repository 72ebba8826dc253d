"""Diagnose and repair a live Keras model: measure it on one batch, judge it (`mnist_depth.diagnosis`), change it."""
