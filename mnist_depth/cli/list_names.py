"""What `python -m mnist_depth list` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mnist_depth.config import ALIASES
from mnist_depth.datasets import DATASETS
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.initializers import INITIALIZERS
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.networks.options import BATCH_NORMS, LOGITS_ACTIVATIONS
from mnist_depth.networks.pretraining import PRETRAININGS
from mnist_depth.networks.wirings import WIRINGS
from mnist_depth.registry import Entry
from mnist_depth.studies import STUDIES, Study
from mnist_depth.sweeps.backends import BACKENDS
from mnist_depth.sweeps.cost import minutes, minutes_text
from mnist_depth.translation import plural
from mnist_depth.translation import translate as _


def study_line(study: Study) -> str:
    """What `list` says of a study: question, runs and minutes on MNIST, of the full and of the quick version."""
    full, quick = (_counted(study, quick) for quick in (False, True))
    return f"{_(study.question)} {full}; --quick: {quick}"


def _counted(study: Study, quick: bool) -> str:
    configs, runs = study.configs("mnist", quick=quick), study.runs("mnist", quick=quick)
    if runs > len(configs):
        configs = configs * (runs // len(configs))
    return plural("{count} run, {time}", "{count} runs, {time}", runs, time=minutes_text(minutes(configs)))


def _entries(registry: Mapping[str, Entry]) -> dict[str, str]:
    return {
        name + "".join(f":{value}" for value in entry.arguments[:1]): entry.summary for name, entry in registry.items()
    }


def _aliases(field: str) -> dict[str, str]:
    return {alias: f"= {name}" for alias, name in ALIASES[field].items()}


def _optimizers() -> dict[str, str]:
    return {
        name: f"{_(entry.summary)}; {_('learning rate')} {entry.learning_rate:g}" for name, entry in OPTIMIZERS.items()
    }


LISTS: dict[str, Callable[[], Mapping[str, str]]] = {
    "studies": lambda: {name: study_line(study) for name, study in STUDIES.items()},
    "datasets": lambda: _entries(DATASETS),
    "activations": lambda: {**_entries(ACTIVATIONS), **_aliases("activation")},
    "initializers": lambda: {**_entries(INITIALIZERS), **_aliases("initializer")},
    "optimizers": _optimizers,
    "wirings": lambda: _entries(WIRINGS),
    "batch_norms": lambda: BATCH_NORMS,
    "pretrainings": lambda: _entries(PRETRAININGS),
    "logits_activations": lambda: LOGITS_ACTIVATIONS,
    "engines": lambda: {name: summary for name, (summary, _) in BACKENDS.items()},
}


def text(names: Sequence[str]) -> str:
    """The named lists, one line for every name."""
    blocks = []
    for kind in names:
        lines = [f"  {name:<20} {_(summary)}" for name, summary in LISTS[kind]().items()]
        blocks.append("\n".join([f"{kind}:", *lines]))
    return "\n\n".join(blocks)
