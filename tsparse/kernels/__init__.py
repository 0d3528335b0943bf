"""The Triton kernels, and the interpreter that runs them where there is no GPU.

Importing this room needs no Triton; only the files that hold kernels do.
"""
