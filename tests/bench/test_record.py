"""What is kept of a run: the table, the JSON, and the verdicts in them."""

import json
from dataclasses import replace

import pytest

from tsparse.bench import gpu
from tsparse.bench.racing import wall
from tsparse.bench.record import NOT_MEASURED, RECORDED, Case, Entry, Goal, Planned, Record
from tsparse.cost import Ceilings


@pytest.fixture
def record() -> Record:
    entries = [
        Entry("ours", seconds=[0.25, 0.125, 0.5], mib=3.0),
        Entry("fast peer", Goal(least=1.0), seconds=[0.125, 0.125], difference=1e-6),
        Entry("slow peer", Goal(least=2.0), seconds=[1.0], difference=0.0),
        Entry("dense", other="sees everything", seconds=[2.0], difference=0.5),
        Entry("broken", Goal(least=1.0), seconds=[9.0], difference=7.0, wrong=True, note="WRONG OUTPUT"),
        Entry("absent", Goal(least=1.0), note="not installed"),
    ]
    growth = [Entry("N", mib=100.0), Entry("2 N", Goal(most=2.1), mib=200.0)]
    cases = [Case("forward", "window", entries), Case("memory", "window", growth)]
    return Record("bench --cpu", {"CPU": "abacus", "threads": 2}, {"torch": "2"}, cases=cases, complete=True)


def test_json_gives_the_record_back(record: Record) -> None:
    assert Record.from_json(record.as_json()) == record


def test_json_has_every_run_and_what_follows_from_them(record: Record) -> None:
    ours, fast = json.loads(record.as_json())["cases"][0]["entries"][:2]
    assert ours["seconds"] == [0.25, 0.125, 0.5]
    assert (ours["median"], ours["least"], ours["runs"], ours["ratio"]) == (0.25, 0.125, 3, None)
    assert (fast["ratio"], fast["verdict"], fast["goal"]["least"]) == (0.5, "MISSED", 1.0)


def test_verdict_needs_a_goal_and_two_measurements_and_right_output(record: Record) -> None:
    case = record.cases[0]
    assert [case.verdict(entry) for entry in case.entries] == ["", "MISSED", "met", "", "WRONG", ""]


def test_ratio_is_of_memory_where_no_time_was_measured(record: Record) -> None:
    case = record.cases[1]
    assert (case.ratio(case.entries[1]), case.verdict(case.entries[1])) == (2.0, "met")


def test_goal_may_be_of_memory() -> None:
    goal = Goal(most=500, of="mib")
    case = Case("layouts", "window", [Entry("ours", goal, seconds=[1.0], mib=501.0)])
    assert (str(goal), case.verdict(case.entries[0])) == ("≤ 500 MiB", "MISSED")


def test_table_shows_every_entry_and_says_what_is_not_measured(record: Record) -> None:

    text = record.as_text()
    for entry in [entry for case in record.cases for entry in case.entries]:
        assert any(line.strip().startswith(entry.name) for line in text.splitlines())
    assert "absent                               NOT MEASURED: not installed" in text
    assert "computes something else: sees everything" in text
    assert "CPU abacus | threads 2 | torch 2" in text


def test_table_of_an_interrupted_run_says_so(record: Record) -> None:
    assert "interrupted" not in record.as_text()
    record.complete = False
    assert "interrupted: what was measured until then" in record.as_text()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(2e-7, "0.200 µs"), (3.14159e-3, "3.14 ms"), (0.9, "900 ms"), (1234.5, "1,234 s")]
)
def test_durations_have_three_digits_and_a_unit(seconds: float, shown: str) -> None:
    record = Record("bench", {}, {}, cases=[Case("s", "t", [Entry("ours", seconds=[seconds])])])
    assert shown in record.as_text()


def test_recorded_results_have_an_entry_for_every_case_of_the_plan() -> None:
    """Or it is written anew: `tsparse bench --gpu --json tsparse/bench/gpu.json`."""
    recorded = Record.from_json(RECORDED.read_text(encoding="utf-8"))
    planned = gpu.plan(gpu.Setting(Ceilings(1.0, 1.0, 1.0), wall))
    assert [(case.section, case.title) for case in recorded.cases] == [(p.section, p.title) for p in planned]
    for case in recorded.cases:
        for entry in case.entries:
            assert entry.seconds or entry.note
    assert recorded.machine or NOT_MEASURED in recorded.as_text()


def test_run_that_was_interrupted_goes_on_where_it_was() -> None:
    planned = [Planned("s", title, lambda case: None) for title in "abc"]
    before = Record("bench", {"gpu": "x"}, {"torch": "1"}, cases=[Case("s", "a"), Case("s", "b")])
    record = Record("bench", {"gpu": "x"}, {"torch": "1"}, {"GB/s": 3.0})
    assert [one.title for one in record.resume(before, planned)] == ["b", "c"]  # b was not whole
    assert [case.title for case in record.cases] == ["a"]


@pytest.mark.parametrize("changed", [{"command": "other"}, {"machine": {"gpu": "y"}}, {"versions": {}}])
def test_results_of_another_machine_are_not_gone_on_with(changed: dict[str, object]) -> None:
    before = Record("bench", {"gpu": "x"}, {"torch": "1"})
    with pytest.raises(ValueError, match=r"--resume: \w+ is .* now and was .*measure everything anew"):
        Record("bench", {"gpu": "x"}, {"torch": "1"}).resume(replace(before, **changed), [])
