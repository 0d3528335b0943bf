"""`tsparse bench`: ours beside what people would use instead, in one run on one machine.

`record.py` is what was measured, as a table and as JSON; `racing.py` lets implementations take turns;
`peers.py` holds the implementations, `subjects.py` the patterns, `apart.py` what needs a process of its own,
`cpu.py` and `gpu.py` the two plans. `gpu.json` has the recorded results of the second; where it says NOT
MEASURED, nobody has run it on a GPU yet: `tsparse bench --gpu --json tsparse/bench/gpu.json` does.
"""
