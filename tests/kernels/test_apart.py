"""A kernel that this process would compile is interpreted and watched in a second one."""

import os
import subprocess
import sys

import pytest
import torch

from tsparse.grade.launches import KernelText, padded
from tsparse.kernels import apart, interpret
from tsparse.kernels.watched import Launch, run, run_text

pytestmark = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)

TEXT = """\
import triton
import triton.language as tl

TIMES = 3
LOWEST = float("-inf")
HALF: tl.constexpr = tl.constexpr(0.5)


@triton.jit
def more(x):
    return x * TIMES


@triton.jit
def kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + cols, mask=cols < n, other=LOWEST)
    print("lanes", BLOCK)
    tl.store(y_ptr + cols, more(x) * HALF)
"""


def asked():
    """One program, which stores three places too many."""
    return Launch((1,), {"x_ptr": torch.arange(5.0), "y_ptr": torch.zeros(5), "n": 5}, {"BLOCK": 8}, ())


def test_launch_in_a_second_process_is_seen_as_in_this_one(capfd):
    kernel = KernelText("kernel", TEXT).define()
    here, there = run(kernel, asked()), apart.run(kernel, asked())
    assert capfd.readouterr().out == "lanes 8\n" * 2
    assert list(here[0].faults.values()) == list(there[0].faults.values())
    assert torch.equal(there[0].tensors["y_ptr"], torch.arange(5.0) * 1.5)
    assert here[1][0].stores["y_ptr"][0].tolist() == there[1][0].stores["y_ptr"][0].tolist()


def test_text_of_a_kernel_holds_what_it_uses_and_stands_alone():
    text = "\n".join(apart.text_of(KernelText("kernel", TEXT).define()))
    assert "print" in text
    assert "TIMES = 3" in text
    defined = run_text(text, "<alone>", {})
    assert defined["LOWEST"] == float("-inf")
    assert defined["HALF"].value == 0.5


def test_padding_and_strides_travel():
    x = padded(torch.arange(6.0).reshape(2, 3))
    assert apart.on_the_cpu(x).stride() == (6, 1)
    assert torch.equal(apart.on_the_cpu(x), x)
    assert apart.on_the_cpu(7) == 7


def test_error_of_a_kernel_comes_back_in_its_last_line():
    broken = KernelText("kernel", TEXT.replace("tl.arange(0, BLOCK)", "tl.arange(0, n)")).define()
    with pytest.raises(RuntimeError, match=r"failed in the interpreter: .*"):
        apart.run(broken, asked())


def test_launch_is_drawn_where_this_process_compiles(tmp_path):
    script = tmp_path / "drawn.py"
    script.write_text(
        "import torch, tsparse\nfrom tsparse import show\n"
        + TEXT
        + "\nprint(repr(show.launch(kernel, (1,), torch.arange(5.0), torch.zeros(5), 5, BLOCK=8)))\n"
    )
    env = os.environ | {"TRITON_INTERPRET": "0", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Program 0 wrote 3 places past the end of `y_ptr`: the first is `y_ptr[5]`." in done.stdout
