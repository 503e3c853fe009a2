"""Messages state what failed, which value was received, and what would work."""

from __future__ import annotations

import pytest

from tests.conftest import RunZoo
from zoo import errors


def test_a_misspelt_name_is_met_with_the_nearest_one() -> None:
    error = errors.unknown_name("architecture", "mobilenet2", ["simple_cnn", "mobilenetv2"])
    assert str(error).startswith("Unknown architecture 'mobilenet2'. Did you mean 'mobilenetv2'?")
    assert "simple_cnn" in str(error)
    assert error.exit_code == 2


def test_nothing_is_guessed_where_nothing_is_near() -> None:
    assert "Did you mean" not in str(errors.unknown_name("architecture", "zzz", ["mobilenetv2"]))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.PluginError, 3),
        (errors.DataError, 4),
        (errors.TrainingError, 4),
        (errors.ExportError, 5),
        (errors.VerificationError, 6),
        (errors.ClusterError, 7),
    ],
)
def test_exit_codes_are_the_documented_ones(kind: type[errors.ZooError], code: int) -> None:
    assert kind("x").exit_code == code
    line = next(line for line in (errors.__doc__ or "").splitlines() if kind.__name__ in line)
    assert f" {code} " in line


@pytest.mark.parametrize(
    "command", ["verify {} --against {}", "bench {}", "show {}", "predict {} a.jpg", "export {}", "data check {}"]
)
def test_a_path_that_is_too_long_is_an_invalid_argument(command: str, run_zoo: RunZoo) -> None:
    path = "a" * 300
    done = run_zoo(*command.format(path, path).split())
    assert (done.code, path in done.err) == (2, True)
    assert "Traceback" not in done.err
