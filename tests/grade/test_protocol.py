"""Values cross the pipe unchanged, and what is no message is refused before it can do harm."""

import io
import json
import math
import socket
import struct
import time
import zipfile

import numpy as np
import pytest
import torch

from tsparse.grade import protocol
from tsparse.grade.protocol import Closed, Late, Violation, receive, send
from tsparse.grade.values import Once, copy


@pytest.fixture
def pipe():
    """Both ends of a pipe."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def crossed(pipe, value):
    """The value as the other side gets it."""
    send(pipe[0], {"name": "test"}, value)
    header, value = receive(pipe[1], time.monotonic() + 5)
    assert header == {"name": "test"}
    return value


def forged(pipe, header, body=b""):
    """Send bytes as they are, with the lengths that belong to them."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    pipe[0].sendall(struct.pack("!II", len(text), len(body)) + text + body)


def archive(*arrays):
    """The bytes of an archive that numpy wrote."""
    file = io.BytesIO()
    np.savez(file, *arrays)
    return file.getvalue()


def zipped(entry, how=zipfile.ZIP_STORED):
    """The bytes of an archive with one entry that somebody else wrote."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as made:
        made.writestr("arr_0.npy", entry)
    return file.getvalue()


PLAIN = [
    *(None, True, False, 0, -7, 2**80, 0.1, math.inf, "", "ü\n"),
    *((), (1, (2.0, None)), [1, [2]], {"a": (1,), "b": [True]}),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_keep_value_and_type(pipe, value):
    got = crossed(pipe, value)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("dtype", protocol.DTYPES.values(), ids=str)
def test_tensors_keep_dtype_and_every_bit(pipe, dtype):
    value = torch.tensor([[0.0, 1.5, 3.0], [7.0, 100.0, 0.0]]).to(dtype)
    got = crossed(pipe, value)
    assert got.dtype == dtype
    assert torch.equal(got, value)


@pytest.mark.parametrize(
    "value",
    [
        torch.arange(12).view(3, 4).mT,
        torch.arange(12).view(3, 4)[::2, 1::2],
        torch.arange(3)[:, None].expand(3, 5),
        torch.arange(24).view(2, 3, 4).movedim(0, 2)[1:],
        torch.empty(0, 3),
        torch.tensor(5),
    ],
    ids=["transposed", "every second", "expanded", "moved", "empty", "no axis"],
)
def test_tensors_keep_their_strides(pipe, value):
    got = crossed(pipe, value)
    assert got.stride() == value.stride()
    assert torch.equal(got, value)


def test_nan_and_infinity_cross(pipe):
    got = crossed(pipe, (float("nan"), torch.tensor([math.nan, -math.inf])))
    assert math.isnan(got[0])
    assert got[1][0].isnan()
    assert got[1][1] == -math.inf


def test_numpy_array_stays_one_so_that_the_learner_is_told(pipe):
    got = crossed(pipe, np.arange(6).reshape(2, 3))
    assert type(got) is np.ndarray
    assert got.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_cannot_cross_arrives_as_the_name_of_its_type(pipe):
    assert type(crossed(pipe, {1, 2})).__name__ == "set"
    assert type(crossed(pipe, lambda: 1)).__name__ == "function"


def test_tensor_subclass_arrives_as_a_plain_tensor(pipe):
    class Liar(torch.Tensor):
        pass

    got = crossed(pipe, torch.arange(3).as_subclass(Liar))
    assert type(got) is torch.Tensor
    assert got.tolist() == [0, 1, 2]


def test_callables_cross_as_their_number(pipe):
    given = []
    send(pipe[0], {}, (len, 3, max), callables=given)
    assert receive(pipe[1], call=lambda number: f"number {number}")[1] == ("number 0", 3, "number 1")
    assert given == [len, max]


def test_what_can_be_read_once_is_asked_for_item_by_item(pipe):
    given = []
    send(pipe[0], {}, Once(lambda: iter([torch.ones(2), torch.zeros(0)])), callables=given)
    arrived = receive(pipe[1], call=lambda number: given[number])[1]
    assert [item.tolist() for item in copy(arrived)] == [[1, 1], []]
    assert list(copy(arrived)) == []


def test_iterator_from_the_child_is_refused(pipe):
    send(pipe[0], {}, Once(lambda: iter([])), callables=[])
    with pytest.raises(Violation):
        receive(pipe[1])


def test_callable_from_the_child_is_refused(pipe):
    send(pipe[0], {}, len, callables=[])
    with pytest.raises(Violation):
        receive(pipe[1])


NODES = {
    "unknown kind": {"module": "os"},
    "array that is not there": {"tensor": 3, "dtype": "float32", "shape": [2], "stride": [1]},
    "more elements than bytes": {"tensor": 0, "dtype": "float32", "shape": [1000], "stride": [1]},
    "expanded without end": {"tensor": 0, "dtype": "float32", "shape": [1 << 40, 4], "stride": [0, 1]},
    "negative stride": {"tensor": 0, "dtype": "float32", "shape": [2, 2], "stride": [-1, 3]},
    "another dtype": {"tensor": 0, "dtype": "int64", "shape": [4], "stride": [1]},
    "shape of text": {"tensor": 0, "dtype": "float32", "shape": "4", "stride": "1"},
    "no strides": {"tensor": 0, "dtype": "float32", "shape": [4], "stride": []},
    "type with a strange name": {"foreign": "a b"},
    "dict with a list for key": {"dict": [[[1], 2]]},
    "list in place of a node": [1, 2],
}


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_value_that_does_not_make_sense_is_refused(pipe, node):
    forged(pipe, {"value": node}, archive(np.zeros(4, dtype=np.float32)))
    with pytest.raises(Violation):
        receive(pipe[1])


@pytest.mark.parametrize(
    "header",
    [
        b"junk",
        b"[]",
        b"{}",
        b'{"value": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"value": 1' + b"0" * 9999 + b"}",
    ],
    ids=["no JSON", "no header", "no value", "deep", "a number too long"],
)
def test_header_that_is_none_is_refused(pipe, header):
    forged(pipe, header)
    with pytest.raises(Violation):
        receive(pipe[1])


def test_deep_nesting_is_refused(pipe):
    node = 1
    for _ in range(50):
        node = {"list": [node]}
    forged(pipe, {"value": node})
    with pytest.raises(Violation, match="nested"):
        receive(pipe[1])


def test_object_arrays_are_never_unpickled(pipe):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    forged(pipe, {"value": {"array": 0, "shape": [1]}}, archive(np.array([Bomb()], dtype=object)))
    with pytest.raises(Violation):
        receive(pipe[1])


def test_archive_that_unpacks_to_more_is_refused(pipe):
    forged(pipe, {"value": 1}, zipped(bytes(1 << 24), zipfile.ZIP_DEFLATED))
    with pytest.raises(Violation, match="unpacks"):
        receive(pipe[1])


def test_array_that_claims_to_be_huge_is_refused(pipe):
    with zipfile.ZipFile(io.BytesIO(archive(np.zeros(4)))) as original:
        entry = original.read("arr_0.npy").replace(b"(4,), }        ", b"(1000000000,), }")
    assert b"(1000000000,)" in entry
    forged(pipe, {"value": {"array": 0, "shape": [4]}}, zipped(entry))
    with pytest.raises(Violation):
        receive(pipe[1])


def test_message_that_announces_too_much_is_refused_unread(pipe):
    pipe[0].sendall(struct.pack("!II", 10, 1 << 31))
    with pytest.raises(Violation, match="announced"):
        receive(pipe[1])


def test_answer_may_send_less_than_the_grader(pipe):
    pipe[0].sendall(struct.pack("!II", 10, protocol.LARGEST_REPLY + 1))
    with pytest.raises(Violation, match="announced"):
        receive(pipe[1], largest=protocol.LARGEST_REPLY)


def test_archive_of_too_many_arrays_is_refused_before_they_are_made(pipe, monkeypatch):
    monkeypatch.setattr(protocol, "MOST_ARRAYS", 4)
    forged(pipe, {"value": 1}, archive(*[np.zeros(1)] * 4))
    assert receive(pipe[1])[1] == 1
    monkeypatch.setattr(protocol.zipfile, "ZipFile", lambda *args: pytest.fail("it was opened"))
    forged(pipe, {"value": 1}, body=b"PK\x01\x02" * 5)
    with pytest.raises(Violation, match="more than 4 arrays"):
        receive(pipe[1])


def test_more_arrays_than_a_message_may_hold_are_not_sent(pipe):
    with pytest.raises(Violation, match="arrays"):
        send(pipe[0], {}, [torch.zeros(1)] * (protocol.MOST_ARRAYS + 1))


def test_value_too_large_is_not_sent(pipe, monkeypatch):
    monkeypatch.setattr(protocol, "LARGEST_BODY", 1000)
    with pytest.raises(Violation, match="bytes"):
        send(pipe[0], {}, torch.zeros(1000))


def test_forged_bool_is_true_or_false(pipe):
    with zipfile.ZipFile(io.BytesIO(archive(np.array([2, 255, 0], dtype=np.uint8)))) as original:
        entry = original.read("arr_0.npy").replace(b"'|u1'", b"'|b1'")
    node = {"tensor": 0, "dtype": "bool", "shape": [3], "stride": [1]}
    forged(pipe, {"value": node}, zipped(entry))
    assert receive(pipe[1])[1].view(torch.uint8).tolist() == [1, 1, 0]


def test_silence_is_noticed(pipe):
    with pytest.raises(Late):
        receive(pipe[1], time.monotonic() + 0.05)


def test_half_a_message_is_noticed(pipe):
    pipe[0].sendall(struct.pack("!II", 100, 0) + b"half")
    with pytest.raises(Late):
        receive(pipe[1], time.monotonic() + 0.05)


def test_side_that_is_gone_is_noticed(pipe):
    pipe[0].close()
    with pytest.raises(Closed):
        receive(pipe[1], time.monotonic() + 5)


def test_side_that_does_not_listen_is_noticed(pipe):
    with pytest.raises(Late):
        send(pipe[0], {}, torch.zeros(1 << 20), until=time.monotonic() + 0.1)
