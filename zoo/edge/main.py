"""The command line of ``run.py``. Exit codes: 0 fine; 2 usage; 4 a picture or a camera; 6 a damaged bundle or a device
that does not answer as the bundle says; 130 Ctrl-C.

NumPy, OpenCV and the runtime are imported once they are needed; a wrong argument is told at once.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, VerificationError, ZooError

if TYPE_CHECKING:
    from zoo.edge.bundle import Bundle
    from zoo.edge.classify import Answer, Classifier, Load
    from zoo.edge.sources import Picture


def main(folder: Path, load: Load, arguments: Sequence[str] | None = None) -> int:
    """Runs the command line on the bundle in ``folder`` and returns the exit code.

    Args:
        folder: The bundle.
        load: Makes its model file ready to answer.
        arguments: In place of ``sys.argv``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold what a terminal cannot show
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
        # The reader went away (`run.py photos | head`); nothing more can be said to it.
        sys.stderr.close()
        return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Says what pictures show.",
        # argparse would load shutil for every option, to ask for the width of the terminal.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="files, folders, or - for standard input")
    parser.add_argument("--json", action="store_true", help="one line of JSON a picture")
    parser.add_argument("--top", type=_count, default=1, metavar="N", help="the N likeliest classes (default: 1)")
    parser.add_argument("--threads", type=_count, default=1, metavar="N", help="CPU threads of the model (default: 1)")
    parser.add_argument("--watch", type=Path, metavar="FOLDER", help="pictures as they appear in a folder")
    parser.add_argument("--camera", metavar="N", help="frames of a camera, from 0, or of a video file")
    parser.add_argument("--selftest", action="store_true", help="check files, decoding and model on this device")
    options = parser.parse_args(arguments)
    asked = [bool(options.pictures), options.watch is not None, options.camera is not None, options.selftest]
    if sum(asked) != 1:
        parser.error("give pictures, or one of --watch, --camera and --selftest")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, received {text!r}")
    return int(text)


def _run(folder: Path, load: Load, options: argparse.Namespace) -> int:
    from zoo.edge.bundle import read_bundle

    bundle = read_bundle(folder)
    if options.selftest and (altered := bundle.altered()):
        # Before anything is imported that may be what was altered.
        return _show_checks([{"name": "files", "passed": False, "found": " ".join(altered)}], options.json)
    try:
        import cv2

        from zoo.edge.classify import open_bundle
    except ModuleNotFoundError as error:
        raise bundle.not_installed(error) from error
    cv2.setNumThreads(options.threads)
    if options.selftest:
        return _selftest(bundle, load, options)
    return _classify(open_bundle(bundle, load, options.threads), _pictures(options), options)


def _pictures(options: argparse.Namespace) -> Iterable[tuple[str, Picture]]:
    if options.watch is not None:
        from zoo.edge.watch import watched

        found = watched(options.watch)
        print(f"Watching {options.watch}; Ctrl-C ends.", file=sys.stderr, flush=True)
        return found
    if options.camera is not None:
        from zoo.edge.camera import frames

        return frames(options.camera)
    from zoo.edge.sources import listed

    return listed(options.pictures)


def _classify(classifier: Classifier, pictures: Iterable[tuple[str, Picture]], options: argparse.Namespace) -> int:
    from zoo.images import ImageError

    skipped = False
    for name, picture in pictures:
        try:
            if isinstance(picture, ImageError):
                raise picture
            answer = classifier.classify(picture, options.top)
        except ImageError as error:
            print(f"Skipped {_line(name)}: {error.reason}.", file=sys.stderr, flush=True)
            skipped = True
        else:
            print(as_json(name, answer) if options.json else as_text(name, answer), flush=True)
    return DataError.exit_code if skipped else 0


def as_json(name: str, answer: Answer) -> str:
    """One line of JSON."""
    top = [{"label": label, "probability": probability} for label, probability in answer.top]
    return json.dumps({"file": name, "label": answer.label, "probability": answer.probability, "top": top})


def as_text(name: str, answer: Answer) -> str:
    """One line for people."""
    shown = ", ".join(f"{_line(label)} {probability:.1%}".replace("%", " %") for label, probability in answer.top)
    return f"{_line(name)}: {shown}"


def _line(text: str) -> str:
    from zoo.images import printable_path

    return printable_path(text)


def _selftest(bundle: Bundle, load: Load, options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from zoo.edge.selftest import selftest

    return _show_checks([asdict(check) for check in selftest(bundle, load, options.threads)], options.json)


def _show_checks(checks: Sequence[dict[str, Any]], as_json: bool) -> int:
    passed = all(check["passed"] for check in checks)
    if as_json:
        print(json.dumps({"passed": passed, "checks": checks}))
    else:
        for check in checks:
            allowed = check.get("allowed")
            limit = "" if allowed is None else f" Allowed: {allowed:g}."
            print(f"{'ok ' if check['passed'] else 'OFF'}  {check['name']}: {check['found']}{limit}")
        print("The self-test passed." if passed else "The self-test failed.")
    return 0 if passed else VerificationError.exit_code
