"""The handwritten digits of scikit-learn as files: a real dataset that is small enough to be part of the package."""

from __future__ import annotations

from zoo import Dataset, ImageSpec, hookimpl


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            name="digits",
            summary="1797 handwritten digits in 10 classes, 8x8 px (UCI)",
            write="zoo_digits.files:write",
            image=ImageSpec(height_px=32, width_px=32, interpolation="bilinear"),
            flip="none",  # a mirrored 2 is not a digit
        )
    ]
