"""`tsparse bench`: what it measures, prints and writes, and what it keeps when it is interrupted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tsparse.bench import cpu
from tsparse.bench.record import Case, Entry, Planned, Record
from tsparse.cli import main


def planned(title: str, measure: Callable[[Case], None]) -> Planned:
    return Planned("section", title, measure)


def quick_result(case: Case) -> None:
    case.entries.append(Entry("ours", seconds=[1.0]))


def interrupted(case: Case) -> None:
    case.entries.append(Entry("ours", seconds=[2.0]))
    raise KeyboardInterrupt


def wrong(case: Case) -> None:
    case.entries += [Entry("ours", seconds=[1.0]), Entry("peer", seconds=[1.0], wrong=True)]


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> list[Planned]:
    """What the command will measure, to be filled by the test."""
    cases: list[Planned] = []
    monkeypatch.setattr(cpu, "plan", lambda effort: cases)
    return cases


def test_quick_measures_every_case_and_no_peer_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["bench", "--cpu", "--quick", "--json", str(tmp_path / "bench.json")]) == 0
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert written["complete"]
    measured = {case["section"]: case["entries"] for case in written["cases"]}
    assert list(measured) == [cpu.FORWARD, cpu.MODULES, cpu.FIRST, cpu.BACKWARD, cpu.MEMORY, cpu.LAYOUTS]
    for entries in measured.values():
        for entry in entries:
            assert entry["runs"] or entry["mib"] or "transformers" in entry["note"], entry
    assert {"CPU", "cores", "threads"} <= set(written["machine"])
    assert {"python", "torch"} <= set(written["versions"])
    said = capsys.readouterr()
    assert "FlexAttention, compiled" in said.out
    assert "case/s" in said.err or "s/case" in said.err


def test_full_plan_has_a_goal_for_each_speed_that_was_promised() -> None:
    goals = {
        value
        for one in cpu.plan(cpu.FULL)
        for value in one.measure.args  # type: ignore[attr-defined]
        if value in cpu.GOALS.values()
    }
    assert goals == set(cpu.GOALS.values())


def test_interruption_keeps_and_writes_what_was_measured(
    plan: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    plan += [planned("first", quick_result), planned("second", interrupted), planned("third", quick_result)]
    path = tmp_path / "bench.json"
    assert main(["bench", "--cpu", "--json", str(path)]) == 130
    record = Record.from_json(path.read_text(encoding="utf-8"))
    assert [(case.title, case.entries[0].seconds) for case in record.cases] == [
        ("first", [1.0]),
        ("second", [2.0]),
    ]
    assert not record.complete
    assert "interrupted" in capsys.readouterr().out


def test_case_that_fails_loses_nothing_that_was_measured_before(plan: list[Planned], tmp_path: Path) -> None:
    def fail(case: Case) -> None:
        raise RuntimeError("broken")

    plan += [planned("first", quick_result), planned("second", fail)]
    with pytest.raises(RuntimeError, match="broken"):
        main(["bench", "--cpu", "--json", str(tmp_path / "bench.json")])
    assert json.loads((tmp_path / "bench.json").read_text())["cases"][0]["entries"][0]["seconds"] == [1.0]


def test_wrong_output_is_exit_status_1(plan: list[Planned]) -> None:
    plan.append(planned("first", wrong))
    assert main(["bench", "--cpu"]) == 1


def test_only_takes_the_cases_whose_section_or_title_has_the_text(
    plan: list[Planned], capsys: pytest.CaptureFixture
) -> None:
    plan += [planned("alpha", quick_result), planned("beta", interrupted)]
    assert main(["bench", "--cpu", "--only", "section: al"]) == 0
    assert "beta" not in capsys.readouterr().out
    assert main(["bench", "--cpu", "--only", "gamma"]) == 2
    assert "no case has this" in capsys.readouterr().err


def test_folder_that_is_missing_is_said_before_anything_is_measured(
    plan: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    plan.append(planned("first", interrupted))
    assert main(["bench", "--cpu", "--json", str(tmp_path / "nowhere" / "bench.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_show_prints_what_was_written(
    plan: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    plan.append(planned("first", quick_result))
    path = tmp_path / "bench.json"
    main(["bench", "--cpu", "--json", str(path)])
    printed = capsys.readouterr().out.split("\n\n" + str(path))[0]
    assert main(["bench", "--show", str(path)]) == 0
    assert capsys.readouterr().out.strip() == printed.strip()


def test_resume_measures_what_is_missing_and_keeps_the_rest(
    plan: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "bench.json"
    assert main(["bench", "--cpu", "--resume"]) == 2
    assert "--resume needs --json FILE" in capsys.readouterr().err
    plan += [planned("first", quick_result), planned("second", interrupted)]
    assert main(["bench", "--cpu", "--json", str(path)]) == 130
    plan[:] = [planned("first", interrupted), planned("second", quick_result)]
    assert main(["bench", "--cpu", "--json", str(path), "--resume"]) == 0
    record = Record.from_json(path.read_text(encoding="utf-8"))
    assert [(case.title, case.entries[0].seconds) for case in record.cases] == [
        ("first", [1.0]),
        ("second", [1.0]),
    ]


def test_show_without_a_file_prints_the_recorded_results(capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "--show"]) == 0
    assert capsys.readouterr().out.startswith("tsparse bench --gpu, ")
