"""The command line of ``run.py``. Exit codes: 0 success; 2 wrong usage; 4 an image or a camera cannot be read;
6 a damaged bundle or a failed self-test; 130 interrupted with Ctrl-C.

NumPy, OpenCV and the runtime are imported when they are needed, so that invalid arguments are reported immediately.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.edge.wording import as_json, as_note, as_text
from zoo.errors import DataError, UsageError, VerificationError, ZooError
from zoo.terminal import guard_terminal, readable

if TYPE_CHECKING:
    from zoo.edge.bundle import Bundle
    from zoo.edge.classify import Answer, Load
    from zoo.edge.drawing import Viewer
    from zoo.edge.sources import Picture


def main(folder: Path, load: Load, arguments: Sequence[str] | None = None) -> int:
    """Runs the command line on the bundle in ``folder`` and returns the exit code.

    Args:
        folder: The bundle.
        load: Loads the model file of the bundle for prediction.
        arguments: Arguments instead of ``sys.argv``.
    """
    guard_terminal()
    options = _parse(arguments)
    try:
        return _run(folder, load, options)
    except ZooError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader closed the pipe (`run.py photos | head`), so output in the buffer can no longer be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Predicts the class of images.",
        # argparse would load shutil for every option, to get the width of the terminal.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="files, folders, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print one line of JSON per image")
    parser.add_argument(
        "--top", type=_count, default=1, metavar="N", help="number of most probable classes to show (default: 1)"
    )
    parser.add_argument(
        "--min-confidence",
        metavar="P",
        help='threshold below which the prediction is "unknown": a probability, auto for that of the bundle, or '
        "accuracy=0.98 for the one with 98 %% accuracy",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="draw the evidence in the images; the model must have been exported with --with-map",
    )
    parser.add_argument(
        "--class", dest="label", metavar="NAME", help="with --explain: the class (default: the predicted class)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="with --explain: folder for the images (default: explained)"
    )
    parser.add_argument("--threads", type=_count, metavar="N", help="number of CPU threads of the model (default: 1)")
    parser.add_argument("--watch", type=Path, metavar="FOLDER", help="predict images as they appear in a folder")
    parser.add_argument("--camera", metavar="N", help="predict frames of a camera (number from 0) or of a video file")
    parser.add_argument(
        "--show", action="store_true", help="with --watch or --camera: show each image with its prediction in a window"
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FOLDER",
        help="with --watch or --camera: folder in which to save each image with its prediction",
    )
    parser.add_argument("--serve", type=_port, metavar="PORT", help="predict photos over HTTP, see --host")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="with --serve: address to listen on; by default, only this machine; 0.0.0.0 allows all",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="with --serve: origin of web pages that may use it, such as https://example.org; can be repeated",
    )
    parser.add_argument("--selftest", action="store_true", help="check files, decoding and model on this device")
    parser.add_argument(
        "--bench", action="store_true", help="measure the latency on this device, by default with 1, 2, 4, ... threads"
    )
    parser.add_argument(
        "--seconds", type=_seconds, metavar="S", help="with --bench: seconds per measurement (default: 2)"
    )
    parser.add_argument(
        "--sustained",
        type=_seconds,
        metavar="S",
        help="with --bench: also predict for S seconds, to see whether heat slows the device down",
    )
    parser.add_argument("--device", metavar="NAME", help="with --bench: name of this device (default: its processor)")
    # Started by --bench in separate processes.
    parser.add_argument("--bench-worker", choices=("answer", "latency", "speed", "sustained"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    serves = options.serve is not None
    looks = [bool(options.pictures), options.watch is not None, options.camera is not None, serves]
    if sum([*looks, options.selftest, options.bench]) != 1:
        parser.error("give pictures, or one of --watch, --camera, --serve, --selftest and --bench")
    if not serves and (options.host != parser.get_default("host") or options.allow_origin):
        parser.error("--host and --allow-origin require --serve")
    if (options.show or options.save is not None) and options.watch is None and options.camera is None:
        parser.error("--show and --save require --watch or --camera")
    if options.explain and not options.pictures:
        parser.error("--explain requires images")
    if not options.explain and (options.label is not None or options.out is not None):
        parser.error("--class and --out require --explain")
    if options.device is not None and not options.bench:
        parser.error("--device requires --bench")
    if options.sustained is not None and not options.bench:
        parser.error("--sustained requires --bench")
    if options.seconds is not None and not (options.bench or options.bench_worker):
        parser.error("--seconds requires --bench")
    if options.min_confidence is not None and not any(looks):
        parser.error("--min-confidence requires images, --watch, --camera or --serve")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, received {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, or 0 for a free one, received {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds from 0.01 to 3600, received {text!r}")
    return value


def _run(folder: Path, load: Load, options: argparse.Namespace) -> int:
    from zoo.edge.bundle import read_bundle

    if options.bench:
        return _bench(folder, options)
    bundle = read_bundle(folder)
    threads = options.threads or 1
    if options.selftest and (altered := bundle.altered()):
        # This comes first, because a module that is imported later may be the altered file.
        return _show_checks([{"name": "files", "passed": False, "found": " ".join(altered)}], options.json)
    try:
        import cv2

        from zoo.edge.classify import open_bundle
    except ModuleNotFoundError as error:
        raise bundle.not_installed(error) from error
    cv2.setNumThreads(threads)
    if options.selftest:
        return _selftest(bundle, load, threads, options.json)
    if options.bench_worker:
        from zoo.edge.bench_worker import work

        pictures = [Path(picture) for picture in options.pictures]
        return work(bundle, load, options.bench_worker, pictures, threads, options.seconds or 0.0)
    if options.explain:
        from zoo.edge.explain import explain_pictures

        return explain_pictures(bundle, open_bundle(bundle, load, threads), options)
    least = None
    if options.min_confidence is not None:
        from zoo.edge.confidence import min_confidence

        least = min_confidence(options.min_confidence, bundle.values, "This bundle's spec.json")
    if options.serve is not None:
        from zoo.edge.machine import core_count
        from zoo.edge.serve import serve_photos

        copies = max(1, core_count() // threads)
        return serve_photos(bundle, [open_bundle(bundle, load, threads, least) for _ in range(copies)], options)
    classifier = open_bundle(bundle, load, threads, least)
    if options.show or options.save is not None:
        from zoo.edge.drawing import Viewer, WindowClosedError

        if options.watch and options.save and options.save.resolve() == options.watch.resolve():
            raise UsageError(f"--save {options.save} is the folder that is watched.", "Save into another one.")
        viewer = Viewer(classifier, options.top, options.save, options.show)
        try:
            return _classify(viewer.classify, _pictures(options, viewer), options)
        except WindowClosedError:
            return 0
    return _classify(lambda name, picture: classifier.classify(picture, options.top), _pictures(options), options)


def _pictures(options: argparse.Namespace, viewer: Viewer | None = None) -> Iterable[tuple[str, Picture]]:
    if options.watch is not None:
        from zoo.edge.watch import watched

        found = watched(options.watch, viewer.wait) if viewer else watched(options.watch)
        print(f"Watching {options.watch}. Press Ctrl-C to stop.", file=sys.stderr, flush=True)
        return found
    if options.camera is not None:
        from zoo.edge.camera import frames

        return frames(options.camera)
    from zoo.edge.sources import listed

    return listed(options.pictures)


def _classify(
    classify: Callable[[str, Any], Answer], pictures: Iterable[tuple[str, Picture]], options: argparse.Namespace
) -> int:
    from zoo.images import ImageError

    skipped = False
    for name, picture in pictures:
        try:
            if isinstance(picture, ImageError):
                raise picture
            answer = classify(name, picture)
        except ImageError as error:
            print(f"Skipped {readable(name)}: {error.reason}.", file=sys.stderr, flush=True)
            skipped = True
        else:
            print(as_json(name, answer) if options.json else as_text(name, answer), flush=True)
            if answer.remark:
                print(as_note(name, answer), file=sys.stderr, flush=True)
    return DataError.exit_code if skipped else 0


def _bench(folder: Path, options: argparse.Namespace) -> int:
    from zoo.edge.bench import SECONDS, as_text, bench, report
    from zoo.table import terminal_width

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    threads = [options.threads] if options.threads else []
    result = bench(folder, threads, options.seconds or SECONDS, say, options.sustained)
    found = report([result], options.device)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        device = found["device"]
        print(f"{device['name']}; {device['system']}, Python {device['python']}\n\n{as_text(result, terminal_width())}")
    return 0


def _selftest(bundle: Bundle, load: Load, threads: int, as_json: bool) -> int:
    from dataclasses import asdict

    from zoo.edge.selftest import selftest

    return _show_checks([asdict(check) for check in selftest(bundle, load, threads)], as_json)


def _show_checks(checks: Sequence[dict[str, Any]], as_json: bool) -> int:
    passed = all(check["passed"] for check in checks)
    if as_json:
        print(json.dumps({"passed": passed, "checks": checks}))
    else:
        for check in checks:
            allowed = check.get("allowed")
            limit = "" if allowed is None else f" Allowed: {allowed:g}."
            print(f"{'ok  ' if check['passed'] else 'FAIL'}  {check['name']}: {check['found']}{limit}")
        print("The self-test passed." if passed else "The self-test failed.")
    return 0 if passed else VerificationError.exit_code
