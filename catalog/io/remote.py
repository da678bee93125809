"""Folders on other file systems, S3, Google Cloud Storage, Azure, HDFS: as much of a path as a folder of files needs.

Arrow's file systems do the work: they know what Spark's know, need no Java but for HDFS, and can be sent to a worker.
May import `catalog.errors` only.
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

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from pyarrow.lib import NativeFile

# Hadoop's names of it, of which Arrow knows the first only.
_S3 = ("s3", "s3a", "s3n")
_HDFS = ("hdfs", "viewfs")
_HDFS_ADVICE = (
    ", for which every machine needs Hadoop's native client: JAVA_HOME, HADOOP_HOME, and CLASSPATH as "
    "`hadoop classpath --glob` prints it"
)
# Here an object is seen once it is whole, and renaming would be to write it twice.
_OBJECT_STORES = ("s3", "gcs", "abfs")


@dataclass(frozen=True)
class _Status:
    st_size: int


@dataclass(frozen=True)
class RemotePath:
    """A place on another file system; make it with `place`. What it has in common with a Path has the same names.

    What goes wrong there is a StoreError, except that a file is missing: whoever takes a file that cannot be read for
    a damaged one shall not take a broken connection for that.

    Parameters
    ----------
    system : pyarrow.fs.FileSystem
        Where it is.
    path : str
        What the system calls it.
    uri : str
        What the user calls it.
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
        """The last part."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """The last part, without its ending."""
        return PurePosixPath(self.path).stem

    @property
    def suffix(self) -> str:
        """The ending, with its dot."""
        return PurePosixPath(self.path).suffix

    def absolute(self) -> RemotePath:
        """Give the same: what has a URI does not depend on where a process stands.

        Returns
        -------
        RemotePath
            This one.
        """
        return self

    @contextmanager
    def open(self, mode: str = "rb") -> Iterator[NativeFile]:
        """Open the file to read parts of it.

        Parameters
        ----------
        mode : {"rb"}
            As a Path has it.

        Yields
        ------
        pyarrow.NativeFile
            The file.

        Raises
        ------
        FileNotFoundError
            There is none.
        StoreError
            It cannot be read.
        """
        if mode != "rb":
            raise ValueError(f"expected the mode rb, received {mode}")
        with _told(self), self.system.open_input_file(self.path) as stream:
            yield stream

    def read_bytes(self) -> bytes:
        """Read the file whole.

        Returns
        -------
        bytes
            What stands in it.

        Raises
        ------
        FileNotFoundError
            There is none.
        StoreError
            It cannot be read.
        """
        with self.open() as stream:
            return bytes(stream.read())

    def read_text(self, encoding: str) -> str:
        """Read a text file whole.

        Parameters
        ----------
        encoding : str
            Such as ``"utf-8"``.

        Returns
        -------
        str
            What stands in it.

        Raises
        ------
        FileNotFoundError
            There is none.
        StoreError
            It cannot be read.
        """
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Write the file whole, or leave what was there; the folders above it are made.

        Parameters
        ----------
        content : bytes
            What it shall hold.

        Raises
        ------
        StoreError
            It cannot be written.
        """
        with _told(self):
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
        """Remove the file.

        Parameters
        ----------
        missing_ok : bool, default False
            Whether it need not be there.

        Raises
        ------
        FileNotFoundError
            There is none, and that is not all right.
        StoreError
            It cannot be removed.
        """
        with _told(self), suppress(*(FileNotFoundError,) if missing_ok else ()):
            self.system.delete_file(self.path)

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """List files in this folder; not below it.

        Parameters
        ----------
        pattern : str
            Of their names, such as ``"features-*.json"``.

        Yields
        ------
        RemotePath
            A file.

        Raises
        ------
        StoreError
            The folder cannot be listed.
        """
        from pyarrow.fs import FileSelector

        with _told(self):
            found = self.system.get_file_info(FileSelector(self.path, allow_not_found=True))
        yield from (self / info.base_name for info in found if info.is_file and fnmatchcase(info.base_name, pattern))

    def is_file(self) -> bool:
        """Tell whether there is such a file.

        Returns
        -------
        bool
            Whether it is there, and no folder.

        Raises
        ------
        StoreError
            It cannot be found out.
        """
        with _told(self):
            return bool(self.system.get_file_info(self.path).is_file)

    def stat(self) -> _Status:
        """Tell the file's size.

        Returns
        -------
        object
            With ``st_size``, in bytes.

        Raises
        ------
        FileNotFoundError
            There is none.
        StoreError
            It cannot be found out.
        """
        with _told(self):
            info = self.system.get_file_info(self.path)
        if not info.is_file:
            raise FileNotFoundError(f"no such file: {self}")
        return _Status(info.size)


AnyPath = Path | RemotePath
"""A place on this machine or on another file system."""


def place(name: str | Path, **s3: Any) -> AnyPath:
    """Find the folder that a user names by a path or a URI.

    Parameters
    ----------
    name : str or Path
        A path; or as text a URI, such as ``s3a://bucket/features`` or ``hdfs://host:8020/features``. One that begins
        with ``file:`` is a path of this machine.
    **s3
        Options of `pyarrow.fs.S3FileSystem`, for S3; by default what AWS's own variables and files say.

    Returns
    -------
    Path or RemotePath
        The folder; it need not exist.

    Raises
    ------
    ConfigError
        There is no such file system, its client is missing, or it does not answer.
    """
    found = re.match(r"(\w[\w+.-]+):/", str(name))
    if found is None:
        return Path(name)
    if isinstance(name, Path):
        raise ConfigError(f"{name} was a URI before it became a Path, which joins slashes; give it as text")
    if found[1] == "file":
        return _local(name)
    if "://" not in name:
        raise ConfigError(f"{name}: expected {found[1]}:// in full")
    # What stands in the query, such as an endpoint, is the file system's and not the path's; passwords are nobody's.
    shown = re.sub(r"//[^/@:]*:[^/@]*@", "//", name.partition("?")[0].rstrip("/"))
    try:
        system, path = _s3(name, s3) if found[1] in _S3 else _any(name)
    except (OSError, ValueError, NotImplementedError, ImportError) as error:
        raise ConfigError(
            f"{shown} cannot be opened: {_first_line(error)}; expected a folder, or a URI of s3a://, gs://, abfss:// "
            f"or hdfs://{_HDFS_ADVICE if found[1] in _HDFS else ''}"
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
def _told(path: RemotePath) -> Iterator[None]:
    """Say in one line what the file system said in many words."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, NotImplementedError) as error:
        raise StoreError(
            f"{path} cannot be reached: {_first_line(error)}; check address and rights, and run the same command again"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
