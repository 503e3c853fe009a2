"""The page that ``zoo export --format web`` creates, in a real browser, from a plain static server."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo_web.onnxruntime_web import VARIABLE

from tests.browser.conftest import PRECISIONS, Opened, OpenPage, Served
from tests.conftest import run_command, zoo_environment
from zoo.edge.bundle import fingerprint, read_bundle, seal
from zoo.edge.classify import open_bundle
from zoo.registry import exporters

#: Maximum difference of a probability from that of Keras.
FROM_KERAS = {"float32": 1e-4, "float16": 1e-2, "int8": 0.15}

#: Returns the prediction of the worker for a file of the bundle.
ASK = """async (name) => {
  const { Worker } = await import("./page/worker_client.js");
  const worker = new Worker(() => {});
  await worker.ask("open");
  const file = await (await fetch(name)).blob();
  const { probabilities, pixels } = await worker.ask("classify", file);
  return { probabilities: [...probabilities], pixels: [...pixels.data] };
}"""

#: Dispatches an event that contains a file of the bundle, as a browser does.
GIVE = """async ([kind, name]) => {
  const blob = await (await fetch(name)).blob();
  const given = new DataTransfer();
  given.items.add(new File([blob], "photo.png", { type: blob.type }));
  const init = { bubbles: true, cancelable: true };
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { ...init, clipboardData: given })
    : new DragEvent(kind, { ...init, dataTransfer: given });
  document.getElementById("frame").dispatchEvent(event);
}"""


def golden(bundle: Path) -> list[dict[str, Any]]:
    return list(json.loads((bundle / "golden" / "golden.json").read_text())["images"])


def respec(bundle: Path, **changes: Any) -> None:
    """Changes ``spec.json`` and its digest, as if the bundle had been exported in this way."""
    values = json.loads((bundle / "spec.json").read_text()) | changes
    values["files"] = {name: fingerprint(bundle / name) for name in values["files"]}
    (bundle / "spec.json").write_text(json.dumps(seal(values)))


def choose(opened: Opened, photo: Path) -> str:
    opened.page.set_input_files("#file", photo)
    return opened.answer()


# Predictions equal those of Keras


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_self_test_passes_and_photos_get_keras_s_probabilities(
    web_exports: Path, served: Served, open_page: OpenPage, precision: str
) -> None:
    name = f"simple_cnn-web-{precision}"
    bundle = Path(shutil.copytree(web_exports / name, served.folder / "below" / name))
    opened = open_page(served.address(bundle))
    images = golden(bundle)
    assert opened.text("#verdict").startswith(f"Passed: on {len(images)} of {len(images)} pictures")
    opened.page.locator("summary").click()
    rows = [row.split("\t") for row in re.split(r"\n\s*✓\nPassed\n", "\n" + opened.text("#proof-rows"))[1:]]
    assert [row[1] for row in rows] == [image["file"] for image in images]
    assert [row[6] for row in rows if "photo" in row[1]] == [i["answer"] for i in images if i["origin"] == "photo"]
    assert {(float(row[2]), float(row[3])) for row in rows} == {(0.0, 0.0)}
    tolerance = json.loads((bundle / "golden" / "golden.json").read_text())["tolerance"]["probabilities"]
    assert max(float(row[4]) for row in rows) <= tolerance
    assert f"{tolerance} for a probability" in opened.text("#proof-note")
    assert "are unchanged" in opened.text("#proof-files")
    keras = np.load(bundle / "golden" / "keras.npy")
    pixels = np.load(bundle / "golden" / "pixels.npy")
    for place, image in enumerate(images):
        made = opened.page.evaluate(ASK, f"golden/{image['file']}")
        assert np.array_equal(np.array(made["pixels"]), pixels[place].ravel()), image
        assert np.abs(np.array(made["probabilities"]) - keras[place]).max() <= FROM_KERAS[precision], image
        if image["origin"] == "photo":
            assert np.argmax(made["probabilities"]) == keras[place].argmax()
    assert opened.trouble == []
    assert all(asked.startswith(f"/below/{name}/") for asked in served.asked), served.asked


def test_a_photo_comes_in_by_every_door(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    photos = [(place, image) for place, image in enumerate(golden(web_bundle)) if image["origin"] == "photo"]
    assert len(photos) > 1
    keras = np.load(web_bundle / "golden" / "keras.npy")
    opened = open_page(served.address(web_bundle))
    for way in ("choose", "drop", "paste", "sample"):
        for place, image in photos:
            if way == "choose":
                opened.page.set_input_files("#file", web_bundle / "golden" / image["file"])
            elif way == "sample":
                opened.page.locator("#sample-list button").nth(place).click()
            else:
                opened.page.evaluate(GIVE, [way, f"golden/{image['file']}"])
            opened.page.wait_for_selector(f"#bars li:first-child bdi:text-is('{image['answer']}')")
            shown = float(opened.text("#bars li:first-child span").strip("<> %"))
            assert shown == pytest.approx(100 * keras[place].max(), abs=0.11), way
    assert opened.page.locator("#bars li").count() == 5
    times = " ".join(opened.text("#times").split())
    assert re.fullmatch(r"Model [\d.]+ ms Decode [\d.]+ ms Resize [\d.]+ ms", times)
    assert opened.trouble == []


@pytest.mark.long
def test_imagenet_in_the_browser(
    shared_data: Path, onnxruntime_web: Path, served: Served, open_page: OpenPage, tmp_path: Path
) -> None:
    """MobileNetV2 on photos that were not used for its verification, compared with ONNX Runtime on the same files."""
    arguments = ("export", "mobilenetv2", "--weights", "imagenet", "--format", "web", "--no-verify")
    environment = zoo_environment(tmp_path) | {VARIABLE: str(onnxruntime_web)}
    run_command(*arguments, "--out", served.folder, cwd=tmp_path, environment=environment, check=True)
    bundle = served.folder / "mobilenetv2-web-float32"
    opened = open_page(served.address(bundle))
    assert "Not verified" in opened.text("#about")
    assert opened.text("#title") == "Which of 1000 classes is it?"
    classifier = open_bundle(read_bundle(bundle), exporters().get("onnx").load)
    photos = sorted((shared_data / "ccby_coarse").rglob("*.jpg"))[::60] + sorted(
        (shared_data / "exif_orientation").glob("*.jpg")
    )
    assert len(photos) > 10
    for photo in photos:
        expected = classifier.classify(photo)
        opened.page.set_input_files("#file", photo)
        opened.page.wait_for_selector(f"#photo[alt='The photo {photo.name}']")
        assert opened.answer() == expected.label
        shown = float(opened.text("#bars li:first-child span").strip("<> %"))
        assert shown == pytest.approx(100 * expected.probability, abs=0.06)
    assert opened.trouble == []


# Below the threshold


def test_below_the_suggested_confidence_the_prediction_is_unknown(
    web_bundle: Path, served: Served, open_page: OpenPage
) -> None:
    suggestion = {"suggested": 0.99999999, "target_accuracy": 0.99, "coverage": 0.5, "accuracy": 0.995, "images": 200}
    respec(web_bundle, min_confidence=suggestion)
    photo = next(image for image in golden(web_bundle) if image["origin"] == "photo")
    opened = open_page(served.address(web_bundle))
    assert choose(opened, web_bundle / "golden" / photo["file"]) == photo["answer"]
    assert "50.0 % of 200 test photos reach this confidence" in opened.text("#threshold-text")
    opened.page.check("#threshold-on")
    assert opened.text("#label") == "Unknown"
    assert f"Most probable: {photo['answer']}" in opened.text("#note")
    respec(web_bundle, min_confidence=None)
    opened = open_page(served.address(web_bundle))
    assert choose(opened, web_bundle / "golden" / photo["file"]) == photo["answer"]
    assert not opened.visible("#threshold")


# What it shows of names and labels


def test_thin_evidence_and_warnings_are_told(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    told = json.loads((web_bundle / "spec.json").read_text())["verification"]
    opened = open_page(served.address(web_bundle))
    assert "thin evidence" not in opened.text("#about")
    assert "unusable" not in opened.text("#about")
    respec(web_bundle, verification=told | {"evidence": "thin", "warnings": ["baseline"]})
    opened = open_page(served.address(web_bundle))
    assert "With so few photos, this is thin evidence." in opened.text("#about")
    assert "The model itself may be unusable: see the warnings in README.md of the bundle." in opened.text("#about")


def test_names_are_text_whatever_they_hold(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    labels = [f"{hostile}{digit}" for digit in range(9)] + ["\u202egnp.exe"]
    respec(web_bundle, labels=labels, source=hostile, architecture=hostile)
    opened = open_page(served.address(web_bundle), wait="failed")  # other names than in the golden vectors
    for image in golden(web_bundle):
        answer = choose(opened, web_bundle / "golden" / image["file"])
        assert answer in labels
    assert hostile in opened.text("#about")
    assert hostile in opened.text("#subtitle")
    assert opened.page.locator("img[src=x]").count() == 0
    assert opened.trouble == []


# Something is off


def damage(path: Path, at: float = 0.5, count: int = 4000) -> None:
    content = bytearray(path.read_bytes())
    start = int(len(content) * at)
    content[start : start + count] = bytes(255 - byte for byte in content[start : start + count])
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "at", "said"),
    [
        ("simple_cnn.onnx", 0.5, "files have changed"),
        ("golden/pixels.npy", 0.9, "decoded or resized differently"),
        ("golden/probabilities.npy", 0.95, "the model predicts differently"),
        ("page/style.css", 0.99, "files have changed"),
    ],
)
def test_an_altered_file_fails_the_self_test(
    web_bundle: Path, served: Served, open_page: OpenPage, name: str, at: float, said: str
) -> None:
    damage(web_bundle / name, at, 40)
    opened = open_page(served.address(web_bundle), wait="failed")
    assert said in opened.text("#verdict")
    assert "Do not rely on the predictions" in opened.text("#verdict")
    assert f"{name} has been altered" in opened.text("#proof-files")
    assert opened.page.evaluate("getComputedStyle(document.getElementById('verdict')).color") == "rgb(181, 60, 11)"


def test_another_model_fails_the_self_test_even_with_checksums_of_its_own(
    web_exports: Path, web_bundle: Path, served: Served, open_page: OpenPage
) -> None:
    import onnx

    path = web_bundle / "simple_cnn.onnx"
    model = onnx.load(path)
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = np.frombuffer(weights.raw_data, np.float32).copy()
    values[: len(values) // 3] = 0
    weights.raw_data = values.tobytes()
    onnx.save(model, path)
    respec(web_bundle)
    opened = open_page(served.address(web_bundle), wait="failed")
    assert "the model predicts differently" in opened.text("#verdict")
    assert "files have changed" not in opened.text("#verdict")


def test_an_interrupted_or_missing_model_is_reported(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    path = web_bundle / "simple_cnn.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    opened = open_page(served.address(web_bundle), wait="failed")
    assert f"simple_cnn.onnx is truncated: 5000 of {len(whole)} bytes" in opened.text("#alarm")
    assert not opened.visible("#bench")
    path.unlink()
    opened = open_page(served.address(web_bundle), wait="failed")
    assert "simple_cnn.onnx could not be loaded: the server says 404" in opened.text("#alarm")


def test_what_is_no_photo_is_told_and_the_next_one_works(
    web_bundle: Path, served: Served, open_page: OpenPage, tmp_path: Path
) -> None:
    opened = open_page(served.address(web_bundle))
    photo = web_bundle / "golden" / golden(web_bundle)[0]["file"]
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:60])
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    for path, said in ((tmp_path / "broken.png", "truncated PNG"), (tmp_path / "photo.heic", "HEIC")):
        opened.page.set_input_files("#file", path)
        opened.page.wait_for_selector(f"#alarm:has-text('{said}')")
        assert not opened.visible("#result")
        assert opened.visible("#invitation")
    choose(opened, photo)
    assert not opened.visible("#alarm")
    assert opened.trouble == []


# Without a network, or without a server


def test_once_open_it_works_offline(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    address = served.address(web_bundle)
    opened = open_page(address)
    opened.page.wait_for_selector("body[data-offline=ready]")
    served.stop()
    opened.page.goto(address)
    opened.wait("passed")
    photo = next(image for image in golden(web_bundle) if image["origin"] == "photo")
    answer = choose(opened, web_bundle / "golden" / photo["file"])
    assert photo["answer"] in (answer, opened.text("#bars li:first-child bdi"))


def test_a_new_bundle_in_its_place_is_taken_at_once(
    web_exports: Path, web_bundle: Path, served: Served, open_page: OpenPage
) -> None:
    address = served.address(web_bundle)
    opened = open_page(address)
    opened.page.wait_for_selector("body[data-offline=ready]")
    assert "float32" in opened.text("#about")
    shutil.rmtree(web_bundle)
    shutil.copytree(web_exports / "simple_cnn-web-int8", web_bundle)
    opened.page.goto(address)
    opened.wait("passed")
    assert "int8" in opened.text("#about")
    opened.page.wait_for_selector("body[data-offline=ready]")
    served.stop()
    opened.page.goto(address)
    opened.wait("passed")
    assert "int8" in opened.text("#about")
    assert len(opened.page.evaluate("caches.keys()")) == 1


def test_opened_as_a_file_it_says_what_to_do(web_bundle: Path, open_page: OpenPage) -> None:
    opened = open_page((web_bundle / "index.html").as_uri(), wait="")
    opened.page.wait_for_selector("#not-started", state="visible")
    assert "python3 -m http.server" in opened.text("#not-started")
    assert not opened.visible("#main")


def test_without_https_it_works_but_for_camera_and_offline(
    web_bundle: Path, served: Served, open_page: OpenPage
) -> None:
    opened = open_page(served.address(web_bundle, host="plain.test"))
    assert opened.page.evaluate("isSecureContext") is False
    opened.page.locator("summary").click()
    assert "compute checksums only for https and localhost" in opened.text("#proof-files")
    assert not opened.visible("#camera")
    assert opened.trouble == []


# The camera


def test_the_camera_shows_predictions_until_it_is_stopped(
    web_bundle: Path, served: Served, open_page: OpenPage
) -> None:
    opened = open_page(served.address(web_bundle), permissions=["camera"])
    opened.page.click("#camera")
    opened.answer()
    assert opened.visible("#video")
    before = opened.page.evaluate("document.getElementById('seen').toDataURL()")
    opened.page.wait_for_timeout(1500)  # until the camera shows another time
    assert opened.page.evaluate("document.getElementById('seen').toDataURL()") != before
    opened.page.click("#camera")
    assert not opened.visible("#video")
    assert opened.visible("#invitation")
    assert opened.text("#camera") == "Use the camera"
    assert opened.trouble == []


def test_a_camera_that_is_not_allowed_is_told(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    opened = open_page(served.address(web_bundle), permissions=[])
    opened.page.click("#camera")
    opened.page.wait_for_selector("#alarm:has-text('camera was not allowed')")
    assert opened.visible("#invitation")


# For everyone


def test_no_sideways_scrolling_at_any_width(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    respec(web_bundle, labels=[f"{digit}_a_very_long_class_name_without_any_space" * 3 for digit in range(10)])
    opened = open_page(served.address(web_bundle), wait="failed")

    def check_widths() -> None:
        for width_px in (1280, 768, 360, 320):
            opened.page.set_viewport_size({"width": width_px, "height": 780})
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width_px

    check_widths()
    choose(opened, web_bundle / "golden" / "drawn.jpg")
    assert opened.visible("#proof-rows")
    check_widths()
    heights = opened.page.evaluate("[...document.querySelectorAll('button')].map((button) => button.offsetHeight)")
    assert min(height for height in heights if height) >= 44  # large enough for a finger


def test_it_is_used_by_keyboard_and_heard(web_bundle: Path, served: Served, open_page: OpenPage) -> None:
    opened = open_page(served.address(web_bundle))
    page = opened.page
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.get_by_role("heading", level=1).count() == 1
    for name in ("Choose a photo", "Use the camera", "Run again", "Photo 1"):
        assert page.get_by_role("button", name=name).is_visible()
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert seen[:3] == ["invitation", "choose", "camera"]
    with page.expect_file_chooser() as chooser:
        page.focus("#choose")
        page.keyboard.press("Enter")
    photo = next(image for image in golden(web_bundle) if image["origin"] == "photo")
    chooser.value.set_files(web_bundle / "golden" / photo["file"])
    opened.answer()
    assert opened.text("#spoken").startswith(photo["answer"])
    assert page.locator("#spoken").get_attribute("aria-live") == "polite"
    assert page.get_by_role("list", name="Most probable classes").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(
    web_bundle: Path, served: Served, open_page: OpenPage, scheme: str
) -> None:
    """WCAG 2.2, level AA, requires a contrast of 4.5."""
    opened = open_page(served.address(web_bundle), wait="", color_scheme=scheme)
    pairs = [("text", "page"), ("text", "card"), ("muted", "page"), ("muted", "card"), ("accent", "card")]
    pairs += [
        ("accent-ink", "accent"),
        ("wrong", "card"),
        ("text", "wrong-soft"),
        ("good", "card"),
        ("muted", "accent-soft"),
    ]
    colours = opened.page.evaluate(
        "(names) => names.map((name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name))",
        [name for pair in pairs for name in pair],
    )
    luminances = [luminance(colour) for colour in colours]
    for pair, one, other in zip(pairs, luminances[::2], luminances[1::2], strict=True):
        assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5, pair


def luminance(colour: str) -> float:
    channels = [int(colour.strip()[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))
