"""The evidence map on the page of a model that was exported with a map."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from zoo_web.onnxruntime_web import VARIABLE

from tests.browser.conftest import OpenPage, Served
from tests.explain.scenes import COLOURS, colour_network, scene
from zoo.progress import QuietReporter
from zoo.workflows.export import ExportRequest, export


def test_the_page_shows_the_evidence_where_python_finds_it(
    onnxruntime_web: Path, served: Served, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(onnxruntime_web))
    colour_network().save(tmp_path / "colours.keras")
    made = ExportRequest(
        model=str(tmp_path / "colours.keras"),
        formats=("web",),
        labels=tuple(COLOURS),
        verify=False,
        with_map=True,
        out=served.folder / "below",
    )
    export(made, QuietReporter()).refuse()
    shown = scene(5)
    photo = tmp_path / "photo.png"
    photo.write_bytes(cv2.imencode(".png", shown.pixels[..., ::-1])[1].tobytes())
    opened = open_page(served.address(served.folder / "below" / "colours-web-float32"))
    assert opened.text("#verdict").startswith("Passed")
    opened.page.set_input_files("#file", photo)
    opened.page.wait_for_selector("#seen-box.explained")
    label = opened.answer()
    drawn = np.array(
        opened.page.evaluate("""() => {
      const canvas = document.getElementById("seen");
      return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
    }""")
    ).reshape(96, 96, 4)[..., :3]
    # Only positions with evidence have a colour; the lightest of them is in the square of the class.
    colour = np.ptp(drawn, axis=-1).astype(np.float64) * drawn.sum(axis=-1)
    row, column = np.unravel_index(int(cv2.blur(colour, (5, 5)).argmax()), colour.shape)
    assert shown.points_at((float(column), float(row)), label, slack_px=3)
    said = opened.page.get_attribute("#seen", "aria-label")
    assert said is not None
    assert f"with the evidence for {label} in colour: it is strongest" in said
    opened.page.locator("#evidence-on").uncheck()
    assert opened.page.get_attribute("#seen", "aria-label") == "Input of the model"
    assert not opened.visible("#ramp")
    assert opened.trouble == []
