"""Answers to the kernels of lesson 15 that are on no list: right ones in other styles, and wrong ones."""

from tsparse.grade.exercises.kernel import forward, partial
from tsparse.grade.launches import KernelText

FORWARD, PARTIAL = forward.TEXT, partial.TEXT
LOOP = "for place in range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)):"
LOOP_OF_LISTS = "for place in range(tl.load(list_ptr + i), tl.load(list_ptr + i + 1)):"
BLOCK = "j = tl.load(col_ptr + place)"
WHICH = "(crow_ptr, col_ptr) if PARTIAL else (full_crow_ptr, full_col_ptr)"
SCORE = 's = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale'
KEPT = "        m_i = m_new\n"
ADDED = 'acc += tl.dot(p.to(v_j.dtype), v_j, input_precision="ieee")'
SAFE = "    l_i = tl.where(l_i == 0.0, 1.0, l_i)\n"
SEEN = "(gap >= 0) & (gap < WINDOW) & (columns[None, :] < n_kv)"
REACH = 'reach = tl.where(m_new == float("-inf"), 0.0, m_new)'
CAUSAL = 's = tl.where(columns[None, :] <= rows[:, None], s, float("-inf"))'
LSE = "m_i + tl.log(l_i), mask=rows < n_q"
HEADS = "at = z * stride_kz + columns[:, None] * stride_kn + d"

BY_LSE = FORWARD.but(
    LOOP,
    "place = tl.load(crow_ptr + i)\n    while place < tl.load(crow_ptr + i + 1):",
    FORWARD.source[FORWARD.source.index("        m_new = tl.max") : FORWARD.source.index("    # store")],
    "        new = tl.maximum(m_i, tl.max(s, 1))\n"
    "        new += tl.log(tl.exp(m_i - new) + tl.sum(tl.exp(s - new[:, None]), 1))\n"
    "        acc *= tl.exp(m_i - new)[:, None]\n"
    "        acc += tl.dot(tl.exp(s - new[:, None]).to(v_j.dtype), v_j, input_precision='ieee')\n"
    "        m_i = new\n"
    "        place += 1\n",
    SAFE,
    "",
    "acc / l_i[:, None]",
    "acc",
    LSE,
    "m_i, mask=rows < n_q",
)
"""The output is kept divided, and m_i is the lse of the blocks so far."""

COUNTED = FORWARD.but(
    LOOP,
    "first = tl.load(crow_ptr + i)\n    for turn in tl.range(tl.load(crow_ptr + i + 1) - first):",
    BLOCK,
    "j = tl.load(col_ptr + first + turn)",
    "tl.load(k_ptr + at)",
    "tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)",
    SAFE,
    "",
    "acc / l_i[:, None]",
    "acc / tl.maximum(l_i, 1e-30)[:, None]",
)
"""Entries are counted from the list's beginning, loads are masked where they need not be."""

PARTIAL_FIRST = PARTIAL.but(
    WHICH, WHICH.replace("if PARTIAL", "if not PARTIAL"), "if PARTIAL:", "if not PARTIAL:"
)

ZEROED = PARTIAL.but(
    'm_i = tl.full([BLOCK_M], float("-inf"), dtype=sums)',
    "m_i = tl.full([BLOCK_M], -1e30, dtype=sums)",
    's = tl.where(seen, s, float("-inf"))',
    's = tl.where(seen, s, float("-inf"))',
    REACH,
    "reach = m_new",
    LSE,
    'tl.where(m_i > -1e30, m_i + tl.log(l_i), float("-inf")), mask=rows < n_q',
)
"""A finite number in place of -inf, below which no score can be; hidden scores stay -inf."""

WITH_HELPER = KernelText(
    "kernel_partial",
    PARTIAL.but(
        PARTIAL.source[PARTIAL.source.index("            # update") : PARTIAL.source.index("    # store")],
        "            m_i, l_i, acc = step(m_i, l_i, acc, s, v_j)\n",
    ).source.replace(
        "@triton.jit\n",
        "@triton.jit\n"
        "def step(m_i, l_i, acc, s, v):\n"
        "    top = tl.maximum(m_i, tl.max(s, axis=1))\n"
        "    empty = top == -float('inf')\n"
        "    shrink = tl.where(empty, 1.0, tl.exp(m_i - tl.where(empty, 0.0, top)))\n"
        "    p = tl.where(empty[:, None], 0.0, tl.exp(s - tl.where(empty, 0.0, top)[:, None]))\n"
        "    acc = acc * shrink[:, None] + tl.dot(p.to(v.dtype), v, input_precision='ieee')\n"
        "    return top, l_i * shrink + tl.sum(p, axis=1), acc\n\n\n"
        "@triton.jit\n",
        1,
    ),
)

RIGHT = {
    "forward": {"lse carried along": BY_LSE, "counted from the beginning": COUNTED},
    "partial": {"partial blocks first": PARTIAL_FIRST, "finite start": ZEROED, "a helper": WITH_HELPER},
}

EVERY_TILE = (
    LOOP_OF_LISTS,
    "for j in range(0, tl.cdiv(n_kv, BLOCK_N)):",
    "            j = tl.load(columns_ptr + place)\n",
    "",
)

WRONG = {
    "forward": {
        "l not rescaled": FORWARD.but("l_i * alpha + ", "l_i + "),
        "maximum never kept": FORWARD.but(KEPT, ""),
        "tile's own maximum": FORWARD.but("tl.maximum(m_i, tl.max(s, 1))", "tl.max(s, 1)"),
        "heads of head 0": FORWARD.but("at = z * stride_kz + columns", "at = columns"),
        "strides exchanged": FORWARD.but(HEADS, "at = z * stride_kn + columns[:, None] * stride_kz + d"),
        "list of the next row": FORWARD.but(
            LOOP, LOOP.replace("+ i)", "+ i + 1)").replace("i + 1))", "i + 2))")
        ),
        "first block left out": FORWARD.but(LOOP, LOOP.replace("+ i),", "+ i) + 1,")),
        "first block only": FORWARD.but(
            LOOP,
            LOOP.replace(
                "tl.load(crow_ptr + i + 1)",
                "tl.minimum(tl.load(crow_ptr + i) + 1, tl.load(crow_ptr + i + 1))",
            ),
        ),
        "col read by row": FORWARD.but(BLOCK, "j = tl.load(col_ptr + i)"),
        "block after the listed one": FORWARD.but(BLOCK, "j = tl.load(col_ptr + place) + 1"),
        "lse of empty rows 0": FORWARD.but(
            LSE, 'tl.where(m_i == float("-inf"), 0.0, m_i) + tl.log(l_i), mask=rows < n_q'
        ),
        "not divided": FORWARD.but("acc / l_i[:, None]", "acc"),
        "scale forgotten": FORWARD.but(SCORE, SCORE.replace(" * sm_scale", "")),
        "stores not masked": FORWARD.but(".element_ty), mask=rows[:, None] < n_q)", ".element_ty))"),
        "v from k": FORWARD.but("tl.load(v_ptr + at)", "tl.load(k_ptr + at)"),
        "scores twice": FORWARD.but(SCORE, SCORE + "\n        s = 0.5 * (s + " + SCORE[4:] + ")"),
        "every row takes the list of row 0": FORWARD.but(
            LOOP, "for place in range(0, tl.load(crow_ptr + 1)):"
        ),
        "one tile more, not added": FORWARD.but(
            LOOP,
            "end = tl.load(crow_ptr + i + 1)\n    for place in range(tl.load(crow_ptr + i), end + 1):",
            BLOCK,
            "j = tl.load(col_ptr + tl.minimum(place, end - 1), mask=place < end, other=0)",
            "tl.maximum(m_i, tl.max(s, 1))",
            "tl.where(place < end, tl.maximum(m_i, tl.max(s, 1)), m_i)",
            "p = tl.exp(s - m_new[:, None])",
            "p = tl.where(place < end, tl.exp(s - m_new[:, None]), 0.0)",
            "alpha = tl.exp(m_i - m_new)",
            "alpha = tl.where(place < end, tl.exp(m_i - m_new), 1.0)",
        ),
        "causal as well": FORWARD.but(
            "# mask: a full block needs none",
            's = tl.where(columns[None, :] <= rows[:, None], s, float("-inf"))',
        ),
    },
    "partial": {
        "a key less": PARTIAL.but("gap < WINDOW", "gap < WINDOW - 1"),
        "own key hidden": PARTIAL.but("gap >= 0", "gap > 0"),
        "hidden scores 0": PARTIAL.but('tl.where(seen, s, float("-inf"))', "tl.where(seen, s, 0.0)"),
        "maximum never kept": PARTIAL.but("            m_i = m_new\n", ""),
        "alpha not guarded": PARTIAL.but("tl.exp(m_i - reach)", "tl.exp(m_i - m_new)"),
        "p not guarded": PARTIAL.but("tl.exp(s - reach[:, None])", "tl.exp(s - m_new[:, None])"),
        "acc not rescaled": PARTIAL.but("            acc = acc * alpha[:, None]\n", ""),
        "columns of the other list": PARTIAL.but(
            WHICH, WHICH.replace("(crow_ptr, col_ptr)", "(crow_ptr, full_col_ptr)")
        ),
        "lists exchanged": PARTIAL.but(WHICH, WHICH.replace("if PARTIAL", "if not PARTIAL")),
        "both sides": PARTIAL.but("(gap >= 0) & (gap < WINDOW)", "(gap > -WINDOW) & (gap < WINDOW)"),
        "aligned at the end": PARTIAL.but(
            "gap = rows[:, None] - columns[None, :]", "gap = rows[:, None] - columns[None, :] + n_kv - n_q"
        ),
        "keys past the end read": PARTIAL.but(
            "k_j = tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)", "k_j = tl.load(k_ptr + at)"
        ),
        "v without other=": PARTIAL.but(
            "v_j = tl.load(v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)",
            "v_j = tl.load(v_ptr + at, mask=columns[:, None] < n_kv)",
        ),
        "last entry of each list left out": PARTIAL.but("list_ptr + i + 1))", "list_ptr + i + 1) - 1)"),
        "every tile, by the rule": PARTIAL.but(*EVERY_TILE, "tl.static_range(2)", "tl.static_range(1, 2)"),
        "lse of empty rows 0": PARTIAL.but(
            LSE, 'tl.where(m_i == float("-inf"), 0.0, m_i) + tl.log(l_i), mask=rows < n_q'
        ),
        "stores not masked": PARTIAL.but(".element_ty), mask=rows[:, None] < n_q)", ".element_ty))"),
        "full blocks causal": PARTIAL.but(
            "            # mask\n", f"            # mask\n            {CAUSAL}\n"
        ),
    },
}
