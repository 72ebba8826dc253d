"""Gradients and activations of your own Keras model in TensorBoard: add the marked lines to your program.

python -m mnist_depth.examples.keras_fit && tensorboard --logdir logs/keras_fit
"""

import keras
from sklearn.datasets import load_digits

from mnist_depth.instrument import DepthGauge  # <- 1


def main(logdir: str = "logs/keras_fit", epochs: int = 10) -> None:
    """Train a small network on scikit-learn's digits and write what happens inside it."""
    x, y = load_digits(return_X_y=True)
    x = x / 16
    model = keras.Sequential(
        [keras.Input((64,)), *[keras.layers.Dense(64, "sigmoid") for _ in range(4)], keras.layers.Dense(10)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    gauge = DepthGauge(logdir, probe=(x[:256], y[:256]))  # <- 2
    model.fit(x, y, validation_split=0.2, epochs=epochs, callbacks=[gauge])  # <- 3


if __name__ == "__main__":
    main()
