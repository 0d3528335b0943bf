"""Code that takes too long is stopped, and nothing rings after it."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager

import pytest

from tsparse.grade import interrupt
from tsparse.grade.interrupt import Interrupted, interrupted_after

HAS_ALARM = hasattr(signal, "setitimer")


@pytest.mark.parametrize("way", [interrupt._Alarm, interrupt._Watcher] if HAS_ALARM else [interrupt._Watcher])
def test_no_step_of_leaving_a_block_can_be_interrupted(way):
    held: dict[str, bool] = {}

    def note(frame, event, _):
        if event == "call":
            held[frame.f_code.co_name] = interrupt._cleaning_up(frame)

    def leave(block: AbstractContextManager[None]) -> None:
        with block:
            sys.setprofile(note)
        sys.setprofile(None)

    leave(way(60))
    assert "__exit__" in held
    assert all(held.values())


@pytest.mark.parametrize("inside", ["pass", "while True: pass"])
@pytest.mark.parametrize("tool", ["setprofile", "settrace"])
def test_profilers_and_debuggers_work_after_a_block(inside: str, tool: str):
    """In a process of its own: where they do not, it never ends."""
    code = f"""
import sys
from tsparse.grade.interrupt import Interrupted, _Watcher
def run():
    {inside}
try:
    with _Watcher(0.01):
        run()
except Interrupted:
    pass
sys.{tool}(lambda *_: None)
run = lambda: "ended"
word = run()
sys.{tool}(None)
print(word)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.stdout == "ended\n", ended.stderr


@pytest.mark.skipif(not HAS_ALARM, reason="this system has no alarm")
def test_no_timer_is_left_running():
    with pytest.raises(Interrupted), interrupted_after(0.05):
        threading.Event().wait()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def run_forever():
    while True:
        pass


@pytest.mark.skipif(not HAS_ALARM, reason="this system has no alarm")
def test_nothing_rings_where_alarms_come_as_fast_as_they_can(monkeypatch):
    """Late ones too, delivered after the timer was stopped. No machine handles one in a microsecond."""
    monkeypatch.setattr(interrupt, "AGAIN", 1e-6)
    held = []  # the errors, and with them every frame that they went through
    for _ in range(100):
        with pytest.raises(Interrupted) as caught, interrupted_after(0.001):
            run_forever()
        held.append(caught.value)
        assert sum(range(1000)) == 499500
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.skipif(not HAS_ALARM, reason="this system has no alarm")
def test_alarms_do_not_interrupt_one_another_where_the_machine_is_slow(monkeypatch):
    cleaning_up = interrupt._cleaning_up

    def slow(frame):
        until = time.monotonic() + 1e-3
        while time.monotonic() < until:
            pass
        return cleaning_up(frame)

    monkeypatch.setattr(interrupt, "AGAIN", 1e-4)
    monkeypatch.setattr(interrupt, "_cleaning_up", slow)
    for _ in range(10):
        with pytest.raises(Interrupted), interrupted_after(0.001):
            run_forever()
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
