"""Every text of the Depth tab."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "profile": "Profile",
    "map": "Map",
    "distributions": "Distributions",
    "quantity": "Quantity",
    "subject": "Of",
    "color": "Color",
    "filter": "Filter",
    "filter_help": "relu depth=9 -tanh",
    "play": "Play",
    "pause": "Pause",
    "moment": "Moment",
    "count": "{shown} of {all} trainings",
    "drawn": "{drawn} drawn",
    "at_first": "The models differ: at first the newest and the worst are drawn. A click on a name draws or hides it.",
    "all_hidden": "All lines are hidden. A click on a name draws it.",
    "png": "PNG",
    "svg": "SVG",
    "csv": "CSV",
    "graph": "Graph",
    "hparams": "HParams",
    "seeds": "{count} seeds",
    "at_end": "After training",
    "no_verdict": "No diagnosis yet: it is written when the training ends.",
    "nothing": "No training here has figures of its layers. Train one with `python -m mnist_depth`, or give your own "
    "Keras model the callback mnist_depth.instrument.DepthGauge.",
    "no_match": "No training matches the filter.",
    "no_figure": "Nothing of this kind was measured.",
    "failed": "The figure could not be loaded: {reason}",
    "curves": "Loss and accuracy",
    "toggle": "Click: hide or show. Double click: show only this one.",
    "profile_key": "Lines with dots: measured, the mean over seeds with their range. Dashed: theory before training.",
    "map_key": "The first seed of up to six configurations, on one color scale.",
    "distributions_key": "The first seed of up to three configurations; all peaks are drawn equally high.",
    "curves_key": "Loss and accuracy: training solid, validation dotted, test dashed.",
}
"""Key -> text; braces are filled in by the page."""
