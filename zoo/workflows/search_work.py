"""The work of one process in a search: it tries candidates, and trains and exports the best."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.data import ImageData
from zoo.errors import PluginError, UsageError, ZooError
from zoo.evaluation.paired import paired_test
from zoo.evaluation.predictions import Predictions
from zoo.figures import points
from zoo.interfaces import Exporter
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.run_folder import open_run
from zoo.searching.candidate import STEPS, Candidate, Cost, Judged, Outcome, front, ranked, sized
from zoo.searching.clock import Clock, as_minutes
from zoo.searching.cost import Form, time_file
from zoo.searching.costs import Costs
from zoo.searching.engine import Engine, fine_tuning_s, pace_of
from zoo.searching.folder import (
    Winner,
    candidate_folder,
    keep_outcome,
    keep_winner,
    read_outcome,
    read_outcomes,
    read_winner,
)
from zoo.searching.journal import Journal
from zoo.searching.judge import WAYS, judge
from zoo.searching.stages import STAGES, Known, largest_fitting
from zoo.workflows.export import ExportRequest, export
from zoo.workflows.models import Run
from zoo.workflows.planning import TrainRequest
from zoo.workflows.search import Found, SearchRequest
from zoo.workflows.train import train

#: Name of an architecture's recipe that chooses the head, then trains all layers, and keeps the result only if it is
#: better.
FINE_TUNING = "finetune"

#: Estimated seconds for training, export and verification of the winner on two free cores, without the computation of
#: its features, and additional seconds for 8 bits.
_WINNER_S, _IN_8_BITS_S = 20.0, 60.0


class SearchWork:
    """The work of one process in a search.

    Args:
        request: What to search for.
        exporter: The exporter of the format.
        names: Names of the architectures to try.
        photos: Images for cross-validation.
        benchmark: JSON of the target device. ``None``: this machine.
        clock: Keeps track of the remaining time.
        notes: Notes for the reader so far.
        reporter: Receives the progress.
    """

    def __init__(
        self,
        request: SearchRequest,
        exporter: Exporter,
        names: tuple[str, ...],
        photos: ImageData,
        benchmark: Mapping[str, Any] | None,
        clock: Clock,
        notes: list[str],
        reporter: Reporter,
    ) -> None:
        self._request = request
        self._records = {name: architectures().get(name) for name in names}
        self._photos = photos
        self._clock = clock
        self._notes = list(notes)
        self._reporter = reporter
        self._folder = request.folder
        self._form = Form(exporter=exporter, precision=request.precision, labels=photos.labels)
        self._costs = Costs(self._form, self._folder, benchmark, self._note, reporter)

    def engine(self, journal: Journal) -> Engine:
        """The engine that tries candidates.

        Raises:
            UsageError: No architecture meets the limits.
        """
        self._refuse_impossible()
        return Engine(
            journal=journal,
            stages=STAGES,
            known=self._known,
            judge=self._judge,
            clock=self._clock,
            images=len(self._photos.names),
            reserve_s=self._reserve_s,
            reporter=self._reporter,
        )

    def finish(self) -> Found:
        """Trains, evaluates and exports the best candidate, and writes the page."""
        from zoo.report.search import SearchPage, write_search_page

        outcomes = read_outcomes(self._folder)
        judged = ranked(outcomes)
        if not judged:
            causes = "\n  ".join(f"{outcome.candidate}: {outcome.error}" for outcome in outcomes)
            raise PluginError(f"All {len(outcomes)} candidates failed.", causes)
        best, _ = judged[0]
        winner = read_winner(self._folder)
        if winner is None or winner.key != best.candidate.key or self._has_time_now(best, winner):
            winner = Winner(key=best.candidate.key, run=self._free_name())
            keep_winner(self._folder, winner)
        run = self._train(best, self._request.runs / winner.run)
        if not winner.file and not winner.trouble:
            winner = self._export(run, winner)
            keep_winner(self._folder, winner)
        cost, trouble = best.cost, winner.trouble
        if winner.file:
            here = Cost(latency_ms=winner.latency_ms, size_bytes=winner.size_bytes)
            cost = self._costs.on_device(best.candidate, here)
            if exceeded := self._request.limits.exceeded(cost):
                trouble = f"The exported file takes {exceeded}; {best.cost.latency_ms:.2f} ms and"
                trouble += f" {best.cost.size_mb:.2f} MB were measured on the untrained model."
        device = self._costs.device
        found = Found(
            run=run,
            file=run.path / winner.file if winner.file else None,
            cost=cost,
            trouble=trouble,
            outcomes=(*(outcome for outcome, _ in judged), *(item for item in outcomes if item.judged is None)),
            front=front(judged),
            second=self._second(judged),
            limits=self._request.limits,
            form=str(self._form),
            device=device.name if device else "",
            notes=tuple(self._notes),
            page=self._folder / "search.html",
        )
        told = SearchPage(
            run=found.run,
            outcomes=found.outcomes,
            front=found.front,
            cost=found.cost,
            limits=found.limits,
            form=found.form,
            device=found.device,
            trouble=found.trouble,
            notes=found.notes,
            elapsed_s=self._clock.elapsed_s,
            command=self._request.command(),
            second=found.second,
        )
        write_search_page(found.page, told)
        return found

    def _note(self, text: str) -> None:
        self._notes.append(text)
        self._reporter.note(text)

    def _known(self) -> Known:
        return Known(self._records, self._request.limits, self._costs, read_outcomes(self._folder))

    def _refuse_impossible(self) -> None:
        """Raises an error if no architecture meets the limits."""
        known = self._known()
        if any(largest_fitting(known, record) for record in self._records.values()):
            return
        limits = self._request.limits
        nearest: tuple[float, str] | None = None
        for name, record in self._records.items():
            for step in (0, min(STEPS)):
                candidate = Candidate(architecture=name, image=sized(record, step), step=step)
                cost = self._costs(candidate)
                if cost is not None and (nearest is None or limits.excess(cost) < nearest[0]):
                    nearest = (limits.excess(cost), f"{candidate}, {limits.exceeded(cost)}")
        if nearest is None:
            raise PluginError("No architecture could be exported.", "\n  ".join(self._notes))
        raise UsageError(
            f"No architecture meets the limits as {self._form}. The nearest is {nearest[1]}: {nearest[0]:.2f} times"
            " the limit.",
            "Raise the limit accordingly, or try another --precision.",
        )

    def _reserve_s(self, pace: float) -> float:
        """Estimated seconds for the winner, on a machine that takes ``pace`` times as long as an idle one."""
        judged = [outcome.judged.seconds for outcome in read_outcomes(self._folder) if outcome.judged]
        in_8_bits = _IN_8_BITS_S if self._form.precision == "int8" else 0.0
        return (_WINNER_S + in_8_bits) * pace + max(judged, default=0.0) / 2

    def _judge(self, candidate: Candidate) -> Outcome:
        """Evaluates a candidate and stores its outcome in the folder. A stored outcome is returned unchanged."""
        from zoo.report.candidate import write_candidate_page

        if (known := read_outcome(self._folder, candidate.key)) is not None:
            return known
        cost = self._costs(candidate)
        assert cost is not None
        try:
            found = judge(candidate, self._photos, self._reporter)
        except ZooError as error:
            outcome = Outcome(candidate=candidate, cost=cost, error=str(error))
        except (MemoryError, RuntimeError, ValueError, ArithmeticError, LookupError, TypeError) as error:
            # A network that a backend cannot compute must not prevent the others from being tried.
            outcome = Outcome(candidate=candidate, cost=cost, error=f"{type(error).__name__}: {error}")
        else:
            outcome = Outcome(candidate=candidate, cost=cost, judged=found.judged)
            place = candidate_folder(self._folder, candidate.key)
            place.mkdir(parents=True, exist_ok=True)
            found.predictions.write_csv(place / "predictions.csv")
            write_candidate_page(outcome, found.predictions, self._photos, place / "report.html")
        keep_outcome(self._folder, outcome)
        return outcome

    def _second(self, judged: list[tuple[Outcome, Judged]]) -> str:
        """A sentence that compares the second best candidate with the best. Empty if there is none."""
        if len(judged) < 2:
            return ""
        (first, figures), (second, others) = judged[:2]
        tested = [
            (key, Predictions.read_csv(candidate_folder(self._folder, key) / "predictions.csv"), dict[str, str]())
            for key in (first.candidate.key, second.candidate.key)
        ]
        test = paired_test(*tested)
        verdict = "significant" if test.real else "not significant"
        return (
            f"The second best is {second.candidate}: {points(others.accuracy - figures.accuracy)} points of accuracy in"
            f" cross-validation, {second.cost.latency_ms - first.cost.latency_ms:+.2f} ms,"
            f" {second.cost.size_mb - first.cost.size_mb + 0.0:+.2f} MB. The difference in accuracy is {verdict}"
            f" (p = {test.p:.2f}, exact McNemar test on {test.shared} training images)."
        )

    def _free_name(self) -> str:
        name, number = self._request.run_name, 1
        while (self._request.runs / name).exists():
            number += 1
            name = f"{self._request.run_name}-{number}"
        return name

    def _train(self, best: Outcome, path: Path) -> Run:
        """Trains the winner, or resumes its interrupted run."""
        from zoo.progress import make_reporter

        candidate, recipe = best.candidate, self._fine_tuning(best)
        image = {name: value for name, value in candidate.image.as_dict().items() if name != "version"}
        asked = TrainRequest(
            architecture=candidate.architecture,
            data=self._request.data,
            image=image,
            recipe=recipe,
            settings={} if recipe else WAYS[candidate.way],
            runs=self._request.runs,
            name=path.name,
        )
        if (path / "run.json").is_file():
            if (path / "split.csv").is_file():
                asked = TrainRequest(resume=path, runs=self._request.runs)
            elif not open_run(path).finished:
                # The run was killed before its images were known, so it cannot be resumed. It belongs to this search.
                shutil.rmtree(path)
        left = f"{as_minutes(self._clock.left_s)} left" if self._clock.left_s > 0 else "No time left"
        then = " Its layers are fine-tuned in the time that is left." if recipe and not asked.resume else ""
        self._reporter.stage(f"{left}; the winner is {candidate}.{then}")
        run = train(asked, self._reporter).run
        if run.recipe.epochs:
            kept = "is" if run.info.best_epoch else "is not"
            self._note(
                f"All layers of the winner were fine-tuned in the time that was left. The result {kept} kept, because"
                f" it {kept} better than the head on the frozen backbone by more than the standard error on validation"
                " images."
            )
        chose = set(self._photos.contents)
        seen = sum(row["split"] == "test" and row["sha256"] in chose for row in run.split())
        if seen:
            self._note(
                f"{seen} test images of the winner's run were also used to choose it: its accuracy on them is too high."
            )
        return Run(run, lambda quiet: make_reporter())

    def _fine_tuning(self, best: Outcome) -> str | None:
        """Name of the recipe that also fine-tunes the winner, if its architecture has one and enough time is left.

        The recipe keeps the result only if it is better on validation images. Otherwise the model is the same as
        without fine-tuning.
        """
        recipe = self._records[best.candidate.architecture].recipes.get(FINE_TUNING)
        if recipe is None or recipe.head != "chosen" or not recipe.epochs:
            return None
        images = len(self._photos.names)
        pace = pace_of(read_outcomes(self._folder), images)
        needed = fine_tuning_s(best.cost, images, recipe.epochs, pace) + self._reserve_s(pace)
        return FINE_TUNING if self._clock.left_s >= needed else None

    def _has_time_now(self, best: Outcome, winner: Winner) -> bool:
        """Whether the winner was finished without fine-tuning, and there is now enough time for it."""
        path = self._request.runs / winner.run
        if not (path / "run.json").is_file():
            return False
        run = open_run(path)
        return run.finished and not run.recipe.epochs and self._fine_tuning(best) is not None

    def _export(self, run: Run, winner: Winner) -> Winner:
        exporter, precision = self._form.exporter, self._form.precision
        request = ExportRequest(model=str(run.path), formats=(exporter.name,), precisions=(precision,))
        (made,) = export(request, self._reporter).targets
        if not made.kept:
            failures = made.verification.failures if made.verification else ()
            return replace(winner, trouble=f"There is no exported file: {made.error or ' '.join(failures)}")
        file = made.path.relative_to(run.path).as_posix()
        return replace(winner, file=file, latency_ms=time_file(made.path), size_bytes=made.size_bytes)
