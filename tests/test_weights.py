"""Weight files: precision of stored values, refused files, and that no model is loaded partly."""

import io
import re
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest

from zoo import PluginError, UsageError
from zoo.foreign.read import read_model
from zoo.weights import load_weights, model_arrays, read_weights, write_weights


def small_model(*, features=4, classes=3):
    image = keras.layers.Input((2,), name="image")
    x = keras.layers.Dense(features, name="body")(image)
    x = keras.layers.BatchNormalization(name="features")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="probabilities")(x), name="small")


@pytest.fixture
def saved(tmp_path):
    keras.utils.set_random_seed(3)
    model = small_model()
    path = tmp_path / "small.npz"
    return model, path, write_weights(path, model_arrays(model))


def test_kernels_are_kept_in_float16_and_vectors_exactly(tmp_path):
    tiny = np.array([6e-45, 1e-30, 565.99286], "float32")
    kernel = np.array([[1 / 3, -2 / 3]], "float32")
    write_weights(tmp_path / "w.npz", {"bn/moving_variance": tiny, "conv/kernel": kernel})
    arrays = read_weights(tmp_path / "w.npz")
    np.testing.assert_array_equal(arrays["bn/moving_variance"], tiny)
    np.testing.assert_array_equal(arrays["conv/kernel"], kernel.astype("float16"))


def test_equal_arrays_give_equal_bytes_in_any_order(tmp_path):
    a, b = np.ones((2, 2), "float32"), np.zeros(3, "float32")
    first = write_weights(tmp_path / "first.npz", {"a/kernel": a, "b/bias": b})
    assert write_weights(tmp_path / "second.npz", {"b/bias": b, "a/kernel": np.asfortranarray(a)}) == first


@pytest.mark.parametrize("value", [7e4, float("nan")])
def test_a_kernel_that_float16_cannot_hold_is_refused(tmp_path, value):
    with pytest.raises(UsageError, match="'a/kernel' has values that are not finite"):
        write_weights(tmp_path / "w.npz", {"a/kernel": np.array([[value]])})
    assert not (tmp_path / "w.npz").exists()


def test_fills_by_name(saved):
    theirs, path, digest = saved
    ours = small_model()
    assert load_weights(ours, path, backbone="features", sha256=digest) is True
    for name, array in model_arrays(ours).items():
        np.testing.assert_allclose(array, model_arrays(theirs)[name], rtol=1e-3, err_msg=name)


def test_fills_the_whole_model_where_there_is_no_backbone(saved):
    _, path, _ = saved
    assert load_weights(small_model(), path, backbone=None) is True
    with pytest.raises(UsageError, match="probabilities/bias"):
        load_weights(small_model(classes=5), path, backbone=None)


@pytest.mark.parametrize("with_head", [None, False])
def test_a_head_of_another_size_stays_as_it_was(saved, with_head):
    theirs, path, _ = saved
    ours = small_model(classes=5)
    head = model_arrays(ours)["probabilities/kernel"]
    assert load_weights(ours, path, backbone="features", with_head=with_head) is False
    np.testing.assert_array_equal(model_arrays(ours)["probabilities/kernel"], head)
    np.testing.assert_allclose(model_arrays(ours)["body/kernel"], model_arrays(theirs)["body/kernel"], rtol=1e-3)


def test_every_mismatch_is_named_and_nothing_is_filled(saved):
    _, path, _ = saved
    ours = small_model(features=6)
    before = model_arrays(ours)
    with pytest.raises(UsageError, match=re.escape("body/kernel: expected (2, 6), shape in the file (2, 4)")) as told:
        load_weights(ours, path, backbone="features", with_head=False, hint="Use features=4.")
    assert "body/bias: expected (6,), shape in the file (4,)" in told.value.message
    assert told.value.hint == "Use features=4."
    assert all(np.array_equal(before[name], array) for name, array in model_arrays(ours).items())


def test_a_variable_that_the_file_lacks_is_named(saved, tmp_path):
    theirs, _, _ = saved
    arrays = model_arrays(theirs)
    del arrays["body/bias"]
    write_weights(tmp_path / "part.npz", arrays)
    with pytest.raises(UsageError, match=re.escape("body/bias: expected (4,), missing in the file")):
        load_weights(small_model(), tmp_path / "part.npz", backbone="features")


def test_values_that_are_not_finite_are_refused(saved):
    theirs, path, _ = saved
    arrays = model_arrays(theirs) | {"body/bias": np.array([0, np.nan, 0, 0], "float32")}
    np.savez(path, **arrays)
    with pytest.raises(UsageError, match=r"'body/bias' in .* not finite"):
        load_weights(small_model(), path, backbone="features")


def test_a_file_that_is_none_is_told_by_its_path(tmp_path):
    for name in ("none.npz", "none.keras"):
        with pytest.raises(UsageError, match=name):
            load_weights(small_model(), tmp_path / name, backbone="features")
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(UsageError, match=name):
            load_weights(small_model(), tmp_path / name, backbone="features")


def test_pickles_are_never_opened(tmp_path):
    np.savez(tmp_path / "w.npz", **{"body/kernel": np.array([object()], dtype=object)})
    with pytest.raises(UsageError, match="is not a weight file"):
        read_weights(tmp_path / "w.npz")


def test_a_backbone_that_the_model_lacks_is_the_plugins_fault(saved):
    with pytest.raises(PluginError, match="no layer 'neck'"):
        load_weights(small_model(), saved[1], backbone="neck")


def peak_bytes(function):
    """Peak memory of NumPy and Python while a function runs, in bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(path):
    with pytest.raises(UsageError, match=re.escape(str(path))) as told:
        load_weights(small_model(), path, backbone="features")
    return str(told.value)


def test_what_does_not_fit_the_model_is_never_read(tmp_path):
    theirs = model_arrays(small_model())
    path = tmp_path / "large.npz"
    np.savez_compressed(path, **theirs | {"body/kernel": np.zeros((2, 8_000_000), "float32")})
    assert peak_bytes(lambda: refused(path)) < 20e6
    assert "body/kernel: expected (2, 4), shape in the file (2, 8000000)" in refused(path)


def test_an_archive_that_swells_is_refused_before_it_does(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("any.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (100_000_000,)})
        for _ in range(400):
            file.write(bytes(1_000_000))
    assert path.stat().st_size < 1e6
    assert peak_bytes(lambda: refused(path)) < 20e6
    assert "declare 0.4 GB" in refused(path)
    with pytest.raises(UsageError, match=r"declare 0.4 GB"):
        read_weights(path)


def test_a_header_that_declares_more_than_the_file_has_is_refused(tmp_path):
    path = tmp_path / "short.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**30,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("body/kernel.npy", header.getvalue() + bytes(16))
    assert peak_bytes(lambda: refused(path)) < 20e6
    assert "'body/kernel' declares 4294967296 bytes, but the file contains 16" in refused(path)


def test_a_keras_file_that_swells_is_refused_before_it_does(tmp_path):
    path = tmp_path / "bomb.keras"
    inside = io.BytesIO()
    with h5py.File(inside, "w") as file:  # four gigabytes of a fill value, which take no space in the file
        file.create_dataset("layers/dense/vars/0", (2**30,), "float32", chunks=(2**20,))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", inside.getvalue())
    assert peak_bytes(lambda: refused(path)) < 20e6
    assert "declare 4.3 GB" in refused(path)


def test_a_packed_model_file_with_damaged_bytes_is_told(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", np.arange(2000).tobytes())
        archive.writestr("config.json", "{}" + " " * 2000)
    data = bytearray(path.read_bytes())
    for name in (b"model.weights.h5", b"config.json"):
        start = data.find(name) + len(name)
        data[start : start + 20] = bytes(byte ^ 0xFF for byte in data[start : start + 20])
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is damaged"):
        read_model(path)
