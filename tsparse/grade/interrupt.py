"""Stopping Python code that does not end.

In the main thread of systems that have it the alarm signal does it; elsewhere a second thread raises the
error in this one. Both go on raising until the code is left, so that `except:` in a loop cannot swallow it,
and neither raises while this file is cleaning up.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import threading
import types
from collections.abc import Iterator

AGAIN = 0.01
"""Seconds until the error is raised once more if the code caught it."""


class Interrupted(BaseException):
    """The time is up. Not an `Exception`, so that `except Exception` lets it through."""


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise `Interrupted` inside the block when it takes longer than `seconds`."""
    main = threading.current_thread() is threading.main_thread()
    with _by_alarm(seconds) if main and hasattr(signal, "setitimer") else _by_thread(seconds):
        yield


@contextlib.contextmanager
def _by_alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: types.FrameType | None) -> None:
        if not _cleaning_up(frame):
            raise Interrupted

    handler = signal.signal(signal.SIGALRM, ring)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)


@contextlib.contextmanager
def _by_thread(seconds: float) -> Iterator[None]:
    done = threading.Event()
    target = threading.get_ident()
    raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc

    def watch() -> None:
        if not done.wait(seconds):
            while not done.wait(AGAIN):
                if not _cleaning_up(sys._current_frames().get(target)):
                    raise_in_thread(ctypes.c_ulong(target), ctypes.py_object(Interrupted))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        raise_in_thread(ctypes.c_ulong(target), None)


def _cleaning_up(frame: types.FrameType | None) -> bool:
    """Whether the code of this file is being left, in which an error would do harm."""
    while frame is not None and frame.f_code.co_filename in (threading.__file__, contextlib.__file__):
        frame = frame.f_back
    return frame is None or frame.f_code.co_filename == __file__
