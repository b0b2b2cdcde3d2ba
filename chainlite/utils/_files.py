"""Files that are there as a whole or not at all, however a process ends and however many write at once."""

import contextlib
import itertools
import os

TEMPORARY_PREFIX = '.tmp-'
_numbers = itertools.count()


@contextlib.contextmanager
def atomic_path(path):
    """Context with the path of a temporary file, which replaces ``path`` if the block ends without an exception.

    The temporary file lies in the same folder (a rename is atomic within one file system) under a name that starts with
    ``TEMPORARY_PREFIX`` and ends as the file's does. It is removed if the block raises; a process that is killed leaves
    it behind, and nothing takes it for the file.
    """
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f'{TEMPORARY_PREFIX}{os.getpid()}-{next(_numbers)}-{name}')
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


@contextlib.contextmanager
def file_lock(path):
    """Context that one process at a time is in; the lock goes with the process if it dies.

    Without ``fcntl`` (Windows) there is no lock: processes then repeat work, and files are still replaced atomically.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, 'a') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
