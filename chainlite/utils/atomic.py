"""Writing a file so that whoever reads its name finds the old content or the new one, never a part."""

import contextlib
import os


@contextlib.contextmanager
def replacing(path):
    """Context in which a new file is written under a temporary name, which takes the place of ``path`` at its end.

    The temporary file lies in the same folder. When the block is left by an exception it is removed, and what stood at
    ``path`` stays. What is not a regular file (a device, a pipe) cannot be replaced and is written directly.

    Args:
        path (str or os.PathLike): The file to write. The target of a symbolic link is replaced, not the link.

    Yields:
        str: The name to write to.
    """
    target = os.path.realpath(os.fspath(path))
    if os.path.exists(target) and not os.path.isfile(target):
        yield target
        return
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f'.{name[:100]}.{os.getpid()}-{os.urandom(4).hex()}.tmp')
    try:
        yield temporary
        with open(temporary, 'rb+') as f:  # the content must be on the disk before the name points to it
            os.fsync(f.fileno())
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException as e:
        if isinstance(e, OSError) and e.filename == temporary:
            e.filename = os.fspath(path)  # the name that the caller knows
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise
