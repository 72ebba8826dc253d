"""Train on two logical CPUs, with and without the gauge, and print what was found as JSON (run by test_strategy)."""

from __future__ import annotations

import json
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps


def train(callbacks: list[Any]) -> list[Any]:
    x = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, 4, 24)
    keras.utils.set_random_seed(0)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        hidden = [keras.layers.Dense(5, "tanh", name="one"), keras.layers.BatchNormalization(name="norm")]
        model: Any = keras.Sequential([keras.Input((6,)), *hidden, keras.layers.Dense(4, name="two")])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, jit_compile=False)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    return [np.asarray(weights).tolist() for weights in model.get_weights()]


def main() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    x, y = np.zeros((8, 6), np.float32), np.zeros(8, np.int64)
    writer = MemoryWriter()
    plain = train([])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        measured = train([DepthGauge(writer, (x, y), schedule=every_steps(2), gradients="both")])
    found = {
        "identical": plain == measured,
        "steps": {tag: sorted(points) for tag, points in writer.scalars.items()},
        "graph": writer.graph is not None,
        "warnings": [str(w.message) for w in caught if "several replicas" in str(w.message)],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
