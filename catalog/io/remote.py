"""Paths on S3, Google Cloud Storage, Azure and HDFS, with the part of the interface of `pathlib.Path` that keyart uses.

Arrow's file systems are used: they cover the same ones as Spark's, need Java for HDFS only, and can be pickled to a
worker.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from catalog.errors import ConfigError, StoreError
from catalog.text import first_line

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from pyarrow.lib import NativeFile

# Hadoop's schemes for S3, of which Arrow knows the first only.
_S3 = ("s3", "s3a", "s3n")
_HDFS = ("hdfs", "viewfs")
_HDFS_ADVICE = (
    ", for which every machine needs Hadoop's native client: JAVA_HOME, HADOOP_HOME, and CLASSPATH as "
    "`hadoop classpath --glob` prints it"
)
# An object becomes visible when it is complete; to rename it would be to write it twice.
_OBJECT_STORES = ("s3", "gcs", "abfs")


@dataclass(frozen=True)
class _Status:
    st_size: int


@dataclass(frozen=True)
class RemotePath:
    """A path on a remote file system; make it with `as_path`. Methods have the names of `pathlib.Path`.

    Errors are StoreErrors, except FileNotFoundError: a caller that takes OSError for a damaged file must not take a
    broken connection for one.
    """

    system: FileSystem
    path: str
    uri: str

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.system, f"{self.path.rstrip('/')}/{name}", f"{self.uri.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    def absolute(self) -> RemotePath:
        """Return the same path: a URI does not depend on the working directory."""
        return self

    @contextmanager
    def open(self, mode: str = "rb") -> Iterator[NativeFile]:
        """Open the file for reading; parts can be read."""
        if mode != "rb":
            raise ValueError(f"expected the mode rb, received {mode}")
        with _store_errors(self), self.system.open_input_file(self.path) as stream:
            yield stream

    def read_bytes(self) -> bytes:
        with self.open() as stream:
            return bytes(stream.read())

    def read_text(self, encoding: str) -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Write the whole file, or leave the earlier one; parent folders are created."""
        with _store_errors(self):
            if self.system.type_name in _OBJECT_STORES:
                self._send(self.path, content)
                return
            parent, _, name = self.path.rpartition("/")
            temporary_path = f"{parent}/.{name}.{secrets.token_hex(4)}.partial"
            self.system.create_dir(parent, recursive=True)
            try:
                self._send(temporary_path, content)
                self.system.move(temporary_path, self.path)
            except BaseException:
                with suppress(OSError):
                    self.system.delete_file(temporary_path)
                raise

    def _send(self, path: str, content: bytes) -> None:
        with self.system.open_output_stream(path) as stream:
            stream.write(content)

    def unlink(self, *, missing_ok: bool = False) -> None:
        with _store_errors(self), suppress(*(FileNotFoundError,) if missing_ok else ()):
            self.system.delete_file(self.path)

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Yield the files of this folder, not of those below it."""
        from pyarrow.fs import FileSelector

        with _store_errors(self):
            result = self.system.get_file_info(FileSelector(self.path, allow_not_found=True))
        yield from (self / info.base_name for info in result if info.is_file and fnmatchcase(info.base_name, pattern))

    def is_file(self) -> bool:
        with _store_errors(self):
            return bool(self.system.get_file_info(self.path).is_file)

    def stat(self) -> _Status:
        with _store_errors(self):
            info = self.system.get_file_info(self.path)
        if not info.is_file:
            raise FileNotFoundError(f"no such file: {self}")
        return _Status(info.size)


AnyPath = Path | RemotePath
"""A local or a remote path."""


def as_path(name: str | Path, **s3: Any) -> AnyPath:
    """Convert a path or a URI; `s3` are options of `pyarrow.fs.S3FileSystem`."""
    match = re.match(r"(\w[\w+.-]+):/", str(name))
    if match is None:
        return Path(name)
    if isinstance(name, Path):
        raise ConfigError(f"{name} was a URI before it became a Path, which joins slashes; give it as text")
    if match[1] == "file":
        return _local(name)
    if "://" not in name:
        raise ConfigError(f"{name}: expected {match[1]}:// in full")
    # The query holds options of the file system, such as an endpoint; passwords must not be shown.
    shown = re.sub(r"//[^/@:]*:[^/@]*@", "//", name.partition("?")[0].rstrip("/"))
    try:
        system, path = _s3(name, s3) if match[1] in _S3 else _any(name)
    except (OSError, ValueError, NotImplementedError, ImportError) as error:
        raise ConfigError(
            f"{shown} cannot be opened: {first_line(error)}; expected a folder, or a URI of s3a://, gs://, abfss:// "
            f"or hdfs://{_HDFS_ADVICE if match[1] in _HDFS else ''}"
        ) from error
    return RemotePath(system, path.rstrip("/"), shown)


def _local(uri: str) -> Path:
    address = urlsplit(uri)
    if address.netloc not in ("", "localhost"):
        raise ConfigError(f"{uri}: expected file:///PATH, received the host {address.netloc}")
    return Path(url2pathname(address.path))


def _s3(uri: str, options: dict[str, Any]) -> tuple[FileSystem, str]:
    from pyarrow import fs

    path = uri.partition("://")[2]
    if not options or "?" in path:
        return _any(f"s3://{path}")
    if not {"region", "endpoint_override"} & options.keys():
        options["region"] = fs.resolve_s3_region(path.partition("/")[0])
    return fs.S3FileSystem(**options), path


def _any(uri: str) -> tuple[FileSystem, str]:
    from pyarrow.fs import FileSystem

    system, path = FileSystem.from_uri(uri)
    return system, str(path)


@contextmanager
def _store_errors(path: RemotePath) -> Iterator[None]:
    """Convert the errors of a file system, which take many lines, to one line."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, NotImplementedError) as error:
        raise StoreError(
            f"{path} cannot be reached: {first_line(error)}; check address and rights, and run the same command again"
        ) from error
