"""The record that describes the preprocessing of a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zoo import ImageSpec, UsageError


def test_it_survives_json_and_keeps_its_digest() -> None:
    spec = ImageSpec(height_px=96, width_px=128, resize="letterbox", interpolation="bicubic")
    again = ImageSpec.from_dict(spec.as_dict())
    assert again == spec
    assert again.digest == spec.digest
    assert len(spec.digest) == 12


@pytest.mark.parametrize(
    "change", [{"height_px": 225}, {"width_px": 225}, {"resize": "crop"}, {"interpolation": "bilinear"}, {"version": 1}]
)
def test_every_field_changes_the_digest(change: dict[str, object]) -> None:
    assert replace(ImageSpec(), **change).digest != ImageSpec().digest  # type: ignore[arg-type]


def test_the_digest_never_drifts() -> None:
    # Exported files contain this digest. If it changed, none of them would be recognised any more.
    for version in (1, 2):
        assert ImageSpec(version=version).to_json() == (
            f'{{"height_px":224,"interpolation":"area","resize":"squash","version":{version},"width_px":224}}'
        )


def test_a_new_spec_has_the_latest_version_and_an_older_one_says_its_own() -> None:
    assert str(ImageSpec()) == "224x224 squash, area"
    old = ImageSpec.from_dict(ImageSpec().as_dict() | {"version": 1})
    assert str(old) == "224x224 squash, area, version 1"
    assert old.digest != ImageSpec().digest


@pytest.mark.parametrize("side", [0, -1, 5000, 2.5, True, "224"])
def test_a_side_out_of_range_is_refused(side: object) -> None:
    with pytest.raises(UsageError, match="height_px must be a whole number from 1 to 4096"):
        ImageSpec(height_px=side)  # type: ignore[arg-type]


def test_unknown_rules_and_fields_are_refused() -> None:
    with pytest.raises(UsageError, match="Unknown resize rule 'stretch'"):
        ImageSpec(resize="stretch")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Unknown interpolation"):
        ImageSpec(interpolation="lanczos")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Unknown image spec field"):
        ImageSpec.from_dict(ImageSpec().as_dict() | {"gamma": 2.2})
    for version in (0, 3):
        with pytest.raises(UsageError, match=f"has version {version}, but this zoo supports versions 1 and 2"):
            ImageSpec.from_dict(ImageSpec().as_dict() | {"version": version})
