"""Stopping Python code that does not end.

In the main thread of systems that have it the alarm signal does it; elsewhere a second thread raises the
error in this one. Both go on raising until the code is left, so that `except:` in a loop cannot swallow it,
and neither raises while this file is cleaning up.
"""

from __future__ import annotations

import ctypes
import math
import signal
import sys
import threading
import time
import types
from contextlib import AbstractContextManager

AGAIN = 0.01
"""Seconds until the error is raised once more if the code caught it."""


class Interrupted(BaseException):
    """The time is up. Not an `Exception`, so that `except Exception` lets it through."""


def interrupted_after(seconds: float) -> AbstractContextManager[None]:
    """Raise `Interrupted` inside the `with` block when it takes longer than `seconds`."""
    main = threading.current_thread() is threading.main_thread()
    return _Alarm(seconds) if main and hasattr(signal, "setitimer") else _Watcher(seconds)


class _Alarm(AbstractContextManager[None]):
    """By the alarm signal.

    A class and no generator: the first step on the way out is then one of this file. In a frame of
    `contextlib` the alarm would still raise, and nobody would stop the timer. The system may also deliver an
    alarm late, after the timer was stopped: it counts only while it is due.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.due = math.inf
        self.again = AGAIN

    def ring(self, number: int, frame: types.FrameType | None) -> None:
        """Raise, and set the timer again; later each time this file is interrupted, or alarms outrun it."""
        if self.due == math.inf:
            return
        wait = time.monotonic() < self.due or _cleaning_up(frame)
        if wait:
            self.again *= 2
        signal.setitimer(signal.ITIMER_REAL, self.again)
        if not wait:
            raise Interrupted

    def __enter__(self) -> None:
        self.handler = signal.signal(signal.SIGALRM, self.ring)
        self.due = time.monotonic() + self.seconds
        self.timer = signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *error: object) -> None:
        self.due = math.inf
        signal.setitimer(signal.ITIMER_REAL, *self.timer)
        if callable(self.handler):  # else `ring` stays: with the default a late alarm would end the process
            signal.signal(signal.SIGALRM, self.handler)


class _Watcher(AbstractContextManager[None]):
    """By a second thread, where there is no alarm or this is not the main thread."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.done, self.target = seconds, threading.Event(), threading.get_ident()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        if not self.done.wait(self.seconds):
            while not self.done.wait(AGAIN):
                if not _cleaning_up(sys._current_frames().get(self.target)):
                    _raise_in(self.target, Interrupted)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *error: object) -> None:
        while self.thread.is_alive():
            try:
                self.done.set()
                self.thread.join()
            except Interrupted:  # sent while this was on its way here
                pass


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Let a thread raise, soon.

    It cannot be taken back: a None in place of the error leaves the interpreter of Python 3.11 asking for it
    all the time, and where a profiler or a debugger is at work, without end.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def _cleaning_up(frame: types.FrameType | None) -> bool:
    """Whether a block is being entered or left: a function of this file runs, or one that it calls.

    The code inside of a block is called from elsewhere, and a thread that has ended has no frame.
    """
    if frame is None:
        return True
    while frame is not None and frame.f_code.co_filename != __file__:
        frame = frame.f_back
    return frame is not None
