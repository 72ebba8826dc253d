"""Layers sort by depth wherever names are sorted as text."""

from __future__ import annotations

import pytest

from mnist_depth.naming import layer_name


@pytest.mark.parametrize("depth", [1, 9, 10, 99, 100, 1_234])
def test_names_sort_in_depth_order(depth: int) -> None:
    names = [layer_name(index, depth) for index in range(1, depth + 1)]
    assert names == sorted(names)
    assert len(set(names)) == depth


def test_usual_depths_have_two_digits() -> None:
    assert layer_name(1, 2) == "layer_01"
    assert layer_name(9, 99) == "layer_09"
