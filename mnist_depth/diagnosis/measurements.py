"""Input of a diagnosis: plain numbers about one network at one moment, from any source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Layer:
    """Measurements of one weight layer; None where something was not measured."""

    name: str
    pre_activation_gradient: float | None = None
    """||dL/dz|| over units and samples of a batch."""
    kernel_gradient: float | None = None
    """||dL/dW||."""
    saturated_share: float | None = None
    """Share of outputs where the activation is flat."""
    dead_share: float | None = None
    """Share of units that are zero for every sample of the batch, after the activation, wherever it is in the model."""
    update_ratio: float | None = None
    """||update of W|| / ||W||."""
    activation_std: float | None = None
    """Standard deviation of the outputs over units and samples."""
    across_samples_std: float | None = None
    """The same, but over the samples only: the part that differs between inputs."""
    predicted_gain: float | None = None
    """||dL/dz|| of this layer over that of the next one, from theory."""
    kind: str = ""
    """The class of the layer: Dense, Conv2D, ..."""
    units: int | None = None
    parameters: int | None = None
    shape: tuple[int | None, ...] = ()
    """Shape of the layer's output, None for the batch."""
    activation: str = ""
    trainable: bool = True
    moved: float | None = None
    """||W after the trial steps - W|| / ||W||; 0 where no gradient ever arrived."""
    identical_share: float | None = None
    """Share of units whose incoming weights equal those of another unit of the layer after the trial steps."""
    nonfinite_share: float | None = None
    """Share of outputs that are NaN or infinite."""
    nonfinite_weights: bool = False
    time_gain: float | None = None
    """Recurrent layers: factor of the gradient per time step, toward the first step."""
    time_steps: int | None = None
    is_output: bool = False
    networks: tuple[str, ...] = ()
    """The networks that it belongs to, where a model holds several that are judged one by one."""


@dataclass(frozen=True)
class Trial:
    """A few optimizer steps on the batch, on a copy of the weights."""

    factor: float
    """The model's own learning rate was multiplied by this."""
    losses: tuple[float, ...]
    """Before the first step, and after every step."""


@dataclass(frozen=True)
class Data:
    """Facts about the batch."""

    examples: int
    input_rms: float | None = None
    input_min: float | None = None
    input_max: float | None = None
    input_nonfinite: int = 0
    input_identical: bool = False
    """All examples have the same input."""
    input_is_scaled: bool = False
    """The model itself normalizes or embeds its input."""
    feature_scales: float | None = None
    """Largest over smallest standard deviation of the input features of a table."""
    label_nonfinite: int = 0
    label_min: float | None = None
    label_max: float | None = None
    label_rms: float | None = None
    label_identical: bool = False
    label_classes: int | None = None
    """Distinct labels, for whole-number labels."""
    label_shape: tuple[int, ...] = ()
    label_rows_sum_to_one: bool = False


@dataclass(frozen=True)
class Output:
    """The last layer and the loss: what must fit together."""

    units: int | None = None
    activation: str = ""
    loss: str = ""
    """Snake-case name of a Keras loss, empty for any other."""
    from_logits: bool = False
    minimum: float | None = None
    """Of the model's predictions on the batch."""
    maximum: float | None = None


@dataclass(frozen=True)
class Measurements:
    """One network at one moment, layer 1 first.

    `traits` describes the network in RunConfig's words, as far as known: activation, initializer, optimizer, wiring,
    batch_norm, pretraining. Remedies that are already in use are not offered again.
    """

    source: str
    layers: tuple[Layer, ...]
    loss: float | None = None
    diverged: bool = False
    traits: Mapping[str, str] = field(default_factory=dict)
    constant_loss: float | None = None
    """Loss of the best prediction that does not depend on the input."""
    lowest_loss: float = 0.0
    """Loss of a perfect prediction: more than zero for soft labels and with penalties on weights."""
    probe_loss: float | None = None
    """Loss on a fixed batch, which may be held-out data, with the weights of this moment."""
    trials: tuple[Trial, ...] = ()
    data: Data | None = None
    output: Output | None = None
    is_linear: bool | None = None
    """Whether the last layer's pre-activations are an affine function of the input although there are hidden layers."""
    updates: int = 0
    """Optimizer steps before this moment."""
    history: tuple[float, ...] = ()
    """Training loss over time, up to this moment."""
    start: tuple[Layer, ...] = ()
    """The layers before the first update, with what that update did; empty where it was not measured."""
    start_loss: float | None = None
    """Loss before the first update; the higher one of the first minibatch and the probe."""
    learning_rate: float | None = None
    rate_kept: float | None = None
    """Learning rate after as many updates as a trial takes over that of now, where a schedule sets it."""
    unseen: tuple[str, ...] = ()
    """What could not be measured, and why."""
