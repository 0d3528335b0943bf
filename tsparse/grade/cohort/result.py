"""What is kept of a graded submission: scores and sentences, no tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tsparse.grade.cohort.finding import Handed
from tsparse.grade.report import SheetReport


@dataclass(frozen=True)
class Answered:
    """One exercise: its verdict without the pictures."""

    id: str
    title: str
    status: str
    message: str
    mistake: str | None
    earned: float
    points: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """One submission. `fault` says why it could not be graded ("" where it was).

    `missing` names exercises of the course that the sheet has no cell for, `not_run` the cells that were left
    out, among them answers to exercises that the course does not have.
    """

    student: str
    file: str
    seed: int
    fault: str = ""
    answers: tuple[Answered, ...] = ()
    missing: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def status(self) -> str:
        """PASS where every exercise passed, otherwise FAIL; NOT RUN where nothing could be graded."""
        if self.fault:
            return "NOT RUN"
        return "PASS" if all(one.status == "PASS" for one in self.answers) else "FAIL"

    @property
    def earned(self) -> float:
        """Points earned."""
        return sum(one.earned for one in self.answers)

    @property
    def points(self) -> float:
        """Points that can be earned; 0 where nothing could be graded."""
        return sum(one.points for one in self.answers)

    @property
    def passed(self) -> int:
        """How many exercises passed."""
        return sum(one.status == "PASS" for one in self.answers)

    def as_data(self) -> dict[str, Any]:
        """For JSON, with the sums."""
        return asdict(self) | {"status": self.status, "earned": self.earned, "points": self.points}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Result:
        """The result that `as_data` was made from.

        Raises:
            KeyError, TypeError: It was made from none.
        """
        sums = ("status", "earned", "points")
        fields = {name: value for name, value in data.items() if name not in sums}
        for name in ("missing", "not_run"):
            fields[name] = tuple(fields[name])
        return cls(**fields | {"answers": tuple(Answered(**one) for one in data["answers"])})


def graded(handed: Handed, report: SheetReport, missing: tuple[str, ...]) -> Result:
    """The result of a sheet that was graded."""
    answers = tuple(
        Answered(
            one.verdict.exercise,
            one.title,
            one.verdict.status,
            one.verdict.message,
            one.verdict.mistake,
            one.verdict.earned,
            one.verdict.points,
            round(one.seconds, 3),
        )
        for one in report.exercises
    )
    seconds = round(report.seconds, 3)
    return Result(handed.student, handed.file, report.seed, "", answers, missing, report.not_run, seconds)
