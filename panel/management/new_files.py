"""Files that hold a secret: made for their owner alone, never over another file."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from instances.errors import Conflict
from instances.reason import Reason


@contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Make files, mode 0600, before there is what goes into them; an error removes them again.

    Args:
        paths: Where. A directory that is missing is made, mode 0700.

    Raises:
        Conflict: Something stands there already, or nothing can be made there.
    """
    made: list[Path] = []
    with ExitStack() as stack:
        try:
            files = []
            for path in paths:
                files.append(stack.enter_context(_create(path)))
                made.append(path)
            yield files
        except BaseException:
            for path in made:
                path.unlink(missing_ok=True)
            raise


def _create(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError as error:
        raise Conflict(
            Reason("FileExists", f"{path} is there already.", "Choose another place, or move it.")
        ) from error
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise Conflict(Reason("NotWritable", message, "Choose another place.")) from error
