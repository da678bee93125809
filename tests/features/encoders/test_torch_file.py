"""Files are written here by Python's own pickle, with modules in place of PyTorch's."""

from __future__ import annotations

import io
import os
import pickle
import re
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import DataError
from features.encoders.torch_file import read_torch_file

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_MACHINE = {"protocol_version": _VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class _Tensor:
    """Pickles as a tensor of PyTorch does: a call with a storage, an offset, a shape and strides in numbers."""

    def __init__(
        self, key: str, offset: int, shape: Sequence[int], strides: Sequence[int], kind: str = "Float"
    ) -> None:
        self.arguments = (_Storage(key, kind), offset, tuple(shape), tuple(strides), False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class _Storage:
    def __init__(self, key: str, kind: str) -> None:
        self.key, self.kind = key, kind


class _Pickler(pickle.Pickler):
    storages: dict[str, np.ndarray]

    def persistent_id(self, value: object) -> Any:
        if not isinstance(value, _Storage):
            return None
        kind = getattr(sys.modules["torch"], f"{value.kind}Storage")
        return "storage", kind, value.key, "cpu", len(self.storages[value.key]), None


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write what `torch.save` wrote of a dictionary, from the numbers of its storages."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for kind in ("Half", "Float", "Double", "Int", "Long", "BFloat16"):
        setattr(torch, f"{kind}Storage", type(f"{kind}Storage", (), {"__module__": "torch"}))
    exec("def _rebuild_tensor_v2(*_): ...", vars(utils))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def write(
        values: object,
        storages: dict[str, np.ndarray],
        protocol: int = 2,
        header: Sequence[Any] = (_MAGIC, _VERSION, _MACHINE),
    ) -> Path:
        stream = io.BytesIO()
        for value in (*header, values, sorted(storages)):
            pickler = _Pickler(stream, protocol)
            pickler.storages = storages
            pickler.dump(value)
        for key in sorted(storages):
            stream.write(struct.pack("<q", len(storages[key])) + storages[key].tobytes())
        path = tmp_path / "weights.pth"
        path.write_bytes(stream.getvalue())
        return path

    return write


def test_reads_tensors_of_any_strides(write: Write) -> None:
    numbers = np.arange(24, dtype=np.float32)
    tensors = {
        "rows": _Tensor("a", 0, (4, 6), (6, 1)),
        "columns": _Tensor("a", 0, (6, 4), (1, 6)),
        "inner": _Tensor("a", 7, (2, 2), (6, 2)),
        "once": _Tensor("a", 5, (3, 2), (0, 1)),
        "scalar": _Tensor("b", 1, (), (), "Long"),
    }
    read = read_torch_file(write(OrderedDict(tensors), {"a": numbers, "b": np.array([3, -9])}))
    rows = numbers.reshape(4, 6)
    expected = {"rows": rows, "columns": rows.T, "inner": rows[1:3, 1:5:2], "once": [[5, 6]] * 3, "scalar": -9}
    assert list(read) == list(tensors)
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("Half", "f2"), ("Float", "f4"), ("Double", "f8"), ("Int", "i4"), ("Long", "i8")]
)
def test_reads_numbers_of_any_size(kind: str, dtype: str, write: Write) -> None:
    numbers = np.array([1, -2, 3], dtype)
    read = read_torch_file(write({"x": _Tensor("a", 0, (3,), (1,), kind)}, {"a": numbers}))["x"]
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, numbers)


def test_ignores_the_attributes_of_a_dictionary(write: Write) -> None:
    tensors = OrderedDict(x=_Tensor("a", 0, (1,), (1,)))
    vars(tensors)["_metadata"] = OrderedDict([("", {"version": 1})])
    assert list(read_torch_file(write(tensors, {"a": np.ones(1, np.float32)}))) == ["x"]


class _Call:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_runs_nothing_that_a_file_names(protocol: int, write: Write, tmp_path: Path) -> None:
    path = write({"x": _Call(os.mkdir, str(tmp_path / "made"))}, {}, protocol)
    with pytest.raises(
        DataError, match=rf"^{re.escape(str(path))} is refused: it contains .*; expected a file of tensors"
    ):
        read_torch_file(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("value", [{"x": _Call(os.mkdir, "made")}, _Call(getattr, dict, "clear"), {"x": sys.exit}])
def test_names_what_it_refuses(value: object, write: Write) -> None:
    with pytest.raises(DataError, match=r"is refused: it contains '(posix\.mkdir|__builtin__\.getattr|sys\.exit)';"):
        read_torch_file(write(value, {}))


@pytest.mark.parametrize(
    "tensor",
    [
        _Tensor("a", 5, (2,), (1,)),
        _Tensor("a", 0, (2, 3), (4, 1)),
        _Tensor("a", 0, (7,), (0,)),
        _Tensor("a", 0, (1 << 62, 1 << 62), (0, 0)),
        _Tensor("a", 3, (2,), (-1,)),
        _Tensor("a", -1, (1,), (1,)),
        _Tensor("a", 0, (-1,), (1,)),
        _Tensor("a", 0, (2, 2), (1,)),
        _Tensor("a", 0, ("x",), (1,)),
        _Tensor("a", 0.5, (1,), (1,)),
        _Tensor("a", 0, (1,), (1,), "BFloat16"),
        "no tensor",
    ],
)
def test_refuses_tensors_that_leave_their_storage(tensor: object, write: Write) -> None:
    with pytest.raises(DataError, match=r"weights\.pth is "):
        read_torch_file(write({"x": tensor}, {"a": np.arange(6, dtype=np.float32)}))


def test_does_not_reserve_memory_for_numbers_that_are_missing(write: Write) -> None:
    path = write({"x": _Tensor("a", 0, (2,), (1,))}, {"a": np.ones(2, np.float32)})
    content = path.read_bytes()
    n_claimed = 1 << 50
    size = content.index(struct.pack("<q", 2))
    path.write_bytes(content[:size] + struct.pack("<q", n_claimed) + content[size + 8 :])
    with pytest.raises(DataError, match="no whole file"):
        read_torch_file(path)


@pytest.mark.parametrize("header", [(_MAGIC + 1, _VERSION, _MACHINE), (_MAGIC, 1002, _MACHINE), (_MAGIC, _VERSION, {})])
def test_refuses_other_versions(header: Sequence[Any], write: Write) -> None:
    with pytest.raises(DataError, match="no whole file of tensors in PyTorch's old format; get it again"):
        read_torch_file(write({}, {}, header=header))


def test_refuses_other_formats(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    for content in (path.read_bytes(), b"", b"<html>404</html>", b"\x80", pickle.dumps(None, 2)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"weights\.pth is ") as caught:
            read_torch_file(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_torch_file(tmp_path / "none.pth")


@pytest.fixture
def small_file(write: Write) -> Path:
    tensors = OrderedDict(x=_Tensor("a", 1, (2, 2), (2, 1)), y=_Tensor("b", 0, (3,), (1,), "Long"))
    return write(tensors, {"a": np.arange(6, dtype=np.float32), "b": np.arange(3)})


def test_every_beginning_of_a_file_is_refused(small_file: Path) -> None:
    content = small_file.read_bytes()
    read_torch_file(small_file)
    for n_bytes in range(len(content)):
        small_file.write_bytes(content[:n_bytes])
        with pytest.raises(DataError, match=r"weights\.pth is "):
            read_torch_file(small_file)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_a_data_error_or_a_tensor_of_the_file(small_file: Path, data: st.DataObject) -> None:
    content = bytearray(small_file.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[position] = data.draw(st.integers(0, 255))
    path = small_file.with_name("damaged.pth")
    path.write_bytes(content)
    with suppress(DataError):
        assert all(array.size <= 6 for array in read_torch_file(path).values())
