"""What can go wrong on the device: one error type whose kind the host branches on.

missing-engine     a package that the release needs is not installed here
bad-job            the command line or the job file is wrong
bad-artifact       the release folder is not what its manifest says, or does not fit together
unreadable-image   an image is missing, empty or not decodable
engine             the inference engine refused the model or failed while it ran
out-of-memory      the device has too little memory for the job
build-timeout      the engine was not built within the time that the job gives
bug                anything else: a fault of this program

Kinds of the verb `serve` only:

bad-request        the host asked for something that makes no sense
locked             another session is using the device; the message says whose
not-locked         the operation needs the lock that this session does not hold
no-room            what is to come does not fit on the disk, or in the share given to edgeq
bad-blob           what arrived is not what its hash says
no-release         there is no such release to switch to
no-file            there is no such file in work/
not-signed         the release carries no signature that those who must have signed it made
superseded         a newer controller of roll-outs has the device
environment        the environment could not be built; the message holds pip's own words
died               a job ended without a result
garbled            a job said something that is no event
disk-full          the disk is full, or the user's share of it
read-only          the filesystem is mounted read-only
denied             the user may not do that there
not-a-folder       something else lies where a folder should be
disk-failed        the disk reports an error
"""

from __future__ import annotations

import errno
import os

MISSING_ENGINE = "missing-engine"
BAD_JOB = "bad-job"
BAD_ARTIFACT = "bad-artifact"
UNREADABLE_IMAGE = "unreadable-image"
ENGINE = "engine"
OUT_OF_MEMORY = "out-of-memory"
BUILD_TIMEOUT = "build-timeout"
BUG = "bug"
BAD_REQUEST = "bad-request"
LOCKED = "locked"
NOT_LOCKED = "not-locked"
NO_ROOM = "no-room"
BAD_BLOB = "bad-blob"
NO_RELEASE = "no-release"
NO_FILE = "no-file"
NOT_SIGNED = "not-signed"
SUPERSEDED = "superseded"
ENVIRONMENT = "environment"
DIED = "died"
GARBLED = "garbled"
DISK_FULL = "disk-full"
READ_ONLY = "read-only"
DENIED = "denied"
NOT_A_FOLDER = "not-a-folder"
DISK_FAILED = "disk-failed"

SHOWN = 20  # of many problems so many are told; the others are counted

_OF_ERRNO = {
    errno.ENOSPC: (DISK_FULL, "free some space on the device"),
    errno.EDQUOT: (DISK_FULL, "free some of the user's share of the disk"),
    errno.EFBIG: (DISK_FULL, "the filesystem takes no file of that size; choose another root"),
    errno.EROFS: (READ_ONLY, "remount it writable, or choose another root"),
    errno.EACCES: (DENIED, "give the user the right to write there, or choose another root"),
    errno.EPERM: (DENIED, "give the user the right to do that there, or choose another root"),
    errno.ENOTDIR: (NOT_A_FOLDER, "move away what lies there, or choose another root"),
    errno.EISDIR: (NOT_A_FOLDER, "move away what lies there, or choose another root"),
    errno.EEXIST: (NOT_A_FOLDER, "move away what lies there, or choose another root"),
    errno.ENOTEMPTY: (NOT_A_FOLDER, "move away what lies there, or choose another root"),
    errno.ELOOP: (NOT_A_FOLDER, "move away the link that lies there, or choose another root"),
    errno.EIO: (DISK_FAILED, "look into the device's kernel log; the disk may be worn out"),
}


class AgentError(Exception):
    """A problem of one kind, in three parts: where it is, what is wrong, what to do about it."""

    def __init__(self, kind: str, where: str, what: str, remedy: str) -> None:
        super().__init__(kind, where, what, remedy)
        self.kind = kind
        self.where = where
        self.what = what
        self.remedy = remedy

    @property
    def message(self) -> str:
        """`where: what; what to do`, one line unless several problems are reported together."""
        return f"{self.where}: {self.what}; {self.remedy}"

    def __str__(self) -> str:
        return self.message


class Reported(AgentError):
    """An error that a child process put into words itself."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, "", message, "")

    @property
    def message(self) -> str:
        """As the child put it."""
        return self.what


def of_os_error(exc: OSError) -> AgentError | None:
    """What the system refused, as a problem with a path; None for what is no matter of the disk."""
    if exc.errno not in _OF_ERRNO:
        return None
    kind, remedy = _OF_ERRNO[exc.errno]
    where = exc.filename2 or exc.filename or "disk"
    return AgentError(kind, os.fsdecode(where), (exc.strerror or str(exc)).lower(), remedy)


def raise_problems(kind: str, where: str, problems: list[str], remedy: str) -> None:
    """Raise one AgentError that lists every problem; nothing when there is none."""
    if len(problems) == 1:
        raise AgentError(kind, where, problems[0], remedy)
    if problems:
        left = len(problems) - SHOWN
        shown = problems[:SHOWN] + ([f"and {left} more"] if left > 0 else [])
        listed = "".join("\n  " + problem for problem in shown)
        raise AgentError(kind, where, f"{len(problems)} problems:{listed}\n", remedy)
