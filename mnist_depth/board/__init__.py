"""Serve TensorBoard on run folders, on this machine or through SSH; nothing here imports TensorFlow."""
