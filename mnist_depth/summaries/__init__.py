"""Summaries of a run in TensorBoard besides its curves, made from run folders without TensorFlow."""
