"""Checks the tests with some fifty deliberate faults, each of which must be detected by the tests named beside it.

    python tests/mutations.py                    all faults, in about ten minutes
    python tests/mutations.py label-order crop   some faults

Every fault is applied alone, in a temporary copy of the working tree. The tests must pass on the copy without the
fault, and fail with it. The exit code is 1 if a fault was not detected. ``tests/test_style.py`` checks that each fault
can be applied.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

#: Folders from which modules are imported.
ROOTS = ("", "plugins", "exports", "plugins/zoo-efficientnet-lite", "plugins/zoo-keras-applications")

#: Maximum time for the tests of one fault.
TIMEOUT_S = 900


@dataclass(frozen=True)
class Fault:
    """A deliberate fault.

    Args:
        name: Short name.
        file: Path in the repository.
        right: Text that occurs exactly once in the file.
        wrong: Text that replaces it.
        tests: Arguments of pytest: files, or tests of files.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


FAULTS = (
    # From a photo's file to pixels
    Fault(
        "width-of-characters",
        "zoo/table.py",
        'return 2 if unicodedata.east_asian_width(character) in "WF" else 1',
        "return 1",
        ("tests/cli/test_tables.py::test_a_pipe_gets_one_line_per_row_for_any_window",),
    ),
    Fault(
        "mistakes-as-hits",
        "zoo/report/plots.py",
        "(right, theme.wrong_shades)",
        "(right, theme.shades)",
        ("tests/report/test_page_in_browser.py::test_right_and_wrong_cells_of_the_matrix_have_colours_of_their_own",),
    ),
    Fault(
        "bar-after-interrupt",
        "zoo/workflows/host.py",
        "        close_bars()\n",
        "",
        ("tests/cli/test_progress.py::test_an_interrupt_leaves_no_bar",),
    ),
    Fault(
        "crop",
        "zoo/images/resize.py",
        "= (256, 224)",
        "= (240, 224)",
        ("tests/images/test_resize.py::test_crop_agrees_with_the_recipe_of_the_published_weights",),
    ),
    Fault(
        "averaging",
        "zoo/images/resize.py",
        "image = resample.mean(image, min(height, image.shape[0]), min(width, image.shape[1]))",
        "pass",
        ("tests/images/test_resize.py::test_area_is_the_mean_of_the_pixels_it_covers",),
    ),
    Fault(
        "padding",
        "zoo/images/resize.py",
        "PAD_VALUE = 114",
        "PAD_VALUE = 0",
        ("tests/images/test_resize.py::test_odd_padding_goes_to_the_end",),
    ),
    Fault(
        "colour-order",
        "zoo/images/decode.py",
        "return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if blue_first else pixels",
        "return pixels",
        ("tests/images/test_decode.py::test_pixels_are_those_pillow_reads",),
    ),
    Fault(
        "transparency",
        "zoo/images/decode.py",
        "return cv2.bitwise_not(product(np.asarray(cv2.bitwise_not(rgb), np.uint8), np.asarray(opacity, np.uint8)))",
        "return product(np.asarray(rgb, np.uint8), np.asarray(opacity, np.uint8))",
        ("tests/images/test_decode.py::test_alpha_is_composited_on_white",),
    ),
    Fault(
        "pixels of older runs",
        "zoo/images/resize.py",
        "    if spec.version == 1:",
        "    if spec.version == 0:",
        ("tests/images/test_resize.py::test_version_1_keeps_the_pixels_of_opencv",),
    ),
    Fault(
        "halves are rounded up",
        "zoo/images/resample.py",
        "cells += kind(rows * columns // 2)",
        "cells += kind((rows * columns - 1) // 2)",
        ("tests/images/test_resize.py::test_every_pixel_is_an_exact_sum_rounded_once",),
    ),
    Fault(
        "orientation",
        "zoo/images/decode.py",
        "return cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)",
        "return cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)  # twice",
        ("tests/images/test_orientation.py::test_every_orientation_of_every_format",),
    ),
    # Datasets and splits
    Fault(
        "label-order",
        "zoo/data/dataset.py",
        "wanted = labels or tuple(sorted({entry.label for entry in listing.entries}))",
        "wanted = labels or tuple(sorted({entry.label for entry in listing.entries}, reverse=True))",
        (
            "tests/data/test_dataset.py::test_digits_come_with_the_package",
            "tests/data/test_dataset.py::test_the_digest_is_of_contents_not_of_places",
        ),
    ),
    Fault(
        "split-seed",
        "zoo/data/splits.py",
        'f"{seed}:{purpose}:{content}"',
        'f"0:{purpose}:{content}"',
        ("tests/data/test_splits.py::test_another_seed_is_another_split",),
    ),
    Fault(
        "given-split",
        "zoo/data/splits.py",
        "image.given if image.given in (VAL, TEST) else",
        "image.given if image.given == VAL else",
        (
            "tests/data/test_splits.py::test_given_splits_stand_and_missing_ones_come_out_of_train",
            "tests/data/test_dataset.py::test_evaluation_takes_the_test_split_or_everything",
        ),
    ),
    Fault(
        "cache-checksum",
        "zoo/data/segments.py",
        "if len(self._mapped) != size_bytes or self._checksum() != crc32:",
        "if len(self._mapped) != size_bytes:",
        ("tests/data/test_cache.py::test_damaged_pixels_are_decoded_again_and_said",),
    ),
    # Training
    Fault(
        "mirroring",
        "zoo/training/augment.py",
        'ranges.flip in ("auto", "horizontal", "both")',
        "True",
        (
            "tests/training/test_augment.py::test_flips_alone_move_nothing_else",
            "tests/training/test_augment.py::test_a_flip_that_is_turned_off_changes_no_other_image",
        ),
    ),
    Fault(
        "mixed-targets",
        "zoo/training/augment.py",
        "weights * targets + (1 - weights) * targets[partners]",
        "targets",
        ("tests/training/test_augment.py::test_mixup_mixes_pixels_and_targets_alike",),
    ),
    Fault(
        "weight-decay",
        "zoo/training/optimizer.py",
        'len(variable.shape) > 1 and variable.name not in ("bias", "gamma", "beta")',
        "True",
        ("tests/training/test_weight_decay.py",),
    ),
    Fault(
        "second-trace",
        "zoo/training/model.py",
        "    model.compute_metrics(None, one_image, one_image)\n",
        "",
        ("tests/training/test_model.py",),
    ),
    Fault(
        "frozen-statistics",
        "zoo/training/model.py",
        "layer.trainable &= batch_norm_momentum is not None",
        "layer.trainable &= True",
        ("tests/training/test_transfer.py::test_the_result_is_one_plain_model_and_frozen_layers_did_not_move",),
    ),
    Fault(
        "resumed-optimizer",
        "zoo/training/checkpoint.py",
        'set_weights(optimizer.variables, _numbered(file, "optimizer"))',
        '_numbered(file, "optimizer")',
        ("tests/training/test_train.py::test_a_run_interrupted_in_three_ways_resumes_to_the_same_weights",),
    ),
    Fault(
        "temperature",
        "zoo/training/temperature.py",
        "weights / np.float32(temperature)",
        "weights * np.float32(temperature)",
        ("tests/training/test_temperature.py::test_the_weights_contain_the_temperature_and_predictions_do_not_change",),
    ),
    Fault(
        "teacher-order",
        "zoo/training/lesson.py",
        "[:, outputs]",
        "",
        ("tests/training/test_lesson.py::test_the_teachers_see_the_views_in_their_own_image_rule",),
    ),
    Fault(
        "unlabelled-test-photos",
        "zoo/workflows/unlabelled.py",
        "elif path in shows:",
        "elif False:",
        (
            "tests/workflows/test_teachers.py::"
            "test_photos_without_labels_that_show_measured_photos_are_left_out_and_counted",
        ),
    ),
    Fault(
        "copy-with-other-weights",
        "zoo/evaluation/photo_cluster.py",
        "if (found := model_digest(model)) != digest:",
        "if (found := model_digest(model)) == digest[:1]:",
        ("tests/cluster/test_photo_cluster.py::test_a_machine_with_other_weights_or_libraries_is_refused",),
    ),
    # Figures
    Fault(
        "wilson",
        "zoo/evaluation/intervals.py",
        'return _share_interval(successes, n, confidence, "wilson")',
        'return _share_interval(successes, n, confidence, "exact")',
        ("tests/evaluation/test_intervals.py",),
    ),
    Fault(
        "whole-from-part",
        "zoo/figures.py",
        "if rounded >= 100 and share < 1 - _EQUAL:",
        "if False:",
        ("tests/test_figures.py",),
    ),
    # Export and verification
    Fault(
        "folded-bias",
        "zoo/exporting/fold.py",
        "beta + (bias - to_array(norm.moving_mean)) * scale",
        "beta + bias - to_array(norm.moving_mean) * scale",
        ("tests/exporting/test_fold.py::test_batch_norm_goes_into_the_layer_before_it",),
    ),
    Fault(
        "augments-what-it-measures",
        "zoo/exporting/graph.py",
        'keywords["training"] = False',
        "pass",
        (
            "tests/exporting/test_quantize.py::test_layers_that_augment_leave_the_images_alone_that_ranges_are_measured_on",
        ),
    ),
    Fault(
        "steps-of-nothing",
        "zoo/exporting/quantize/ranges.py",
        "if (finest := LEVELS * _finest_step(call, chosen)) > high - low:",
        "if (finest := LEVELS * _finest_step(call, chosen)) > 1e9:",
        (
            "tests/exporting/test_quantize.py::test_a_tensor_that_all_but_vanishes_has_no_finer_steps_than_what_is_summed",
        ),
    ),
    Fault(
        "steps-of-one-concatenation",
        "zoo/exporting/quantize/ranges.py",
        "+ [group.union(*overlapping)]",
        "+ [group]",
        (
            "tests/exporting/test_quantize.py::test_concatenations_that_join_one_tensor_share_its_steps_and_an_average_of_it_does",
        ),
    ),
    Fault(
        "calibrates-on-test-images",
        "zoo/exporting/calibration.py",
        "indices = data.indices(TRAIN)",
        "indices = data.indices(TEST)",
        ("tests/exporting/test_calibration.py::test_only_training_images_are_taken_and_the_list_says_which",),
    ),
    Fault(
        "labels-in-the-file",
        "zoo/parity/contract.py",
        "*_labels(metadata.labels, reference.labels),",
        "",
        ("tests/parity/test_contract.py",),
    ),
    Fault(
        "gate-of-values",
        "zoo/parity/gates.py",
        "value is not None and value - limit <= _ROUNDING",
        "value is not None",
        ("tests/parity/test_values.py", "tests/parity/test_verify.py::test_one_nudged_weight_fails"),
    ),
    Fault(
        "gate-of-agreement",
        "zoo/parity/gates.py",
        "passed = flips <= most_flips(found.images, limit)",
        "passed = flips <= 2 * most_flips(found.images, limit)",
        ("tests/parity/test_values.py::test_a_share_at_the_limit_passes",),
    ),
    Fault(
        "metadata",
        "exports/zoo_tflite/metadata.py",
        "return label_lines(labels).encode",
        "return label_lines(tuple(sorted(labels))).encode",
        ("tests/exports/test_tflite.py::test_labels_and_our_json_can_be_unzipped",),
    ),
    # The service
    Fault(
        "page-of-a-stranger",
        "zoo/edge/origins.py",
        "if origin in self._allowed:",
        "if origin:",
        ("tests/edge/test_serve.py::test_a_web_page_of_somebody_else_is_refused",),
    ),
    Fault(
        "slow-client",
        "zoo/edge/http_connection.py",
        "self._arrived_bytes() >= MIN_BODY_BYTES_PER_S * HEAD_S",
        "self._arrived_bytes() >= 0",
        ("tests/edge/test_http_connection.py::test_half_a_request_is_given_up_however_slowly_it_drips",),
    ),
    Fault(
        "last-answer",
        "zoo/edge/serve.py",
        "    await connections.end()\n",
        "",
        ("tests/edge/test_serve.py::test_begun_requests_are_answered_before_the_service_ends",),
    ),
    # Files, processes, errors
    Fault(
        "half-written-file",
        "zoo/atomic.py",
        'aside = path.with_name(f".{path.stem[:60]}.{process_name()}{path.suffix}")',
        "aside = path",
        ("tests/test_atomic.py::test_a_failed_write_leaves_the_old_file_and_nothing_else",),
    ),
    Fault(
        "lock",
        "zoo/locks.py",
        "timeout=0 if busy else WAIT_S",
        "timeout=0",
        ("tests/test_locks.py",),
    ),
    Fault(
        "exit-code",
        "zoo/errors.py",
        "    exit_code = 6",
        "    exit_code = 5",
        ("tests/test_errors.py",),
    ),
    Fault(
        "plugin-that-exits",
        "zoo/plugin_manager.py",
        "except BaseException as error:  # including SystemExit",
        "except Exception as error:",
        ("tests/test_plugins.py::test_one_plugin_is_named_and_everything_else_works[not even an Exception]",),
    ),
    Fault(
        "terminal",
        "zoo/terminal.py",
        'return character.encode("unicode_escape").decode()',
        "return character",
        ("tests/test_terminal.py::test_escape_sequences_of_others_are_spelt_out",),
    ),
    Fault(
        "private-address",
        "zoo/fetch/addresses.py",
        "if not is_public(address):",
        'if address.startswith("127."):',
        ("tests/fetch/test_addresses.py::test_one_private_address_among_public_ones_is_enough",),
    ),
    Fault(
        "changed-photo",
        "zoo/data/arrays.py",
        "if hashlib.sha256(data).hexdigest() == self.sha256:",
        "if data:",
        ("tests/data/test_cache.py::test_a_photo_beyond_the_bound_that_is_changed_or_removed_is_named",),
    ),
    Fault(
        "epoch-by-chance",
        "zoo/training/harness.py",
        "and gain.mean() > standard_error",
        "",
        (
            "tests/training/test_heads.py::test_an_epoch_has_to_improve_on_the_chosen_head_in_accuracy_and_by_a_standard_error",
        ),
    ),
    Fault(
        "resumed-without-weights",
        "zoo/training/trainer.py",
        'not resumed or recipe.head == "chosen"',
        "not resumed",
        ("tests/training/test_heads.py::test_a_resumed_run_chooses_the_head_on_pretrained_features_again",),
    ),
    Fault(
        "head-on-less",
        "zoo/data/dataset.py",
        "TRAIN if split == VAL else split for split in self.splits",
        "split for split in self.splits",
        ("tests/training/test_heads.py::test_fine_tuning_that_does_not_pay_leaves_the_model_that_is_had_without_it",),
    ),
    # Several hosts
    Fault(
        "rows-of-another-host",
        "zoo/training/hosts.py",
        "return slice((self.number - 1) * own, self.number * own)",
        "return slice(0, own)",
        ("tests/training/test_hosts.py::test_the_rows_of_all_hosts_are_the_batch",),
    ),
    Fault(
        "hosts-that-differ",
        "zoo/hosts/group.py",
        "if expected.get(name) != found.get(name)",
        "if False",
        ("tests/training/test_hosts.py::test_all_hosts_are_told_which_facts_differ",),
    ),
    # Other processors
    Fault(
        "selftest-elsewhere-forgotten",
        "zoo/workflows/verify.py",
        "failures=(*found.failures, *device.selftest())",
        "failures=found.failures",
        ("tests/emulation/test_refusals.py::test_a_crash_leaves_the_bundle_as_it_was",),
    ),
    Fault(
        "halves-in-additions",
        "exports/zoo_onnx/additions.py",
        "if (near & held).any():",
        "if False:",
        ("tests/exports/test_additions.py",),
    ),
    # Many photos
    Fault(
        "finished-parts-again",
        "zoo/predicting/unfinished.py",
        "                if number in finished:",
        "                if number < 0:",
        ("tests/cli/test_predict_files.py::test_a_killed_command_continues_and_predicts_no_photo_twice",),
    ),
    Fault(
        "shares-overlap",
        "zoo/predicting/shard.py",
        "% self.count == self.number - 1",
        "% self.count <= self.number - 1",
        ("tests/cli/test_predict_files.py::test_shares_are_disjoint_and_complete",),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults; all of them where none is named")
    asked = parser.parse_args(arguments)
    known = {fault.name: fault for fault in FAULTS}
    unknown = sorted(set(asked.names) - known.keys())
    if unknown:
        parser.error(f"unknown faults: {', '.join(unknown)}. Known: {', '.join(known)}.")
    chosen = [known[name] for name in asked.names] or list(FAULTS)
    with tempfile.TemporaryDirectory(prefix="zoo-mutations-") as folder:
        copy = Path(folder) / "zoo"
        copy_tree(copy)
        sound, said = passes(sorted({test for fault in chosen for test in fault.tests}), copy)
        if not sound:
            print(f"The tests fail without a fault: {said}")
            return 1
        missed = [fault.name for fault in chosen if not found(fault, copy)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults were found.")
    if missed:
        print(f"Not found: {', '.join(missed)}.")
    return int(bool(missed))


def copy_tree(copy: Path) -> None:
    """Copies the files that git tracks, as they are in the working tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)


def found(fault: Fault, copy: Path) -> bool:
    """Whether the tests of a fault fail with it. Prints a line with the result."""
    path = copy / fault.file
    text = path.read_text(encoding="utf-8")
    start = time.monotonic()
    path.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
    try:
        survived, said = passes(fault.tests, copy)
    finally:
        path.write_text(text, encoding="utf-8")
    verdict = "NOT FOUND" if survived else f"found by {said}"
    print(f"{fault.name:28} {verdict} ({time.monotonic() - start:.0f} s)", flush=True)
    return not survived


def passes(tests: Sequence[str], copy: Path) -> tuple[bool, str]:
    """Whether the tests pass, and the name of the first one that fails."""
    paths = os.pathsep.join(str(copy / root) for root in ROOTS)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    # Photographs and weights are expected next to the repository.
    environment.setdefault("ZOO_TEST_DATA", str(REPOSITORY.parent / "shared" / "data"))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-m", "", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    first = failed[0].split(" ", 1)[1].split(" - ")[0] if failed else done.stdout.strip()[-200:]
    return done.returncode == 0, first


if __name__ == "__main__":
    sys.exit(main())
