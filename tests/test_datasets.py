"""Datasets: splits that add up, a cache that cannot lie, one clear line when data cannot be had."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth import datasets
from mnist_depth.datasets import cache, prepared
from mnist_depth.datasets.prepared import resolve_auto
from mnist_depth.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist_depth"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No dataset is prepared and no server answers."""
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.setattr(prepared, "_reachable", lambda url: False)


def test_mnist_is_the_published_one(mnist_dir: str) -> None:
    mnist = datasets.load("mnist", mnist_dir)
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (55_000, 5_000, 10_000)
    assert mnist.train.images.dtype == np.uint8
    # Counts per digit of the 10,000 test labels, from the MNIST database's page.
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    counts = np.bincount(mnist.train.labels) + np.bincount(mnist.validation.labels)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_digits_are_split_without_overlap_and_look_like_digits() -> None:
    from sklearn.datasets import load_digits

    source: Any = load_digits()
    digits = datasets.load("digits")
    everything = np.concatenate([s.images for s in (digits.train, digits.validation, digits.test)])
    labels = np.concatenate([s.labels for s in (digits.train, digits.validation, digits.test)])
    assert everything.shape == (1_797, 784)
    assert np.bincount(labels).tolist() == np.bincount(source.target).tolist()
    assert everything.max() == 255
    small = source.images.mean()
    assert everything.mean() * 16 / 255 == pytest.approx(small, rel=0.02)


def test_train_examples_keeps_the_first_ones() -> None:
    whole, part = datasets.load("digits"), datasets.load("digits", train_examples=300)
    np.testing.assert_array_equal(part.train.images, whole.train.images[:300])
    assert len(part.validation) == len(whole.validation)
    with pytest.raises(UserError, match="at most 1350"):
        datasets.load("digits", train_examples=1_351)


@pytest.mark.parametrize(("name", "truth"), [("xor", [0, 1, 1, 0]), ("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1])])
def test_gates_are_their_truth_tables(name: str, truth: list[int]) -> None:
    gate = datasets.load(name)
    assert gate.train.images.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert gate.train.labels.tolist() == gate.test.labels.tolist() == truth


def test_the_cache_gives_back_the_same_arrays_and_checksum(own_cache: Path) -> None:
    first, second = datasets.load("digits"), datasets.load("digits")
    assert len(list(own_cache.glob("digits*.npz"))) == 1
    assert first.checksum == second.checksum
    np.testing.assert_array_equal(first.train.images, second.train.images)


@pytest.mark.parametrize("damage", ["truncate", "flip", "replace"])
def test_a_damaged_cache_is_named_not_used(own_cache: Path, damage: str) -> None:
    datasets.load("digits")
    (path,) = own_cache.glob("*.npz")
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    else:
        content = bytearray(b"not an archive")
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"digits-1\.npz is damaged; delete it"):
        datasets.load("digits")


def test_a_changed_folder_is_not_answered_from_the_old_cache(own_cache: Path, mnist_dir: str, tmp_path: Path) -> None:
    folder = tmp_path / "tfds"
    shutil.copytree(Path(mnist_dir) / "mnist", folder / "mnist", copy_function=shutil.copyfile)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    datasets.load("mnist", str(folder))
    (record,) = folder.rglob("mnist-test.tfrecord*")
    record.write_bytes(record.read_bytes()[:100_000])
    with pytest.raises(UserError, match="is damaged"):
        datasets.load("mnist", str(folder))


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_to_digits_and_says_so() -> None:
    name, line = resolve_auto()
    assert name == "digits"
    assert "digits" in line
    assert "cannot be reached" in line
    assert "nothing (TFDS_DATA_DIR)" in line


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("named", ["missing", "file", "nothing"])
def test_a_named_folder_without_mnist_is_refused_and_no_other_data_is_taken(tmp_path: Path, named: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"{named}(,| \(no mnist/VERSION/dataset_info.json\)) .*folder") as caught:
        resolve_auto(str(tmp_path / named))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("offline")
def test_a_variable_that_names_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "missing"))
    with pytest.raises(UserError, match=r"TFDS_DATA_DIR names .*missing, which is not a folder"):
        resolve_auto()


def test_data_that_must_not_be_read_are_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=r"mnist cannot be read: permission denied; ask its owner"):
        resolve_auto(str(tmp_path))


@pytest.mark.usefixtures("offline")
def test_a_named_dataset_that_cannot_be_had_is_one_line_with_a_way_out() -> None:
    with pytest.raises(UserError, match="--data_dir") as caught:
        datasets.load("fashion_mnist")
    assert "\n" not in str(caught.value)


def test_auto_takes_prepared_mnist(mnist_dir: str) -> None:
    assert resolve_auto(mnist_dir)[0] == "mnist"


def test_gaussian_noise_is_standard_and_its_splits_differ() -> None:
    noise = datasets.load("gaussian")
    assert noise.train.images.shape == noise.test.images.shape == (1_000, 100)
    # 100,000 draws: standard errors of mean and variance are 0.0032 and 0.0045.
    assert abs(noise.train.images.mean()) < 0.0095
    assert noise.train.images.var() == pytest.approx(1, abs=0.0135)
    assert not np.array_equal(noise.train.images, noise.test.images)


@pytest.mark.parametrize("name", ["digits", "gaussian", "and", "or", "xor"])
def test_sizes_are_those_of_the_data(name: str) -> None:
    data = datasets.load(name)
    assert datasets.SIZES[name] == (len(data.train), len(data.validation), len(data.test))


def test_every_dataset_has_its_sizes() -> None:
    assert set(datasets.SIZES) == set(datasets.DATASETS)
    for name in ("mnist", "fashion_mnist", "kmnist"):
        validation = datasets.DATASETS[name].validation
        assert datasets.SIZES[name] == (60_000 - validation, validation, 10_000)


def test_without_a_home_nothing_is_cached_or_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user id that no name belongs to
    assert cache.cache_dir() is None
    assert len(datasets.load("digits").train) == 1_350
    with pytest.raises(UserError, match="this user has no home folder to keep it in"):
        datasets.load("mnist")
    assert [*tmp_path.iterdir()] == []


def test_a_cache_of_another_user_is_passed_over_with_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, max_bytes: int) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(cache, "open_regular", refuse)
    assert len(datasets.load("digits").train) == 1_350
    assert "digits-1.npz cannot be read (Permission denied)" in capsys.readouterr().err
