"""Kernels for the exercises of lesson 13 that are not in their lists: right ones, and wrong ones."""

from tsparse.grade.exercises.triton import matmul, row_softmax, scale_rows
from tsparse.grade.launches import KernelText

HEAD = "import triton\nimport triton.language as tl\n\n\n@triton.jit\n"
SCALE, SOFTMAX, PRODUCT = scale_rows.TEXT, row_softmax.TEXT, matmul.TEXT


def kernel(name: str, parameters: str, body: str) -> KernelText:
    """A kernel with this body."""
    return KernelText(name, f"{HEAD}def {name}({parameters}):\n{body}")


SCALE_PARAMETERS = "x_ptr, s_ptr, y_ptr, n_cols, stride_x, stride_y, BLOCK: tl.constexpr"
SOFTMAX_PARAMETERS = "x_ptr, y_ptr, n_cols, stride_x, stride_y, BLOCK: tl.constexpr"
PRODUCT_PARAMETERS = (
    "a_ptr, b_ptr, c_ptr, m, n, k, stride_a, stride_b, stride_c, "
    "BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr"
)

RIGHT: dict[str, dict[str, KernelText]] = {
    "scale_rows": {
        "a table of one row": kernel(
            "scale_rows",
            SCALE_PARAMETERS,
            """\
    i = tl.program_id(axis=0)
    begin = tl.program_id(axis=1) * BLOCK
    j = begin + tl.arange(0, BLOCK)[None, :]
    here = tl.broadcast_to(j, (1, BLOCK)) < n_cols
    x = tl.load(x_ptr + i * stride_x + j, mask=here, other=7.0)
    y = tl.load(s_ptr + i) * x
    tl.store(y_ptr + i * stride_y + j, y, mask=here)
""",
        ),
        "pointers that move": kernel(
            "scale_rows",
            SCALE_PARAMETERS,
            """\
    x_ptr += tl.program_id(0) * stride_x
    y_ptr += tl.program_id(0) * stride_y
    s_ptr += tl.program_id(0)
    lanes = tl.arange(0, BLOCK) + BLOCK * tl.program_id(1)
    left = n_cols - lanes
    tl.store(y_ptr + lanes, tl.load(x_ptr + lanes, left > 0) * tl.load(s_ptr), left > 0)
""",
        ),
    },
    "row_softmax": {
        "where in place of other": kernel(
            "row_softmax",
            SOFTMAX_PARAMETERS,
            """\
    i = tl.program_id(0)
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i * stride_x + j, mask=j < n_cols, other=0.0)
    x = tl.where(j < n_cols, x, float("-inf"))
    p = tl.where(j < n_cols, tl.exp(x - tl.max(x, 0)), 0.0)
    tl.store(y_ptr + i * stride_y + j, p * (1.0 / tl.sum(p, 0)), mask=j < n_cols)
""",
        ),
        "powers of two and a helper": KernelText(
            "row_softmax",
            HEAD
            + f"""\
def largest(x):
    return tl.max(x, axis=1)[:, None]


LOG2E: tl.constexpr = tl.constexpr(1.4426950408889634)


@triton.jit
def row_softmax({SOFTMAX_PARAMETERS}):
    i = tl.program_id(0)
    j = tl.arange(0, BLOCK)[None, :]
    x = tl.load(x_ptr + i * stride_x + j, mask=j < n_cols, other=-float("inf"))
    p = tl.exp2((x - largest(x)) * LOG2E)
    tl.store(y_ptr + i * stride_y + j, p / tl.sum(p, axis=1)[:, None], mask=j < n_cols)
""",
        ),
    },
    "matmul": {
        "pointers that move": kernel(
            "matmul",
            PRODUCT_PARAMETERS,
            """\
    i = tl.program_id(0) * BM + tl.arange(0, BM)[:, None]
    j = tl.program_id(1) * BN + tl.arange(0, BN)[None, :]
    d = tl.arange(0, BK)
    a_ptr += i * stride_a + d[None, :]
    b_ptr += d[:, None] * stride_b + j
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for _ in range(tl.cdiv(k, BK)):
        a = tl.load(a_ptr, mask=(i < m) & (d[None, :] < k), other=0.0)
        b = tl.load(b_ptr, mask=(d[:, None] < k) & (j < n), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
        a_ptr += BK
        b_ptr += BK * stride_b
        d += BK
    c = acc.to(c_ptr.dtype.element_ty)
    tl.store(c_ptr + i * stride_c + j, c, mask=(i < m) & (j < n))
""",
        ),
        "a sum of outer products": kernel(
            "matmul",
            PRODUCT_PARAMETERS,
            """\
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    j = tl.program_id(1) * BN + tl.arange(0, BN)
    acc = tl.zeros((BM, BN), tl.float32)
    for d in range(0, k):
        a = tl.load(a_ptr + i * stride_a + d, mask=i < m, other=0.0).to(tl.float32)
        b = tl.load(b_ptr + d * stride_b + j, mask=j < n, other=0.0).to(tl.float32)
        acc += a[:, None] * b[None, :]
    tl.store(c_ptr + i[:, None] * stride_c + j, acc, mask=(i[:, None] < m) & (j < n)[None, :])
""",
        ),
    },
}

WRONG: dict[str, dict[str, KernelText]] = {
    "scale_rows": {
        "added": SCALE.but("x * s", "x + s"),
        "not scaled": SCALE.but("x * s", "x"),
        "factor of the piece": SCALE.but("s_ptr + row", "s_ptr + tl.program_id(1)"),
        "first factor for all": SCALE.but("tl.load(s_ptr + row)", "tl.load(s_ptr)"),
        "stride of x for y": SCALE.but("row * stride_y", "row * stride_x"),
        "strides exchanged": SCALE.but(
            "row * stride_x", "row * stride_y", "y_ptr + row * stride_y", "y_ptr + row * stride_x"
        ),
        "row length for the stride of y": SCALE.but("row * stride_y", "row * n_cols"),
        "column-major": SCALE.but("row * stride_x + cols", "row + cols * stride_x"),
        "size by heart": SCALE.but(
            "tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)", "tl.program_id(1) * 8 + tl.arange(0, 8)"
        ),
        "last column left out": SCALE.but("cols < n_cols", "cols < n_cols - 1"),
        "mask of the piece": SCALE.but("cols < n_cols", "tl.arange(0, BLOCK) < n_cols"),
        "every program writes the whole row": SCALE.but(
            "tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)", "tl.arange(0, 32)"
        ),
        "load not masked": SCALE.but("cols, mask=inside, other=0.0)", "cols)"),
        "other= left out and stored": SCALE.but(", other=0.0", "", "x * s, mask=inside)", "x * s)"),
        "into x": SCALE.but("tl.store(y_ptr + row * stride_y", "tl.store(x_ptr + row * stride_x"),
        "reads the output": SCALE.but(
            "x * s, mask", "x * s + 0 * tl.load(y_ptr + row * stride_y + cols, mask=inside, other=0.0), mask"
        ),
        "pieces overlap": SCALE.but("tl.program_id(1) * BLOCK +", "tl.program_id(1) * (BLOCK - 1) +"),
    },
    "row_softmax": {
        "exp only": SOFTMAX.but("weights / tl.sum(weights, axis=0)", "weights"),
        "divided by the length": SOFTMAX.but("tl.sum(weights, axis=0)", "n_cols"),
        "base two": SOFTMAX.but("tl.exp(", "tl.exp2("),
        "minimum subtracted": SOFTMAX.but("tl.max(x, axis=0)", "tl.min(x, axis=0)"),
        "mean subtracted": SOFTMAX.but("tl.max(x, axis=0)", "tl.sum(x, axis=0) / n_cols"),
        "absent as -100": SOFTMAX.but('-float("inf")', "-100.0"),
        "absent as +inf": SOFTMAX.but('-float("inf")', 'float("inf")'),
        "a small number below": SOFTMAX.but("tl.sum(weights, axis=0)", "(tl.sum(weights, axis=0) + 1e-4)"),
        "strides exchanged": SOFTMAX.but(
            "row * stride_x", "row * stride_y", "y_ptr + row * stride_y", "y_ptr + row * stride_x"
        ),
        "one column too many": SOFTMAX.but("cols < n_cols", "cols <= n_cols"),
        "last column left out": SOFTMAX.but("cols < n_cols", "cols < n_cols - 1"),
        "sign": SOFTMAX.but("x - tl.max(x, axis=0)", "tl.min(x, axis=0) - x"),
        "logarithm": SOFTMAX.but(
            "weights / tl.sum(weights, axis=0)", "tl.log(weights / tl.sum(weights, axis=0))"
        ),
        "row 0 for all": SOFTMAX.but("x_ptr + row * stride_x", "x_ptr"),
        "a bound of 1": SOFTMAX.but("x - tl.max(x, axis=0)", "x - 1.0"),
    },
    "matmul": {
        "b transposed": PRODUCT.but(
            "inner[:, None] * stride_b + cols[None, :]", "inner[:, None] + cols[None, :] * stride_b"
        ),
        "BM for BK": PRODUCT.but("inner = start + tl.arange(0, BK)", "inner = start + tl.arange(0, BM)"),
        "pieces that overlap": PRODUCT.but("range(0, k, BK)", "range(0, k, 16)"),
        "sizes by heart": PRODUCT.but(
            "* BM + tl.arange(0, BM)", "* 16 + tl.arange(0, 16)", "zeros((BM,", "zeros((16,"
        ),
        "first piece only": PRODUCT.but("range(0, k, BK)", "range(0, BK, BK)"),
        "k for n": PRODUCT.but(
            "(inner[:, None] < k) & (cols[None, :] < n)", "(inner[:, None] < k) & (cols[None, :] < k)"
        ),
        "rows not masked": PRODUCT.but("(rows[:, None] < m) & (inner[None, :] < k)", "inner[None, :] < k"),
        "end of k masked in a only": PRODUCT.but(
            "(inner[:, None] < k) & (cols[None, :] < n)", "cols[None, :] < n"
        ),
        "end of k masked in b only": PRODUCT.but(" & (inner[None, :] < k)", ""),
        "other= left out": PRODUCT.but("mask=a_mask, other=0.0", "mask=a_mask"),
        "ones for what is absent": PRODUCT.but(
            "mask=a_mask, other=0.0",
            "mask=a_mask, other=1.0",
            "mask=b_mask, other=0.0",
            "mask=b_mask, other=1.0",
        ),
        "stride of a for c": PRODUCT.but("rows[:, None] * stride_c", "rows[:, None] * stride_b"),
        "n for the stride of c": PRODUCT.but("rows[:, None] * stride_c", "rows[:, None] * n"),
        "inputs rounded to half": PRODUCT.but("tl.dot(a, b,", "tl.dot(a.to(tl.float16), b.to(tl.float16),"),
        "sum rounded in each piece": PRODUCT.but(
            "acc += tl.dot", "acc = acc.to(tl.float16).to(tl.float32) + tl.dot"
        ),
        "store masked by rows only": PRODUCT.but("acc, mask=c_mask)", "acc, mask=rows[:, None] < m)"),
        "twice": PRODUCT.but("+= tl.dot", "+= 2 * tl.dot"),
    },
}
