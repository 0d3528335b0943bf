"""Messages between the grader and the process in which answers run.

A message is two lengths, a small JSON header and an `.npz` archive with the arrays that the header names.
Nothing is ever unpickled. The grader trusts nothing that it reads: sizes, nesting, types, dtypes and strides
are checked, and what does not fit is a `Violation`. A tensor keeps its strides, bfloat16 crosses as 16-bit
integers, and a callable crosses as a number by which the other side may ask for a call. What can be read once
crosses as a callable that gives the next item, or None after the last. A `Then` crosses to an answer only.

Needs little but numpy and torch, so that the child loads this file without the package.
"""

from __future__ import annotations

import functools
import io
import json
import math
import socket
import struct
import time
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tsparse.grade.driving import Then
from tsparse.grade.values import Once

LARGEST_HEADER = 1 << 20
LARGEST_BODY = 1 << 28
LARGEST_REPLY = 1 << 26
"""What the grader reads from an answer is bounded closer than what it sends: it may read several at once."""
MOST_ARRAYS = 1024
DEEPEST = 16
MOST_AXES = 16
LONGEST_NAME = 100
LENGTHS = struct.Struct("!II")

DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("bool", "uint8", "int8", "int16", "int32", "int64"),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    )
}


class Violation(Exception):
    """What came through the pipe is not a message, or what should go is too large for one."""


class Closed(Exception):
    """The other side is gone."""


class Late(Exception):
    """The time for an answer is over."""


def send(
    pipe: socket.socket,
    header: dict[str, Any],
    value: Any = None,
    until: float | None = None,
    callables: list[Callable[..., Any]] | None = None,
) -> None:
    """Send a header and a value.

    Callables in the value are appended to `callables` and cross as their place in it; without it they cross
    as a bare type name. `until` is a time of `time.monotonic`.

    Raises:
        Violation: the value is larger than a message may be.
        Closed: the other side is gone.
        Late: the other side has not taken it in time.
    """
    arrays: list[np.ndarray] = []
    text = json.dumps(header | {"value": pack(value, arrays, callables)}).encode()
    if len(arrays) > MOST_ARRAYS:
        raise Violation(f"{len(arrays):,} arrays are more than a message may hold")
    archive = io.BytesIO()
    if arrays:
        np.savez(archive, *arrays)
    body = archive.getvalue()
    if len(text) > LARGEST_HEADER or len(body) > LARGEST_BODY:
        raise Violation(f"{len(text) + len(body):,} bytes are more than a message may hold")
    try:
        pipe.settimeout(_left(until))
        pipe.sendall(LENGTHS.pack(len(text), len(body)) + text + body)
    except TimeoutError:
        raise Late from None
    except OSError:
        raise Closed from None


def receive(
    pipe: socket.socket,
    until: float | None = None,
    call: Callable[[int], Any] | None = None,
    largest: int = LARGEST_BODY,
) -> tuple[dict[str, Any], Any]:
    """Wait for the next message, with `largest` bytes of arrays at most; return its header and its value.

    `call(number)` makes the stand-in for a callable of the other side; without it none may cross.

    Raises:
        Violation: it is not a message.
        Closed: the other side is gone.
        Late: nothing complete came in time.
    """
    header_size, body_size = LENGTHS.unpack(_exactly(pipe, LENGTHS.size, until))
    if header_size > LARGEST_HEADER or body_size > largest:
        raise Violation(f"{header_size + body_size:,} bytes were announced")
    text, body = _exactly(pipe, header_size, until), _exactly(pipe, body_size, until)
    try:
        header = json.loads(text)
        value = unpack(header.pop("value"), _arrays(body), call)
    except Violation:
        raise
    except Exception as error:  # whatever a forged message makes the readers raise
        raise Violation(f"it cannot be read ({type(error).__name__})") from None
    return header, value


def pack(
    value: Any,
    arrays: list[np.ndarray],
    callables: list[Callable[..., Any]] | None = None,
    depth: int = 0,
) -> Any:
    """Describe a value in JSON; its arrays are appended to `arrays`.

    What has no description crosses as the name of its type, so that a learner can be told what it was.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, torch.Tensor):
        return _pack_tensor(value, arrays)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        arrays.append(np.ascontiguousarray(np.asarray(value)).reshape(-1))
        return {"array": len(arrays) - 1, "shape": list(value.shape)}
    if depth < DEEPEST and isinstance(value, (tuple, list)):
        items = [pack(item, arrays, callables, depth + 1) for item in value]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if depth < DEEPEST and isinstance(value, dict) and all(isinstance(key, (str, int)) for key in value):
        return {"dict": [[key, pack(item, arrays, callables, depth + 1)] for key, item in value.items()]}
    if isinstance(value, set) and all(isinstance(item, str) for item in value):
        return {"set": sorted(value)}
    if callables is not None and isinstance(value, Once):
        callables.append(functools.partial(next, value.make(), None))
        return {"once": len(callables) - 1}
    if callables is not None and isinstance(value, Then):
        return {"then": value.how, "args": pack(value.args, arrays, None, depth + 1)}
    if callables is not None and callable(value):
        callables.append(value)
        return {"callable": len(callables) - 1}
    return {"foreign": type(value).__name__[:LONGEST_NAME]}


def unpack(
    node: Any, arrays: list[np.ndarray], call: Callable[[int], Any] | None = None, depth: int = 0
) -> Any:
    """Rebuild the value that `pack` described."""
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if depth > DEEPEST:
        raise Violation("it is nested too deeply")
    match node:
        case {"tensor": index, "dtype": name, "shape": shape, "stride": stride}:
            return _unpack_tensor(arrays[index], name, shape, stride)
        case {"array": index, "shape": shape}:
            return arrays[index].reshape(shape)
        case {"tuple": items}:
            return tuple(unpack(item, arrays, call, depth + 1) for item in items)
        case {"list": items}:
            return [unpack(item, arrays, call, depth + 1) for item in items]
        case {"dict": items}:
            return {key: unpack(item, arrays, call, depth + 1) for key, item in items}
        case {"set": [*words]} if all(isinstance(word, str) for word in words):
            return set(words)
        case {"callable": int(number)} if call is not None:
            return call(number)
        case {"once": int(number)} if call is not None:
            return Once(functools.partial(iter, call(number), None))
        case {"then": "broadcast" | "vmap" as how, "args": args} if call is not None:
            return Then(unpack(args, arrays, None, depth + 1), how)
        case {"foreign": str(name)} if name.isidentifier() and len(name) <= LONGEST_NAME:
            return type(name, (), {})()
    raise Violation("it holds something that may not cross")


def _pack_tensor(value: torch.Tensor, arrays: list[np.ndarray]) -> dict[str, Any]:
    plain = torch.Tensor.as_subclass(value.detach(), torch.Tensor)
    name = str(plain.dtype).removeprefix("torch.")
    if plain.layout != torch.strided or name not in DTYPES:
        return {"foreign": "Tensor"}
    plain = plain.cpu().resolve_conj().resolve_neg()
    flat = plain.as_strided((_span(plain.shape, plain.stride()),), (1,))
    arrays.append((flat.view(torch.int16) if plain.dtype == torch.bfloat16 else flat).numpy())
    return {
        "tensor": len(arrays) - 1,
        "dtype": name,
        "shape": list(plain.shape),
        "stride": list(plain.stride()),
    }


def _unpack_tensor(flat: np.ndarray, name: str, shape: list[int], stride: list[int]) -> torch.Tensor:
    dtype = DTYPES[name]
    fits = (
        len(shape) == len(stride) <= MOST_AXES
        and all(type(n) is int and n >= 0 for n in (*shape, *stride))
        and flat.dtype == np.dtype("int16" if name == "bfloat16" else name)
        and flat.shape == (_span(shape, stride),)
        and math.prod(max(size, 1) for size in shape) * dtype.itemsize <= LARGEST_BODY
    )
    if not fits:
        raise Violation("a tensor's shape, strides and dtype do not fit its bytes")
    if name == "bool":
        flat = flat.view(np.uint8) != 0  # a forged byte may be neither 0 nor 1
    return torch.from_numpy(flat).view(dtype).as_strided(shape, stride)


def _span(shape: Any, stride: Any) -> int:
    """Number of elements from the first to the last of a tensor, with what lies between them."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))


def _arrays(body: bytes) -> list[np.ndarray]:
    if not body:
        return []
    if body.count(b"PK\x01\x02") > MOST_ARRAYS:  # counted before anything is made of them
        raise Violation(f"it holds more than {MOST_ARRAYS:,} arrays")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > len(body):
            raise Violation("its archive unpacks to more than was sent")
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        return [archive[f"arr_{index}"] for index in range(len(entries))]


def _exactly(pipe: socket.socket, size: int, until: float | None) -> bytes:
    data = bytearray()
    try:
        while len(data) < size:
            pipe.settimeout(_left(until))
            piece = pipe.recv(min(size - len(data), 1 << 20))
            if not piece:
                raise Closed
            data += piece
    except TimeoutError:
        raise Late from None
    except OSError:
        raise Closed from None
    return bytes(data)


def _left(until: float | None) -> float | None:
    """Seconds that are left for a socket to wait; 0 would mean not to wait at all."""
    if until is None:
        return None
    left = until - time.monotonic()
    if left <= 0:
        raise Late
    return left
