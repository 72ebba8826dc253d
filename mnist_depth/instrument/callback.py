"""The Keras callback that measures a training."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, cast

import keras

from mnist_depth.diagnosis import Diagnosis
from mnist_depth.instrument.findings import OnFinding
from mnist_depth.instrument.gauge_folder import Existing
from mnist_depth.instrument.schedule import Schedule
from mnist_depth.instrument.session import Session
from mnist_depth.instrument.settings import Settings
from mnist_depth.instrument.validation import Gradients
from mnist_depth.instrument.writers.protocol import Writer


class DepthGauge(keras.callbacks.Callback):
    """Writes gradients, weights, updates and activations of any Keras model while `fit` trains it.

    model.fit(x, y, callbacks=[DepthGauge("logs/run", probe=(x[:256], y[:256]))])

    `target` is a folder or a Writer. A folder holds one training: another one gets a folder with a number behind its
    name, or with `existing="error"` a FileExistsError. `probe` is a fixed batch (x, y) or (x, y, sample_weight),
    or a dataset whose first batch is taken, measured in inference mode; with `training`, and by default where the model
    has batch normalization, in training mode. `gradients` chooses between
    those on the probe (tags `probe_gradient_...`), those that training applied (`gradient_...`) or both; the default is
    the probe's where its loss is that of training. `schedule` and `histograms` replace the preset's schedules;
    `applied` is one of its own for updates and applied gradients. `layers` and `variables` are regular expressions on
    names such as `block/conv` and `block/conv/kernel`. `loss(y_true, y_pred)` is for a model that is compiled without
    one, `optimizer` for one that the model does not hold. The step of every point is the number of updates applied.
    When training ends, one line says whether gradients vanish, units are dead or the loss does not fall. `on_finding`
    is "warn", "stop" (end training at such an error), "ignore", or a function that gets the Diagnosis after the epoch
    in which a new kind of error appears.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | Writer,
        probe: Any = None,
        *,
        preset: str = "standard",
        schedule: Schedule | None = None,
        histograms: Schedule | None = None,
        applied: Schedule | None = None,
        gradients: Gradients | None = None,
        layers: str | None = None,
        variables: str | None = None,
        training: bool | None = None,
        graph: bool = True,
        hparams: Mapping[str, bool | int | float | str] | None = None,
        epoch_scalars: bool = True,
        optimizer: Any = None,
        loss: Callable[[Any, Any], Any] | None = None,
        existing: Existing = "new",
        on_finding: OnFinding = "warn",
    ) -> None:
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            raise ValueError(f"DepthGauge needs Keras' TensorFlow backend, not {keras.backend.backend()}")
        self.settings = Settings(
            target=target,
            probe=probe,
            preset_name=preset,
            schedule_given=schedule,
            histograms=histograms,
            applied=applied,
            gradients=gradients,
            layers=layers,
            variables=variables,
            training=training,
            graph=graph,
            hparams=hparams,
            epoch_scalars=epoch_scalars,
            optimizer=optimizer,
            loss=loss,
            existing=existing,
            on_finding=on_finding,
        )
        self._session = Session(self.settings)
        self._began = False

    def __deepcopy__(self, memo: dict[int, Any]) -> DepthGauge:
        """A gauge with the same settings that has seen no training, as tuners make one for every trial."""
        twin = cast(DepthGauge, copy.copy(self))
        memo[id(self)] = twin
        if isinstance(self.settings.target, Writer):
            settings = {**vars(self.settings), "target": copy.deepcopy(self.settings.target, memo)}
            twin.settings = Settings(**settings)
            twin._session = Session(twin.settings)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """The settings: a copied or unpickled gauge has seen no training."""
        return {"settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__init__()
        self.settings = state["settings"]
        self._session = Session(self.settings)
        self._began = False

    def __repr__(self) -> str:
        return f"DepthGauge: {', '.join(f'{name} {value}' for name, value in self._described().items())}"

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in self._described().items()]
        return f"<table>{''.join(rows)}</table>"

    def _described(self) -> dict[str, str]:
        """Target, preset and progress, for `repr`."""
        target = self.folder or self.settings.folder or type(self.settings.target).__name__
        state = f"step {self._session.clock.step}" if self._began else "no training yet"
        found = self.first_nonfinite
        trouble = {} if found is None else {"not finite": f"{found[1]} at step {found[0]}"}
        return {"target": target, "preset": self.settings.preset_name, "state": state, **trouble}

    @property
    def folder(self) -> str | None:
        """The folder that the gauge writes to: `target`, or with a number behind it; None where it has a Writer."""
        return self._session.placement.path

    @property
    def writer(self) -> Writer:
        """Where measurements of training go."""
        if self._session.placement.recording is None:
            raise ValueError("the gauge has no writer before the first fit")
        return self._session.recording.writer

    @property
    def first_nonfinite(self) -> tuple[int, str] | None:
        """Step and tag of the first NaN or infinity."""
        recording = self._session.placement.recording
        return None if recording is None else recording.first_nonfinite

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What the last training was found to be; during training, and after an interruption, what was measured so far.

        None before the first measurement.
        """
        return self._session.diagnosis()

    def restart(self, writer: Writer) -> None:
        """Prepare for another run of the same model: write to `writer`, discard the state of the last run."""
        self._session.restart(writer)

    def detach(self) -> None:
        """Leave model and optimizer as found; `fit` does this at its end, call it where `fit` raised."""
        self._session.detach()

    # Keras' hooks

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._began = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not in on_train_begin: other callbacks restore weights, and with them the step, in that hook.
        if not self._began:
            self._began = True
            self._session.begin(cast(keras.Model, self.model), self.params)
        self._session.begin_epoch(epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._session.begin_batch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._session.end_batch(logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._session.end_epoch(epoch, logs or {}):
            cast(keras.Model, self.model).stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._began:
            self._session.end()
