from __future__ import annotations

import numpy as np

from mnist_depth.summaries.pictures import BORDER, WIDTH, confusion, filters, heat_map


def test_filters_are_red_where_positive_and_blue_where_negative() -> None:
    kernel = np.zeros((49, 4))
    kernel[:, 1], kernel[:, 2] = 1.0, -1.0
    picture = filters(kernel, 7)
    cell = WIDTH // 2
    zero, positive = picture[cell // 2, cell // 2].astype(int), picture[cell // 2, cell + cell // 2].astype(int)
    negative = picture[cell + cell // 2, cell // 2].astype(int)
    assert (zero > 240).all()
    assert positive[0] > positive[2] + 50
    assert negative[2] > negative[0] + 50
    assert (picture[cell - BORDER : cell] == 255).all()


def test_one_large_weight_does_not_hide_the_others() -> None:
    kernel = np.full((784, 64), 0.1)
    kernel[0, 0] = 1e6
    picture = filters(kernel, 28)
    assert (picture[20, 20] < 150).any()


def test_filters_survive_odd_kernels() -> None:
    assert filters(np.full((16, 3), np.nan), 4).shape == (2 * (WIDTH // 2), 2 * (WIDTH // 2), 3)
    assert (filters(np.zeros((16, 1)), 4)[:100, :100] > 240).all()
    assert filters(np.ones((784, 1000)), 28).shape == (8 * (WIDTH // 8), 8 * (WIDTH // 8), 3)


def test_the_heat_map_shows_ten_decades_and_leaves_zeros_white() -> None:
    values = np.array([[1e-10, 1e-10], [0.0, np.nan], [1.0, 1.0]])
    picture = heat_map([0, 100], values, "gradient")
    assert picture.shape == (200, WIDTH, 3)
    colors = {tuple(color) for color in picture.reshape(-1, 3)}
    assert (68, 1, 84) in colors  # viridis' lower end: layer 1
    assert any(red > 240 and green > 220 and blue < 60 for red, green, blue in colors)  # its upper end: layer 3
    dark = np.argwhere((picture == (68, 1, 84)).all(axis=2))[:, 0].mean()
    assert dark > 100  # layer 1 at the bottom


def test_the_heat_map_survives_nothing_to_show() -> None:
    assert heat_map([5], [[0.0]], "gradient").shape == (200, WIDTH, 3)
    assert heat_map([0, 1], np.full((3, 2), np.nan), "gradient").shape == (200, WIDTH, 3)
    assert heat_map([0, 1], np.full((40, 2), 7.0), "gradient").shape == (200, WIDTH, 3)


def test_the_confusion_matrix_is_dark_where_most_images_are() -> None:
    picture = confusion([[9, 1], [0, 10]])
    assert picture.shape == (WIDTH, WIDTH, 3)
    assert (picture == (8, 48, 107)).all(axis=2).sum() > 5000  # the end of the scale: all images of class 1
    assert confusion(np.zeros((10, 10))).shape == (WIDTH, WIDTH, 3)
