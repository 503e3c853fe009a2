"""Checks that the evidence is at the position of the object, and that it depends on the weights of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from tests.explain.scenes import COLOURS, colour_network, scene
from tests.exporting.models import randomise
from zoo.edge.classify import Classifier
from zoo.edge.explain import explain
from zoo.edge.explanation import CLASS_ACTIVATION, LAYER_CAM, Explanation
from zoo.errors import UsageError
from zoo.explain import Explainer
from zoo.image_spec import ImageSpec
from zoo.images import load_image


class Answers:
    """The minimum that a classifier needs from a runtime to preprocess pictures."""

    def __init__(self, size: int, classes: int) -> None:
        from zoo.exported import TensorInfo

        self.inputs = (TensorInfo(name="image", shape=(None, size, size, 3), dtype="float32"),)
        self.outputs = (TensorInfo(name="probabilities", shape=(None, classes), dtype="float32"),)


def explained(model: keras.Model, picture: Any, label: str, image: ImageSpec) -> Explanation:
    runtime: Any = Answers(model.input_shape[1], 2)
    return explain(Classifier(runtime, image, tuple(COLOURS)), Explainer(model, "it").find, picture, "it.png", label)


SQUASH = ImageSpec(height_px=96, width_px=96)


@pytest.mark.parametrize("linear", [True, False], ids=[CLASS_ACTIVATION, LAYER_CAM])
def test_pasted_objects_are_found(linear: bool) -> None:
    model = colour_network(linear)
    explainer = Explainer(model, "it")
    assert explainer.method == (CLASS_ACTIVATION if linear else LAYER_CAM)
    hits = []
    for seed in range(10):
        made = scene(seed)
        for label in COLOURS:
            found = explained(model, made.pixels, label, SQUASH)
            hits.append(made.points_at(found.peak, label))
    assert np.mean(hits) >= 0.9


@pytest.mark.parametrize("resize", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(300, 120), (120, 300), (61, 47)], ids=str)
def test_evidence_comes_back_to_where_it_is_in_the_photo(resize: Any, size: tuple[int, int]) -> None:
    height, width = size
    image = ImageSpec(height_px=96, width_px=96, resize=resize)
    side = min(size) // 4
    pixels = np.full((height, width, 3), 120, np.uint8)
    # in the middle of the shorter side, and off the middle of the longer one, but inside the crop
    top, left = (height - side) // 2, (width - side) // 2
    if height > width:
        top += side // 2
    else:
        left -= side // 2
    pixels[top : top + side, left : left + side] = (230, 20, 20)
    found = explained(colour_network(), pixels, "red", image)
    assert found.heat.shape == found.drawn.shape[:2]
    scale = found.drawn.shape[0] / height
    rows, columns = np.nonzero(np.nan_to_num(found.heat) > 0.6)
    middle = ((columns.mean() + 0.5) / scale, (rows.mean() + 0.5) / scale)
    assert middle == pytest.approx((left + side / 2, top + side / 2), abs=0.06 * max(size))
    # a crop does not contain the ends of a long photo, and the picture shows this
    assert bool(np.isnan(found.heat).any()) == (resize == "crop")
    assert found.overlay.shape == found.drawn.shape


def test_an_orientation_in_the_file_is_applied(tmp_path: Path) -> None:
    from zoo.exporting.golden import _on_its_side

    pixels = np.full((60, 120, 3), 120, np.uint8)
    pixels[5:25, 10:40] = (20, 20, 230)  # red in OpenCV's order: at the top left of a photo that is stored rotated
    _, jpg = cv2.imencode(".jpg", pixels)
    path = tmp_path / "lying.jpg"
    path.write_bytes(_on_its_side(jpg.tobytes()))
    found = explained(colour_network(), path, "red", SQUASH)
    assert found.size == (120, 60)
    assert found.where == "at the top right"
    assert load_image(path, SQUASH).shape == (96, 96, 3)


@pytest.mark.parametrize("linear", [True, False], ids=[CLASS_ACTIVATION, LAYER_CAM])
def test_a_randomised_network_is_not_explained_by_the_same_places(linear: bool) -> None:
    """Adebayo et al. 2018, "Sanity Checks for Saliency Maps"."""
    similar = []
    for seed in range(8):
        made, model = scene(seed), colour_network(linear)
        before = explained(model, made.pixels, "red", SQUASH).evidence
        after = explained(randomise(model, seed), made.pixels, "red", SQUASH).evidence
        if before.std() and after.std():
            similar.append(np.corrcoef(before.ravel(), after.ravel())[0, 1])
    assert len(similar) >= 6
    assert abs(np.mean(similar)) < 0.35


def test_exactness_is_told_and_can_be_checked() -> None:
    made, model = scene(3), colour_network()
    found = explained(model, made.pixels, "green", SQUASH)
    logits = np.log(np.asarray(model(made.pixels[None].astype("float32")))[0])
    assert found.logit == pytest.approx(logits[1] - logits.mean(), abs=1e-4)
    assert found.bias is not None
    assert found.evidence.sum() + found.bias == pytest.approx(found.logit, abs=1e-5)
    assert explained(colour_network(linear=False), made.pixels, "green", SQUASH).logit is None


def test_a_model_without_places_is_refused_with_what_can_be_explained() -> None:
    image = keras.Input((8, 8, 3))
    plain = keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(image)))
    with pytest.raises(UsageError, match="no convolution whose feature map") as error:
        Explainer(plain, "the model plain")
    assert "networks that end in feature maps of convolutions" in error.value.hint
    x = layers.Reshape((16, 4))(layers.Conv2D(4, 2, strides=2)(image))
    mixed = keras.Model(
        image,
        layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(1, 4)(x, x))),
    )
    with pytest.raises(UsageError, match="attention"):
        Explainer(mixed, "the model mixed")


def test_a_model_without_a_graph_is_refused_in_the_same_way() -> None:
    class Called(keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(UsageError, match="it cannot be explained"):
        Explainer(Called(), "it")


def test_a_backend_without_gradients_says_so_where_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.config.backend", lambda: "numpy")
    with pytest.raises(UsageError, match=r"on the backend numpy.*requires gradients"):
        Explainer(colour_network(linear=False), "it")
    assert Explainer(colour_network(), "it").method == CLASS_ACTIVATION


@pytest.mark.parametrize("label", ["كرة القدم", "橄榄球", "x" * 80])
def test_pictures_say_in_words_what_they_show(label: str, tmp_path: Path) -> None:
    made = scene(1)
    found = Explanation(
        file="رجبي.jpg",
        label=label,
        probability=0.9,
        evidence=np.eye(3, dtype=np.float32),
        method=CLASS_ACTIVATION,
        photo=made.pixels,
        size=(96, 96),
        image=SQUASH,
    )
    assert label in found.alt
    assert "The evidence is strongest" in found.alt
    path = found.save(tmp_path / "it.png")
    assert label.encode() in path.read_bytes()
    shown = cv2.imread(str(path))
    assert shown is not None
    np.testing.assert_array_equal(shown[: found.drawn.shape[0], : found.drawn.shape[1], ::-1], found.drawn)
    found.save(path)  # an existing picture of zoo may be replaced
    (tmp_path / "mine.png").write_bytes(b"of the user")
    with pytest.raises(UsageError, match="was not written by zoo explain"):
        found.save(tmp_path / "mine.png")
    assert (tmp_path / "mine.png").read_bytes() == b"of the user"


def test_no_evidence_is_said_and_colours_nothing() -> None:
    made = scene(1)
    found = Explanation(
        file="a.jpg",
        label="red",
        probability=0.1,
        evidence=np.full((3, 3), -1, np.float32),
        method=CLASS_ACTIVATION,
        photo=made.pixels,
        size=(96, 96),
        image=SQUASH,
    )
    assert found.peak is None
    assert found.summary == "There is no evidence for this class in the photo."
    assert (found.overlay[..., 0] == found.overlay[..., 1]).all()


def test_imagenet_photos_pasted_on_scenery_are_found(shared_data: Path) -> None:
    """The pointing game (Zhang et al. 2016) on composed photos: the strongest evidence is in the pasted photo."""
    import zoo_mobilenetv2

    from zoo.evaluation.trained import pretrained

    (architecture,) = zoo_mobilenetv2.zoo_architectures()
    explainer = Explainer(pretrained(architecture, architecture.weights[0]).load(), "mobilenetv2")
    whole, side = ImageSpec(), 112
    small = ImageSpec(height_px=side, width_px=side)
    backgrounds = sorted((shared_data / "ccby_coarse" / "scenery").glob("*.jpg"))
    photos = sorted((shared_data / "nips17_sample").rglob("*.png"))[::8]
    random = np.random.default_rng(0)
    images, boxes = [], []
    for place, photo in enumerate(photos):
        image = load_image(backgrounds[place % len(backgrounds)], whole)
        left, top = random.integers(0, 224 - side, 2).tolist()
        image[top : top + side, left : left + side] = load_image(photo, small)
        images.append(image)
        boxes.append((left, top))
    alone = explainer.find_all(np.stack([load_image(photo, whole) for photo in photos]), [None] * len(photos))
    found = explainer.find_all(np.stack(images), [[item.place] for item in alone])
    hits = []
    for item, image, (left, top) in zip(found, images, boxes, strict=True):
        x, y = explanation_of(item, image).peak or (-1, -1)
        hits.append(left <= x < left + side and top <= y < top + side)
    assert len(hits) == 25
    assert np.mean(hits) >= 0.9


def explanation_of(item: Any, image: Any) -> Explanation:
    return Explanation(
        file="",
        label="",
        probability=item.probability,
        evidence=item.evidence,
        method=item.method,
        photo=image,
        size=image.shape[:2],
        image=ImageSpec(),
    )
