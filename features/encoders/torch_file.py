"""Read tensors from files in PyTorch's old format, without PyTorch and without unpickling.

Such a file is a series of pickles: a magic number, a version, facts about the machine that wrote it, a dictionary of
tensors and the keys of their storages; the numbers of each storage follow. A pickle is a program that may call
anything, so only the opcodes that describe tensors are evaluated here, and a file with any other is refused.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from catalog.errors import DataError
from catalog.io.files import open_file

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
# The descriptions of 300 tensors take 50 kB.
_MAX_PICKLED_BYTES = 1 << 22
_DTYPES = {
    "torch HalfStorage": "<f2",
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch IntStorage": "<i4",
    "torch LongStorage": "<i8",
}
_DICT, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_GLOBALS = {_DICT, _TENSOR, *_DTYPES}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}


def read_torch_file(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read a flat dictionary of tensors that ``torch.save`` wrote in the format before that of PyTorch 1.6.

    Raises
    ------
    DataError
        The file is of another format, damaged, or contains anything but tensors.
    """
    try:
        with open_file(path) as stream:
            return _read(stream)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except _Refused as error:
        raise DataError(f"{path} is refused: it contains {error}; expected a file of tensors only") from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError, struct.error) as error:
        raise DataError(f"{path} is no whole file of tensors in PyTorch's old format; get it again") from error


class _Refused(Exception):
    pass


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    n_numbers: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers

    def view(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View the storage as the tensor, after checking that the tensor lies within it."""
        pairs = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in pairs)
        is_inside = min(self.offset, *self.strides, 0) == 0 and min(self.shape, default=1) > 0 and last < len(numbers)
        if not is_inside or math.prod(self.shape) > len(numbers):
            raise ValueError("a tensor is larger than its storage")
        strides = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)


def _read(stream: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    pickles = io.BytesIO(stream.read(_MAX_PICKLED_BYTES))
    if (_evaluate(pickles), _evaluate(pickles)) != (_MAGIC, _VERSION):
        raise ValueError("another format")
    if _evaluate(pickles)["little_endian"] is not True:
        raise ValueError("numbers of another byte order")
    tensors, keys = _evaluate(pickles), _evaluate(pickles)
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    stream.seek(pickles.tell())
    numbers = {key: _numbers(stream, storages[key]) for key in keys}
    return {str(name): tensor.view(numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _numbers(stream: BinaryIO, storage: _Storage) -> npt.NDArray[Any]:
    dtype = np.dtype(_DTYPES[storage.kind])
    (n_numbers,) = struct.unpack("<q", stream.read(8))
    n_left = os.fstat(stream.fileno()).st_size - stream.tell()
    if n_numbers != storage.n_numbers or not 0 <= n_numbers * dtype.itemsize <= n_left:
        raise ValueError("numbers are missing")
    return np.frombuffer(stream.read(n_numbers * dtype.itemsize), dtype)


def _evaluate(stream: io.BytesIO) -> Any:
    """Evaluate one pickle, in which the only calls are those that make dictionaries and tensors."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(stream):
        match opcode.name:
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL" if argument not in _GLOBALS:
                raise _Refused(repr(argument.replace(" ", ".")[:80]))
            case name if name in _LITERALS or name == "GLOBAL":
                stack.append(argument)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name:
                _combine(name, stack, marks)
    raise ValueError("a pickle without an end")


def _combine(name: str, stack: list[Any], marks: list[int]) -> None:
    """Replace the last values of the stack by what an opcode makes of them."""
    begin = marks.pop() if name in ("TUPLE", "SETITEMS", "APPENDS") else len(stack) - _N_VALUES.get(name, 0)
    values = stack[begin:]
    del stack[begin:]
    match name:
        case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
            stack.append(tuple(values))
        case "EMPTY_LIST":
            stack.append([])
        case "EMPTY_DICT":
            stack.append({})
        case "APPEND" | "APPENDS":
            stack[-1].extend(values)
        case "SETITEM" | "SETITEMS":
            stack[-1].update(zip(values[::2], values[1::2], strict=True))
        case "REDUCE":
            stack.append(_call(*values))
        case "BINPERSID":
            _, kind, key, _, n_numbers, _ = values[0]
            stack.append(_Storage(kind, key, n_numbers))
        case "BUILD":
            # Attributes of a dictionary, which describe the model that the tensors are of.
            pass
        case _:
            raise _Refused(f"the opcode {name}")


_N_VALUES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2, "REDUCE": 2, "BINPERSID": 1, "BUILD": 1}
"""How many values of the stack an opcode takes, where no mark says it."""


def _call(function: str, arguments: tuple[Any, ...]) -> Any:
    if function == _DICT:
        return dict(*arguments)
    if function == _TENSOR:
        return _Tensor(*arguments[:4])
    raise _Refused(f"a call of {function}")
