"""A folder as a store: files appear in it by a link or a rename, so that they are there whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mage.scenes.errors import DatasetError

PARTIAL = ".partial"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
LARGEST_TEXT = 1 << 30


class LocalStore:
    """A folder on a disk or a network file system."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @property
    def place(self) -> str:
        """The folder's path."""
        return str(self.root)

    def where(self, name: str) -> str:
        """Path of a file."""
        return str(self.root / name)

    def check(self) -> None:
        """Raise DatasetError where there is no such folder."""
        if not self.root.is_dir():
            reason = "not a folder" if self.root.exists() else "no such folder"
            raise DatasetError(reason, file=self.root, expected="the folder of a dataset")

    def publish(self, name: str, write: Callable[[Path], object], *, once: bool = False) -> bool:
        """Write a file aside, then move it to ``name`` (which may lie in a folder) in one step; see :class:`Store`."""
        target = self.root / name
        partial: Path | None = None
        held = -1
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial, held = self._aside(target.name)
            write(partial)
            _sync(partial)
            ours = _appear(partial, target, once=once)
            _sync(target.parent)
        except OSError as error:
            known = (partial, target, *target.parents, self.root / PARTIAL)
            if error.filename is not None and Path(error.filename) not in known:
                raise  # of something else that `write` needed
            raise _of_the_system(error, target) from None
        finally:
            if held >= 0:
                os.close(held)
            if partial is not None:
                partial.unlink(missing_ok=True)
                self._tidy()
        return ours

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        try:
            (self.root / name).unlink(missing_ok=True)
        except NotADirectoryError:
            pass
        except OSError as error:
            raise DatasetError(f"cannot be removed: {error.strerror}", file=self.root / name) from None

    def size(self, name: str) -> int | None:
        """Bytes of a plain file, else None; a link is none."""
        try:
            status = (self.root / name).lstat()
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def sizes(self, folder: str = "") -> dict[str, int | None]:
        """Names in a folder with their bytes, None for links, folders and pipes."""
        try:
            with os.scandir(self.root / folder) as entries:
                return {e.name: e.stat().st_size if e.is_file(follow_symlinks=False) else None for e in entries}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise DatasetError(f"cannot be read: {error.strerror}", file=self.root / folder) from None

    def read(self, name: str, largest: int = LARGEST_TEXT) -> bytes:
        """Content of a plain file of at most ``largest`` bytes."""
        with self.fetch(name) as path:
            if path.stat().st_size > largest:
                raise DatasetError("not a file that is read", file=path, expected=f"at most {largest} bytes")
            try:
                return path.read_bytes()
            except OSError as error:
                raise DatasetError(f"cannot be read: {error.strerror}", file=path) from None

    @contextmanager
    def fetch(self, name: str) -> Iterator[Path]:
        """The file itself, or what a link leads to, if that is a plain file: a pipe would block for ever."""
        path = self.root / name
        try:
            plain = stat.S_ISREG(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            raise DatasetError("no such file", file=path) from None
        except OSError as error:
            raise DatasetError(f"cannot be read: {error.strerror}", file=path) from None
        if not plain:
            raise DatasetError("not a plain file but a folder, pipe or device", file=path)
        yield path

    def clean_partial(self) -> None:
        """Remove files aside whose writers are gone: a living one holds a lock."""
        for path in sorted((self.root / PARTIAL).glob("*")):
            with suppress(OSError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # without locks it cannot be told, and the file stays
                path.unlink(missing_ok=True)
        self._tidy()

    def _aside(self, name: str) -> tuple[Path, int]:
        """A new empty file that no other process has, and the descriptor that holds its lock."""
        folder = self.root / PARTIAL
        for _ in range(100):  # another process may remove the empty folder, or the file before it is locked
            path = folder / f"{name}.{os.getpid()}.{os.urandom(4).hex()}"
            with suppress(FileNotFoundError, FileExistsError):
                folder.mkdir(exist_ok=True)
                held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                if _locked(held) and path.exists():
                    return path, held
                os.close(held)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))

    def _tidy(self) -> None:
        with suppress(OSError):  # others still write there
            (self.root / PARTIAL).rmdir()


def _appear(partial: Path, target: Path, *, once: bool) -> bool:
    """Give a finished file its name; with ``once`` only if nothing has it."""
    if not once:
        partial.replace(target)
        return True
    try:
        target.hardlink_to(partial)
    except FileExistsError:
        return partial.stat().st_nlink > 1  # a network file system may have done it and lost the answer
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(target):
            return False
        partial.replace(target)  # without hard links two writers may both come here: the shard is whole all the same
    return True


def _locked(descriptor: int) -> bool:
    """Hold a lock on a file for as long as it is open, unless another process does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or which names a folder has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _of_the_system(error: OSError, target: Path) -> DatasetError:
    if error.errno in FULL:
        return DatasetError(f"no space left on the device ({error.strerror})", file=target)
    if isinstance(error, FileNotFoundError):
        return DatasetError("vanished while it was written: does another process clean this folder?", file=target)
    return DatasetError(f"cannot be written: {error.strerror}", file=target)
