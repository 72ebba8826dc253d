"""Lines: one per configuration, always in the same color, named by what differs."""

from __future__ import annotations

from typing import Any

from mnist_depth.figures.data import Training
from mnist_depth.figures.style import COLOR_OF, lines, matches, plain, telling_fields


def trainings(*fields: dict[str, Any]) -> list[Training]:
    return [Training(f"run {place}", {}, values) for place, values in enumerate(fields)]


def test_seeds_of_a_configuration_are_one_line() -> None:
    found = lines(trainings(*({"activation": name, "seed": seed} for name in ("relu", "sigmoid") for seed in range(3))))
    assert [(line.label, line.members) for line in found] == [("relu", (0, 1, 2)), ("sigmoid", (3, 4, 5))]
    assert [line.color for line in found] == [COLOR_OF["relu"], COLOR_OF["sigmoid"]]


def test_an_activation_keeps_its_color_whatever_is_beside_it() -> None:
    for others in (["tanh"], ["maxout", "elu", "made_up"]):
        found = lines(trainings(*({"activation": name} for name in [*others, "relu"])))
        assert found[-1].color == COLOR_OF["relu"]
        assert len({line.color for line in found}) == len(found)


def test_lines_of_one_color_have_different_markers_and_labels() -> None:
    fields = [{"activation": "relu", "depth": depth, "initializer": "he_normal"} for depth in (3, 5, 9)]
    found = lines(trainings(*fields))
    assert len({line.color for line in found}) == 1
    assert len({line.marker for line in found}) == 3
    assert [line.label for line in found] == ["depth 3", "depth 5", "depth 9"]
    assert len({line.color for line in lines(trainings(*fields), "depth")}) == 3


def test_lines_of_one_color_have_different_markers_where_there_are_more_lines_than_both() -> None:
    found = lines(trainings(*({"name": f"model {place}"} for place in range(40))), "name")
    assert len({(line.color, line.marker) for line in found}) == 40


def test_what_follows_from_another_field_is_no_difference_of_its_own() -> None:
    rates = {"sgd": 0.1, "adam": 0.001}
    fields = [{"activation": a, "optimizer": o, "learning_rate": rates[o]} for a in ("relu", "tanh") for o in rates]
    assert telling_fields(trainings(*fields)) == ["activation", "optimizer"]
    fields[0]["learning_rate"] = 0.2
    assert telling_fields(trainings(*fields)) == ["activation", "optimizer", "learning_rate"]


def test_none_is_left_out_of_a_label() -> None:
    found = lines(
        trainings({"activation": "relu", "pretraining": "none"}, {"activation": "relu", "pretraining": "lsuv"})
    )
    assert [line.label for line in found] == ["run 0", "lsuv"]


def test_trainings_without_fields_are_lines_of_their_own_under_their_names() -> None:
    assert [line.label for line in lines(trainings({}, {}))] == ["run 0", "run 1"]


def test_filters_are_words_fields_and_exclusions() -> None:
    one = Training("depth9/relu/seed_0", {}, {"activation": "relu", "depth": 9, "learning_rate": 0.1})
    assert matches(one, "")
    assert matches(one, "RELU depth9 learning_rate=0.1 -sigmoid -depth=3")
    assert not matches(one, "depth=90")
    assert not matches(one, "relu -seed_0")


def test_markup_in_names_is_drawn_as_text() -> None:
    assert plain("<b>a</b> & <a href='x'>") == "&lt;b&gt;a&lt;/b&gt; &amp; &lt;a href='x'&gt;"
