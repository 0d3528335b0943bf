"""`tsparse bench`: measure, show a progress bar, print the table, write the JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from . import cpu, machine
from .racing import Rounds
from .record import RECORDED, Case, Planned, Record


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse bench`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--cpu", action="store_true", help="block-sparse attention in PyTorch and its peers")
    what.add_argument(
        "--gpu", action="store_true", help="the Triton kernels and their peers, on a CUDA device"
    )
    what.add_argument(
        "--show",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="print what --json wrote, or the recorded results",
    )
    parser.add_argument("--quick", action="store_true", help="small and few runs, to see that it works")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="cases whose section or title has this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, after every case")
    parser.add_argument("--resume", action="store_true", help="keep what --json FILE has, measure the rest")


def run(args: argparse.Namespace) -> int:
    """0 when all is measured, 1 if an implementation computed something wrong, 130 after Ctrl-C.

    A goal that is missed is reported and changes nothing: time depends on the machine.
    """
    if args.show is not None:
        for path in args.show or [RECORDED]:
            print(Record.from_json(path.read_text(encoding="utf-8")).as_text())
        return 0
    if args.json and not args.json.parent.is_dir():
        raise ValueError(f"--json {args.json}: there is no folder {args.json.parent}")
    if args.resume and not args.json:
        raise ValueError("--resume needs --json FILE, which has what was measured before")
    record, planned = _on_gpu(args.quick) if args.gpu else _on_cpu(args.quick)
    if args.only:
        planned = [one for one in planned if any(text in f"{one.section}: {one.title}" for text in args.only)]
        if not planned:
            raise ValueError(f"--only {' '.join(args.only)}: no case has this in its section or title")
    if args.resume and args.json.exists():
        planned = record.resume(Record.from_json(args.json.read_text(encoding="utf-8")), planned)
    try:
        measure(planned, record, args.json)
    finally:
        print(record.as_text())
        if args.json:
            print(f"\n{args.json}: written")
    if not record.complete:
        return 130
    return int(any(entry.wrong for case in record.cases for entry in case.entries))


def _on_cpu(quick: bool) -> tuple[Record, list[Planned]]:
    """What `--cpu` measures."""
    record = Record("bench --cpu" + " --quick" * quick, machine.cpu(), machine.versions())
    return record, list(cpu.plan(cpu.QUICK if quick else cpu.FULL))


def _on_gpu(quick: bool) -> tuple[Record, list[Planned]]:
    """What `--gpu` measures, after the machine's ceilings. ValueError where there is no CUDA device."""
    if not torch.cuda.is_available():
        raise ValueError("--gpu needs a CUDA device, and PyTorch sees none here; --cpu measures without one")
    from . import ceilings, gpu

    measured = ceilings.measure(gpu.cuda_clock)
    limits = {
        "matrix TFLOP/s": round(measured.flops / 1e12, 1),
        "exponentials/ns": round(measured.exponentials / 1e9, 1),
        "GB/s": round(measured.bytes / 1e9, 1),
    }
    record = Record("bench --gpu" + " --quick" * quick, machine.gpu(), machine.versions(), limits)
    setting = gpu.Setting(measured, gpu.cuda_clock)
    if quick:
        setting = replace(setting, lengths=(4096,), tokens=4096, rounds=Rounds(2, 2))
    return record, list(gpu.plan(setting))


def measure(planned: Sequence[Planned], record: Record, path: Path | None = None) -> None:
    """Fill the record case by case, and write it to `path` after each.

    Ctrl-C ends it with what is there: the record is not `complete` then.
    """
    try:
        with tqdm(planned, unit="case") as bar:
            for one in bar:
                bar.set_description(f"{one.section}: {one.title}")
                record.cases.append(case := Case(one.section, one.title))
                one.measure(case)
                _write(record, path)
        record.complete = True
    except KeyboardInterrupt:
        pass
    finally:
        _write(record, path)


def _write(record: Record, path: Path | None) -> None:
    """The record as JSON, whole or not at all."""
    if path is None:
        return
    draft = path.with_name(path.name + ".part")
    draft.write_text(record.as_json(), encoding="utf-8")
    draft.replace(path)
