"""Answers to the exercises of lesson 14 that are on no list: right ones in other styles, and wrong ones."""

from tsparse.grade.exercises.flash import causal, forward, update
from tsparse.grade.exercises.flash.forward import IN_POWERS_OF_2
from tsparse.grade.launches import KernelText

UPDATE, FORWARD, CAUSAL = update.TEXT, forward.TEXT, causal.TEXT
LOOP = "for j in range(0, tl.cdiv(n_kv, BLOCK_N)):\n        columns = j * BLOCK_N + tl.arange(0, BLOCK_N)"
CAUSAL_LOOP = "for j in range(0, tl.cdiv(tl.minimum(n_kv, (i + 1) * BLOCK_M), BLOCK_N)):"
STEP = """\
        m_new = tl.maximum(m_i, tl.max(s, 1))
        p = tl.exp(s - m_new[:, None])
        alpha = tl.exp(m_i - m_new)
        l_i = l_i * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None]
        acc += tl.dot(p.to(v_j.dtype), v_j, input_precision="ieee")
        m_i = m_new
"""
ADDED = 'acc += tl.dot(p.to(v_j.dtype), v_j, input_precision="ieee")'
BODY = CAUSAL.source[CAUSAL.source.index("        columns = j") : CAUSAL.source.index("    # store")]


def with_helper(text: KernelText) -> KernelText:
    """The kernel with its step in a function of the same cell, which returns the state in another order."""
    helper = """@triton.jit
def online(state_acc, state_l, state_m, s, v):
    top = tl.maximum(tl.max(s, axis=-1), state_m)
    shrink = tl.math.exp(state_m - top)
    weights = tl.math.exp(s - tl.expand_dims(top, 1))
    both = tl.dot(weights.to(v.dtype), v, acc=state_acc * shrink[:, None], input_precision="ieee")
    return both, tl.fma(state_l, shrink, tl.sum(weights, axis=-1)), top


@triton.jit
def """
    call = "        acc, l_i, m_i = online(acc, l_i, m_i, s, v_j)\n"
    return KernelText(text.name, text.but(STEP, call).source.replace("@triton.jit\ndef ", helper, 1))


def renamed(text: KernelText, name: str) -> KernelText:
    """The kernel under the name of another."""
    return KernelText(name, text.source.replace(f"def {text.name}", f"def {name}"))


MOVING_POINTERS = KernelText(
    "flash_forward",
    """\
import triton
import triton.language as tl


@triton.jit
def flash_forward(
    q_ptr, k_ptr, v_ptr, o_ptr, lse_ptr, n_q, n_kv, stride_qz, stride_qn, stride_kz, stride_kn, stride_oz,
    stride_on, sm_scale, HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):
    first = tl.program_id(axis=0) * BLOCK_M
    head = tl.program_id(axis=1)
    dims = tl.arange(0, HEAD_DIM)
    queries = first + tl.arange(0, BLOCK_M)
    there = queries < n_q
    q_ptrs = q_ptr + head * stride_qz + (queries[:, None] * stride_qn + dims[None, :])
    q = tl.load(q_ptrs, mask=there[:, None], other=0.0) * sm_scale
    k_ptrs = k_ptr + head * stride_kz + tl.arange(0, BLOCK_N)[None, :] * stride_kn + dims[:, None]
    v_ptrs = v_ptr + head * stride_kz + tl.arange(0, BLOCK_N)[:, None] * stride_kn + dims[None, :]
    out = tl.zeros((BLOCK_M, HEAD_DIM), dtype=tl.float32)
    lse = tl.zeros((BLOCK_M,), dtype=tl.float32) - float("inf")
    start = 0
    while start < n_kv:
        left = n_kv - start
        k = tl.load(k_ptrs, mask=tl.arange(0, BLOCK_N)[None, :] < left, other=0)
        v = tl.load(v_ptrs, mask=tl.arange(0, BLOCK_N)[:, None] < left, other=0)
        s = tl.dot(q.to(tl.float32), k.to(tl.float32), input_precision="ieee")
        s += tl.where(tl.arange(0, BLOCK_N) < left, 0, -float("inf"))[None, :]
        top = tl.max(s, axis=1)
        both = tl.maximum(lse, top)
        lse_new = both + tl.log(tl.exp(lse - both) + tl.sum(tl.exp(s - both[:, None]), axis=1))
        out *= tl.exp(lse - lse_new)[:, None]
        out += tl.dot(tl.exp(s - lse_new[:, None]), v.to(tl.float32), input_precision="ieee")
        lse = lse_new
        k_ptrs += BLOCK_N * stride_kn
        v_ptrs += BLOCK_N * stride_kn
        start += BLOCK_N
    o_ptrs = o_ptr + head * stride_oz + queries[:, None] * stride_on + dims[None, :]
    tl.store(o_ptrs, out.to(o_ptr.dtype.element_ty), mask=there[:, None])
    tl.store(lse_ptr + head * n_q + queries, lse, mask=there)
""",
)

RIGHT: dict[str, dict[str, KernelText]] = {
    "update": {
        "powers of 2": UPDATE.but(
            *("tl.exp(s - m_new[:, None])", "tl.exp2((s - m_new[:, None]) * 1.4426950408889634)"),
            *("tl.exp(m_i - m_new)", "tl.exp2((m_i - m_new) * 1.4426950408889634)"),
        ),
        "the product adds": UPDATE.but(
            "    acc = acc * alpha[:, None]\n    acc += tl.dot(p.to(v.dtype), v, input_precision",
            "    acc = tl.dot(p, v, acc * alpha[:, None], input_precision",
        ),
        "columns kept": UPDATE.but(
            *("tl.maximum(m_i, tl.max(s, 1))", "tl.max(tl.maximum(s, m_i[:, None]), axis=1)"),
            *("l_i * alpha + tl.sum(p, 1)", "tl.sum(p, axis=-1) + alpha * l_i"),
        ),
    },
    "forward": {
        "powers of 2": IN_POWERS_OF_2.but(
            LOOP, LOOP.replace("range(0, tl.cdiv(n_kv, BLOCK_N))", "range((n_kv + BLOCK_N - 1) // BLOCK_N)")
        ),
        "step in a function": with_helper(FORWARD),
        "moving pointers, and lse in place of m and l": MOVING_POINTERS,
        "divided at every step": FORWARD.but(
            *("acc = acc * alpha[:, None]", "acc = acc * ((l_i - tl.sum(p, 1)) / l_i)[:, None]"),
            *("tl.dot(p.to(v_j.dtype), v_j", "tl.dot((p / l_i[:, None]).to(v_j.dtype), v_j"),
            *("(acc / l_i[:, None])", "acc"),
        ),
        "a bound in place of the maximum": FORWARD.but(
            "tl.maximum(m_i, tl.max(s, 1))", "tl.maximum(m_i, tl.max(s, 1) + 1.0)"
        ),
        "keys from the last to the first": FORWARD.but(
            "columns = j * BLOCK_N", "columns = (tl.cdiv(n_kv, BLOCK_N) - 1 - j) * BLOCK_N"
        ),
        "hidden by a large number": FORWARD.but(
            'columns[None, :] < n_kv, s, float("-inf")', "columns[None, :] < n_kv, s, -1e30"
        ),
    },
    "causal": {
        "bound not cut at n_kv": CAUSAL.but("tl.minimum(n_kv, (i + 1) * BLOCK_M)", "(i + 1) * BLOCK_M"),
        "cut at n_q, past which no query sees": CAUSAL.but("tl.minimum(n_kv,", "tl.minimum(n_q,"),
        "skipped by a branch": CAUSAL.but(
            CAUSAL_LOOP + "\n" + BODY,
            "for j in range(0, tl.cdiv(n_kv, BLOCK_N)):\n        if j * BLOCK_N < (i + 1) * BLOCK_M:\n"
            + "".join(f"    {line}\n" for line in BODY.splitlines()),
        ),
        "tiles before the diagonal without a mask": CAUSAL.but(
            CAUSAL_LOOP + "\n" + BODY,
            "whole = tl.minimum(i * BLOCK_M, n_kv) // BLOCK_N\n    for j in range(0, whole):\n"
            + BODY.replace("seen, s,", "columns[None, :] < n_kv, s,")
            + "    "
            + CAUSAL_LOOP.replace("range(0,", "range(whole,")
            + "\n"
            + BODY,
        ),
        "step in a function": with_helper(CAUSAL),
        "steps of BLOCK_N": CAUSAL.but(
            CAUSAL_LOOP + "\n        columns = j * BLOCK_N",
            "for start in range(0, min(n_kv, i * BLOCK_M + BLOCK_M), BLOCK_N):\n        columns = start",
        ),
        "two masks": CAUSAL.but(
            *("        seen = (columns[None, :] <= rows[:, None]) & (columns[None, :] < n_kv)\n", ""),
            *(
                's = tl.where(seen, s, float("-inf"))',
                's = tl.where(columns[None, :] > rows[:, None], float("-inf"), s)\n'
                '        s += tl.where(columns < n_kv, 0.0, float("-inf"))[None, :]',
            ),
        ),
    },
}

WRONG: dict[str, dict[str, KernelText]] = {
    "update": {
        "weights from the old maximum": UPDATE.but("s - m_new[:, None]", "s - m_i[:, None]"),
        "alpha from the tile's maximum": UPDATE.but("tl.exp(m_i - m_new)", "tl.exp(m_i - tl.max(s, 1))"),
        "acc rescaled after adding": UPDATE.but(
            '    acc = acc * alpha[:, None]\n    acc += tl.dot(p.to(v.dtype), v, input_precision="ieee")',
            '    acc += tl.dot(p.to(v.dtype), v, input_precision="ieee")\n    acc = acc * alpha[:, None]',
        ),
        "acc rescaled twice": UPDATE.but("acc * alpha[:, None]", "acc * alpha[:, None] * alpha[:, None]"),
        "l rescaled after adding": UPDATE.but("l_i * alpha + tl.sum(p, 1)", "(l_i + tl.sum(p, 1)) * alpha"),
        "mean of the tile": UPDATE.but("tl.sum(p, 1)", "tl.sum(p, 1) / 32"),
        "exp2": UPDATE.but(*("tl.exp(s", "tl.exp2(s"), *("tl.exp(m_i", "tl.exp2(m_i")),
        "order of the three": UPDATE.but("return m_new, l_i, acc", "return l_i, m_new, acc"),
        "smallest score": UPDATE.but("tl.maximum(m_i, tl.max(s, 1))", "tl.minimum(m_i, tl.min(s, 1))"),
        "scores for weights": UPDATE.but("tl.dot(p.to(v.dtype)", "tl.dot(s.to(v.dtype)"),
        "acc replaced": UPDATE.but("acc * alpha[:, None]", "acc * 0.0"),
    },
    "forward": {
        "starts at -50,000": FORWARD.but('float("-inf"), dtype=sums', "-50000.0, dtype=sums"),
        "maximum of the first tile only": FORWARD.but("m_i = m_new", "m_i = tl.where(j == 0, m_new, m_i)"),
        "l not rescaled": FORWARD.but("l_i * alpha + ", "l_i + "),
        "alpha from the tile's maximum": FORWARD.but("tl.exp(m_i - m_new)", "tl.exp(m_i - tl.max(s, 1))"),
        "softmax of each tile": FORWARD.but(
            *("        acc = acc * alpha[:, None]\n", ""),
            *("p.to(v_j.dtype), v_j", "(p / tl.sum(p, 1)[:, None]).to(v_j.dtype), v_j"),
            *("(acc / l_i[:, None])", "(acc / tl.cdiv(n_kv, BLOCK_N))"),
        ),
        "keys loaded without a mask": FORWARD.but(
            "tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)", "tl.load(k_ptr + at)"
        ),
        "queries loaded without a mask": FORWARD.but(", mask=rows[:, None] < n_q, other=0.0)", ")"),
        "output stored without a mask": FORWARD.but("element_ty), mask=rows[:, None] < n_q)", "element_ty))"),
        "lse stored without a mask": FORWARD.but("tl.log(l_i), mask=rows < n_q)", "tl.log(l_i))"),
        "absent keys not masked": FORWARD.but(
            '        s = tl.where(columns[None, :] < n_kv, s, float("-inf"))\n', ""
        ),
        "one absent key seen": FORWARD.but(
            "tl.where(columns[None, :] < n_kv", "tl.where(columns[None, :] <= n_kv"
        ),
        "stride of q for k": FORWARD.but("columns[:, None] * stride_kn", "columns[:, None] * stride_qn"),
        "stride of q for the output": FORWARD.but("rows[:, None] * stride_on", "rows[:, None] * stride_qn"),
        "heads of q one after another": FORWARD.but("z * stride_qz", "z * n_q * stride_qn"),
        "head of the output forgotten": FORWARD.but("at = z * stride_oz + rows", "at = rows"),
        "transposed strides": FORWARD.but(
            "z * stride_kz + columns[:, None] * stride_kn", "z * stride_kn + columns[:, None] * stride_kz"
        ),
        "keys not transposed": FORWARD.but("tl.trans(k_j)", "k_j"),
        "grid axes swapped": FORWARD.but(
            "tl.program_id(0), tl.program_id(1)", "tl.program_id(1), tl.program_id(0)"
        ),
        "lse without the maximum": FORWARD.but("m_i + tl.log(l_i)", "tl.log(l_i)"),
        "lse is the maximum": FORWARD.but("m_i + tl.log(l_i)", "m_i"),
        "lse by the number of keys": FORWARD.but("lse_ptr + z * n_q", "lse_ptr + z * n_kv"),
        "rows of the other block size": FORWARD.but("rows = i * BLOCK_M", "rows = i * BLOCK_N"),
        "causal": renamed(CAUSAL, "flash_forward"),
        "one tile of keys": FORWARD.but("tl.cdiv(n_kv, BLOCK_N)", "1"),
        "one tile too many": FORWARD.but("tl.cdiv(n_kv, BLOCK_N)", "tl.cdiv(n_kv, BLOCK_N) + 1"),
        "every tile twice": FORWARD.but("tl.cdiv(n_kv, BLOCK_N)", "2 * tl.cdiv(n_kv, BLOCK_N)").but(
            "columns = j * BLOCK_N", "columns = j // 2 * BLOCK_N"
        ),
        "everything in float16": FORWARD.but("sums = lse_ptr.dtype.element_ty", "sums = tl.float16").but(
            "m_i = m_new", "m_i, l_i, acc = m_new.to(sums), l_i.to(sums), acc.to(sums)"
        ),
        "no maximum": FORWARD.but("tl.maximum(m_i, tl.max(s, 1))", "tl.zeros([BLOCK_M], dtype=sums)"),
        "scale squared": FORWARD.but("* sm_scale", "* sm_scale * sm_scale"),
    },
    "causal": {
        "bound rounded down": CAUSAL.but(
            "tl.cdiv(tl.minimum(n_kv, (i + 1) * BLOCK_M), BLOCK_N)",
            "tl.minimum(tl.cdiv(n_kv, BLOCK_N), (i + 1) * BLOCK_M // BLOCK_N)",
        ),
        "bound at the first query": CAUSAL.but("(i + 1) * BLOCK_M", "i * BLOCK_M + 1"),
        "as many tiles as blocks": CAUSAL.but(
            "tl.cdiv(tl.minimum(n_kv, (i + 1) * BLOCK_M), BLOCK_N)",
            "tl.minimum(i + 1, tl.cdiv(n_kv, BLOCK_N))",
        ),
        "one key too many": CAUSAL.but("<= rows[:, None]", "<= rows[:, None] + 1"),
        "one tile too many, masked": CAUSAL.but(CAUSAL_LOOP, CAUSAL_LOOP[:-2] + " + 1):"),
        "every tile, NaN wiped away": CAUSAL.but(
            *("tl.minimum(n_kv, (i + 1) * BLOCK_M)", "n_kv"),
            *("# score", "v_j = tl.where(v_j == v_j, v_j, 0.0)\n        # score"),
        ),
        "every tile, values of the future not added": CAUSAL.but(
            *("tl.minimum(n_kv, (i + 1) * BLOCK_M)", "n_kv"),
            *("# score", "v_j = tl.where(columns[:, None] < (i + 1) * BLOCK_M, v_j, 0.0)\n        # score"),
        ),
        "whole tiles are seen": CAUSAL.but(
            "columns[None, :] <= rows[:, None]", "columns[None, :] // BLOCK_N <= rows[:, None] // BLOCK_N"
        ),
        "hidden keys score 0": CAUSAL.but('seen, s, float("-inf")', "seen, s, 0.0"),
        "hidden after the sum": CAUSAL.but(
            *(
                's = tl.where(seen, s, float("-inf"))',
                's = tl.where(columns[None, :] < n_kv, s, float("-inf"))',
            ),
            *("# update", "hide = seen"),
            *(ADDED, ADDED.replace("p.to", "tl.where(hide, p, 0.0).to")),
        ),
        "not causal": renamed(FORWARD, "flash_causal"),
        "acc not rescaled": CAUSAL.but("        acc = acc * alpha[:, None]\n", ""),
        "head for block": CAUSAL.but("(i + 1) * BLOCK_M", "(z + 1) * BLOCK_M"),
        "first tile left out": CAUSAL.but("range(0, tl.cdiv(tl", "range(tl.minimum(i, 1), tl.cdiv(tl"),
    },
}
