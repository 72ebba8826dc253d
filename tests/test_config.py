"""RunConfig: one spelling per run, a round trip through JSON, and one clear line for every impossible combination."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from typing import Any

import pytest

from mnist_depth import naming
from mnist_depth.config import ALIASES, FIELDS, REGISTRIES, RunConfig, default_of, layer_name
from mnist_depth.errors import UserError

IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"width": 0}, "width must be a whole number from 1"),
    ({"depth": 0}, "depth must be a whole number from 1"),
    ({"depth": 1000}, "depth must be a whole number from 1 to 999, not 1000"),
    ({"batch_size": 0}, "batch_size must be"),
    ({"epochs": 0}, "epochs must be"),
    ({"seed": -1}, "seed must be"),
    ({"learning_rate": 0.0}, "learning_rate must be a positive number, not 0.0"),
    ({"learning_rate": float("nan")}, "learning_rate must be a positive number, not nan"),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
    ({"dropout": float("nan")}, "dropout must be"),
    ({"bias_std": -1.0}, "bias_std must be zero or a positive number"),
    ({"weight_decay": float("inf")}, "weight_decay must be zero or a positive number"),
    ({"activation": 3}, "activation must be a name, not 3"),
    ({"depth": True}, "depth must be a whole number, not True"),
    ({"depth": "9"}, "depth must be a whole number, not '9'"),
    ({"batch_norm": "yes"}, "unknown batch_norm 'yes'; valid: none, before, after"),
    ({"logits_activation": "x"}, "unknown logits_activation 'x'; valid: linear, relu, relu_scored"),
    ({"activation": "maxout:1"}, "activation maxout: the number of pieces must be a whole number from 2"),
    ({"activation": "maxout:many"}, "activation 'maxout:many': 'many' is not a whole number"),
    ({"activation": "relu:2"}, "activation 'relu:2' takes at most 0 argument"),
    ({"initializer": "normal:-1"}, "initializer normal: the number after the colon must be 0 or positive, not -1.0"),
    ({"initializer": "orthogonal:nan"}, "initializer orthogonal: the number after the colon must be"),
    ({"depth": 1, "batch_norm": "before"}, "batch_norm needs a hidden layer: depth must be at least 2"),
    ({"depth": 1, "dropout": 0.5}, "dropout needs a hidden layer: depth must be at least 2"),
    ({"depth": 1, "wiring": "residual"}, "wiring residual needs a hidden layer: depth must be at least 2"),
    ({"depth": 3, "wiring": "residual:3"}, "wiring residual at depth 3: the number after the colon must be"),
    ({"wiring": "residual:0"}, "wiring residual at depth 9: the number after the colon must be"),
    ({"depth": 2, "wiring": "split_merge"}, "wiring split_merge needs a shared layer and one in the branches"),
    ({"wiring": "split_merge:1"}, "wiring split_merge: the number of branches must be"),
    ({"wiring": "split_merge:3"}, "width must be a multiple of the 3 branches of split_merge:3, not 256"),
    ({"wiring": "split_merge:2,mix"}, "unknown wiring 'split_merge:2,mix'; valid after the comma: concat, add"),
    ({"wiring": "recurrent:../x"}, "unknown wiring 'recurrent:../x'; valid after the colon: simple, lstm, gru"),
    (
        {"wiring": "recurrent", "dataset": "xor"},
        "dataset must be one of mnist, fashion_mnist, kmnist, digits with recurrent wiring, not xor",
    ),
    ({"wiring": "recurrent", "depth": 1}, "wiring recurrent needs a hidden layer: depth must be at least 2"),
    ({"wiring": "recurrent", "activation": "maxout"}, "activation maxout does not work with recurrent wiring; valid:"),
    ({"wiring": "recurrent", "batch_norm": "after"}, "batch_norm must be none with recurrent wiring, not 'after'"),
    ({"wiring": "recurrent", "pretraining": "lsuv"}, "pretraining must be none with recurrent wiring, not 'lsuv'"),
    ({"pretraining": "lsuv:some"}, "unknown pretraining 'lsuv:some'; valid after the colon: all, samples"),
    ({"pretraining": "dbn"}, "activation must be sigmoid with pretraining dbn, not relu"),
]
DBN: dict[str, Any] = {"pretraining": "dbn", "activation": "sigmoid"}
IMPOSSIBLE += [
    ({**DBN, "pretraining": "dbn:0"}, "pretraining dbn: the number of Gibbs steps after the colon must be"),
    ({**DBN, "dataset": "xor"}, "dataset must be one of mnist, fashion_mnist, kmnist, digits with pretraining dbn"),
    ({**DBN, "depth": 1}, "pretraining dbn needs a hidden layer: depth must be at least 2"),
    ({**DBN, "wiring": "residual"}, "wiring must be plain with pretraining dbn, not residual"),
    ({**DBN, "batch_norm": "before"}, "batch_norm must be none with pretraining dbn, not before"),
    ({**DBN, "bias_std": 0.1}, "bias_std must be 0.0 with pretraining dbn, not 0.1"),
]


@pytest.mark.parametrize(("fields", "line"), IMPOSSIBLE, ids=lambda value: value if isinstance(value, str) else "")
def test_the_impossible_is_one_line_that_names_the_field(fields: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)) as caught:
        RunConfig.from_dict(fields)
    assert "\n" not in str(caught.value)
    assert str(caught.value).split()[0] in {*FIELDS, "unknown"}


@pytest.mark.parametrize("field", REGISTRIES)
def test_an_unknown_name_lists_the_valid_ones(field: str) -> None:
    with pytest.raises(
        UserError, match=re.escape(f"unknown {field} 'nonsense'; valid: {', '.join(REGISTRIES[field])}")
    ):
        RunConfig.from_dict({field: "nonsense"})


@pytest.mark.parametrize(
    ("field", "name", "kept"),
    [
        ("initializer", "xavier", "glorot_uniform"),
        ("initializer", "normal:1.0", "normal"),
        ("initializer", "normal: .50", "normal:0.5"),
        ("initializer", "orthogonal:2.0", "orthogonal:2"),
        ("activation", "vlrelu", "very_leaky_relu"),
        ("activation", "maxout:2", "maxout"),
        ("activation", "maxout:03", "maxout:3"),
        ("wiring", "split_merge:2,concat", "split_merge"),
        ("wiring", "split_merge:4", "split_merge:4"),
        ("wiring", "split_merge:2,add", "split_merge:2,add"),
        ("wiring", "residual:2", "residual"),
        ("pretraining", "lsuv:all", "lsuv"),
    ],
)
def test_equal_networks_have_one_spelling(field: str, name: str, kept: str) -> None:
    config = RunConfig.from_dict({field: name})
    assert getattr(config, field) == kept
    assert config == RunConfig.from_dict({field: kept})
    assert not set(config.slug) & set(" :,/\\")


def test_aliases_stand_for_entries_and_hide_none() -> None:
    for field, names in ALIASES.items():
        assert set(names.values()) <= set(REGISTRIES[field])
        assert not set(names) & set(REGISTRIES[field])


def test_usual_rates_and_epochs_are_filled_in() -> None:
    assert RunConfig(optimizer="adadelta").learning_rate == 1.0
    assert RunConfig(optimizer="adam", learning_rate=0.5).learning_rate == 0.5
    assert RunConfig(dataset="xor", depth=2).epochs == 10_000
    assert (RunConfig().pretraining_epochs, RunConfig(dataset="digits").pretraining_epochs) == (5, 20)
    assert RunConfig(dataset="digits", pretraining_epochs=5).slug.endswith("-pe5")


def test_json_round_trip() -> None:
    config = RunConfig(activation="maxout:3", initializer="normal:0.05", wiring="residual:3", dropout=0.25, seed=7)
    assert RunConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["wiring"] == "residual:3"


@pytest.mark.parametrize("text", ["", "[]", "3", '{"depth": 1e400}', '{"depht": 3}', "{" * 100_000, '{"depth": [1]}'])
def test_hostile_json_is_a_user_error(text: str) -> None:
    with pytest.raises(UserError):
        RunConfig.from_json(text)


def test_slug_says_what_is_not_the_default() -> None:
    assert RunConfig().slug == "relu"
    config = RunConfig(wiring="split_merge:2,add", batch_norm="before", dropout=0.3, seed=5)
    assert naming.slug_0_1(config) == "mnist-d09-relu-glorot_normal-sgd0.1-split_merge_2_add-bn_before-drop0.3"
    assert replace(config, dropout=0.0, wiring="residual").slug == "relu-bn_before-residual"
    assert re.fullmatch("relu-bn_before-[a-z2-7]{3}", config.slug), "what does not fit is left to a hash"


def test_slugs_differ_where_configs_do() -> None:
    near = [RunConfig(learning_rate=rate).slug for rate in (0.123456, 0.1234561, 0.1234562)]
    assert len(set(near)) == 3
    long = [RunConfig(dropout=1 / n, weight_decay=1e-3 / n, clip_norm=n / 7, bias_std=n / 3).slug for n in range(2, 9)]
    assert len(set(long)) == len(long)
    assert RunConfig(learning_rate=1 / 3, seed=1).slug == RunConfig(learning_rate=1 / 3, seed=2).slug


def test_random_fields_give_a_config_or_a_user_error() -> None:
    generator = random.Random(0)
    tails = ["", ":", ",", "1", "0", "-1", "nan", "inf", "1e9", "add", "concat", "lstm", "../..", "\n", "\0", "é"]
    odd: list[Any] = [None, True, -1, 0, 1, 2, 9, 0.5, 1.5, float("nan"), float("inf"), [], {}, 2**70, 10**400]
    made, lines = 0, []
    for _ in range(3000):
        fields: dict[str, Any] = {}
        for field in generator.sample(list(FIELDS), 3):
            name = generator.choice(list(REGISTRIES.get(field, {"none": None})))
            tail = "".join(generator.choices(tails, k=2))
            fields[field] = generator.choice([name, name, name + tail, generator.choice(odd), default_of(field)])
        try:
            config = RunConfig.from_dict(fields)
        except UserError as error:
            lines.append(str(error))
            continue
        made += 1
        assert re.fullmatch(r"[A-Za-z0-9_.+=-]{1,25}", config.slug)
        assert RunConfig.from_json(config.to_json()) == config
    assert made > 100
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("depth", [1, 9, 10, 99, 100, 1_234])
def test_layer_names_sort_in_depth_order(depth: int) -> None:
    names = [layer_name(index, depth) for index in range(1, depth + 1)]
    assert names == sorted(names)
    assert len(set(names)) == depth


def test_layer_names_of_usual_depths_have_two_digits() -> None:
    assert layer_name(1, 2) == "layer_01"
    assert layer_name(9, 99) == "layer_09"
