"""Kernels run in the interpreter here: `tsparse` switches it on, if it comes before Triton."""

import tsparse  # noqa: F401
