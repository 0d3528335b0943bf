"""A class of sheets at once: found wherever an export put them, graded by several processes, summed up.

`finding.py` says who handed in what, `grading.py` has it graded by the processes of `jobs.py`, `keeping.py`
keeps what is done, `summary.py` and `formats.py` write what a teacher reads and what other programs read.
"""
