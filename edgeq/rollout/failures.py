"""What a device's failure says about a release: every kind of error, in one table."""

from __future__ import annotations

from edgeq import errors
from edgeq.agent import errors as agent
from edgeq.errors import DeviceError, EdgeqError
from edgeq.records.rollout import FailureClass

WORSE = "worse"
"""Kind of a release that does worse than the one before it, or fails a gate."""
UNLIKE = "unlike"
"""Kind of a release whose outputs are not those that it has elsewhere."""
DOWNGRADE = "downgrade"
"""Kind of a release that is older than the one which runs there."""
UNFIT = "unfit"
"""Kind of a model that this engine cannot have."""

CLASSES: dict[str, FailureClass] = {
    **dict.fromkeys(
        (
            errors.LINK_LOST,
            errors.TOO_SLOW,
            errors.INPUT_CLOSED,
            errors.NAME_NOT_FOUND,
            errors.UNREACHABLE,
            errors.REFUSED,
            errors.PROXY,
            agent.LOCKED,
        ),
        "transient",
    ),
    **dict.fromkeys(
        (
            errors.NO_COMMANDS,
            errors.NO_PYTHON,
            errors.PYTHON_TOO_OLD,
            errors.NOT_SSH,
            errors.INCOMPATIBLE,
            errors.AUTH_FAILED,
            errors.PASSPHRASE,
            errors.HOST_KEY_UNKNOWN,
            errors.HOST_KEY_CHANGED,
            errors.NO_WHEEL,
            agent.MISSING_ENGINE,
            agent.BAD_JOB,
            agent.UNREADABLE_IMAGE,
            agent.BUG,
            agent.BAD_REQUEST,
            agent.NOT_LOCKED,
            agent.SUPERSEDED,
            agent.NO_ROOM,
            agent.BAD_BLOB,
            agent.NO_RELEASE,
            agent.NO_FILE,
            agent.ENVIRONMENT,
            agent.GARBLED,
            agent.DISK_FULL,
            agent.READ_ONLY,
            agent.DENIED,
            agent.NOT_A_FOLDER,
            agent.DISK_FAILED,
            DOWNGRADE,
        ),
        "board",
    ),
    **dict.fromkeys(
        (
            agent.BAD_ARTIFACT,
            agent.ENGINE,
            agent.OUT_OF_MEMORY,
            agent.BUILD_TIMEOUT,
            agent.NOT_SIGNED,
            agent.DIED,
            UNLIKE,
            UNFIT,
        ),
        "artifact",
    ),
    WORSE: "model",
}


def class_of(error: EdgeqError) -> FailureClass:
    """What it says; trouble of the board where nothing else is known, such as its clock."""
    return CLASSES.get(error.kind, "board") if isinstance(error, DeviceError) else "board"
