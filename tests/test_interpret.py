"""The canary: Triton's interpreter is tried before it is trusted, and says the way out where it cannot be.

Each test starts its own process without a GPU, because Triton reads its switch once per process.
"""

import importlib.util
import os
import subprocess
import sys

import pytest

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)
CANARY = "import tsparse\nfrom tsparse.kernels.interpret import canary, require\n"


def python(code: str, **environment: str) -> str:
    """What a fresh process without a GPU prints."""
    clean = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"CUDA_VISIBLE_DEVICES": ""} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@needs_triton
def test_interpreter_agrees_with_pytorch_and_says_so():
    said = python(CANARY + "require()\nprint(canary())")
    assert said.startswith("ok: float16, float32 and float64 agree with PyTorch; bfloat16 is ")


def test_everything_but_kernels_imports_without_triton():
    code = "import sys\nsys.modules['triton'] = None\n" + CANARY + "print(canary())"
    assert python(code).startswith("triton missing: kernels need Triton, which Linux has")


@needs_triton
def test_triton_imported_before_tsparse_says_to_restart():
    said = python("import triton\n" + CANARY + "try:\n    require()\nexcept RuntimeError as e:\n    print(e)")
    assert said == (
        "Triton's interpreter cannot be used "
        "(triton came first: restart, and import tsparse before Triton or what imports it)"
    )


@needs_triton
def test_interpreter_switched_off_by_hand_says_how_to_switch_it_on():
    assert python(CANARY + "print(canary())", TRITON_INTERPRET="0").startswith("off: unset TRITON_INTERPRET")


SPOILED = {
    "a product that is doubled": """
def create_dot(self, *operands):
    product = right(self, *operands)
    product.data *= 2
    return product
""",
    "a load that fills masked lanes with ones": """
def create_masked_load(self, ptrs, mask, *options):
    loaded = right(self, ptrs, mask, *options)
    loaded.data[~mask.data] = 1
    return loaded
""",
    "a product that raises": """
def create_dot(self, *operands):
    raise TypeError("this numpy")
""",
    "a store that does nothing": """
def create_masked_store(self, *operands):
    pass
""",
}


@needs_triton
@pytest.mark.parametrize("spoiled", SPOILED)
def test_interpreter_that_computes_nonsense_is_refused(spoiled):
    name = SPOILED[spoiled].split("(")[0].removeprefix("\ndef ")
    spoil = "from triton.runtime.interpreter import InterpreterBuilder\n"
    spoil += f"right = InterpreterBuilder.{name}\n{SPOILED[spoiled]}InterpreterBuilder.{name} = {name}\n"
    said = python(CANARY + spoil + "print(canary())")
    assert said.startswith("computes nonsense: Triton")
    assert ("raised" if "raises" in spoiled else "is wrong in float16, float32, float64;") in said
    assert said.endswith("install the version that constraints.txt names, or numpy below 2.4 for Triton 3.6")
