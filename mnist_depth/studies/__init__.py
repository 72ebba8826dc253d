"""Every experiment of the lectures as a named study."""

from pathlib import Path

from mnist_depth.config import RunConfig
from mnist_depth.naming import max_length, slug
from mnist_depth.studies import (
    activation_flow,
    activation_init_grid,
    activations,
    batch_norm,
    dbn,
    depth9,
    depth_sweep,
    dropout,
    ensemble,
    initializers,
    labs,
    learning_speed,
    lego,
    optimizers,
    phase_diagram,
    rescues,
    search,
    shallow_relu,
    xor,
)
from mnist_depth.studies.study import Study

STUDIES: dict[str, Study] = {
    "depth9": depth9.STUDY,
    "gates": xor.GATES,
    "xor2": xor.XOR_2,
    "xor9": xor.XOR_9,
    "depth_sweep": depth_sweep.STUDY,
    "activations": activations.STUDY,
    "initializers": initializers.STUDY,
    "activation_init_grid": activation_init_grid.STUDY,
    "activation_flow": activation_flow.STUDY,
    "dbn": dbn.STUDY,
    "batch_norm": batch_norm.STUDY,
    "dropout": dropout.STUDY,
    "ensemble": ensemble.STUDY,
    "lego": lego.STUDY,
    "optimizers": optimizers.STUDY,
    "labs": labs.STUDY,
    "shallow_relu": shallow_relu.STUDY,
    "search": search.STUDY,
    "learning_speed": learning_speed.STUDY,
    "rescues": rescues.STUDY,
    "phase_diagram": phase_diagram.STUDY,
}


def study_in(folder: str) -> str:
    """The name of the study whose runs are in a folder of this name; empty for none."""
    return next((name for name, study in STUDIES.items() if folder in (name, study.folder)), "")


def folder_name(name: str, logdir: Path) -> str:
    """The name of a study's folder: a short one, or the study's own where an earlier version made that."""
    short = STUDIES[name].folder or name
    return name if (logdir / name).is_dir() and not (logdir / short).is_dir() else short


def run_slug(folder: str, config: RunConfig) -> str:
    """The name of a run in a folder of the logdir, which may be that of a study."""
    if name := study_in(folder):
        return STUDIES[name].slug(config, STUDIES[name].folder or name)
    return slug(config, length=max_length(folder))
