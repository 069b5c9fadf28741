"""Why a session is over that nobody ended: in the words of who has to do something about it."""

from __future__ import annotations

from edgeq.device.transport import ProcessEnd
from edgeq.errors import LINK_LOST, NO_COMMANDS, NO_PYTHON, PYTHON_TOO_OLD, DeviceError

_LOST_REMEDY = "see to the link and run it again; what was sent is kept there"


def silent(where: str, silence_s: float, is_heard: bool) -> DeviceError:
    """For a device that says nothing any more; `is_heard`: what is ours there spoke before."""
    if is_heard:
        what = f"the connection is lost: nothing came for {silence_s:.0f} s"
        return DeviceError(where, what, _LOST_REMEDY, kind=LINK_LOST)
    what = f"the login worked, and then nothing came for {silence_s:.0f} s"
    remedy = (
        "see with 'ssh' and a command such as 'true' whether a script there (.bashrc, a menu) "
        "waits for input, or whether the link is down"
    )
    return DeviceError(where, what, remedy, kind=NO_COMMANDS)


def why(where: str, ended: ProcessEnd, noise: str, is_heard: bool) -> DeviceError:
    """For a process that ended; `noise` is what came before anything of ours."""
    tail = (ended.stderr.strip().splitlines() or [noise])[-1]
    if "Unknown option: -I" in ended.stderr:
        what, remedy = "its Python is older than 3.4", "name a Python of 3.8 or later there"
        return DeviceError(where, what, f"{remedy} in the target", PYTHON_TOO_OLD)
    if ended.status in (126, 127) or (not is_heard and "ommand not found" in tail):
        what = f"cannot start Python: {tail}"
        remedy = "install python3 (3.8 or later) there, or name it under 'python' in the target"
        return DeviceError(where, what, remedy, kind=NO_PYTHON)
    by_signal = ended.status is None or ended.status >= 128  # as shells report it
    if not by_signal and not is_heard and "Traceback" not in ended.stderr:
        what = f"the account runs no command of ours; it ended and said: {tail}"
        remedy = "give it a shell that runs commands (no nologin there, no ForceCommand)"
        return DeviceError(where, what, remedy, kind=NO_COMMANDS)
    if ended.status == 0:
        what = f"the device gave this side up: {tail}"
        return DeviceError(where, what, _LOST_REMEDY, kind=LINK_LOST)
    how = "was killed" if ended.status is None else f"ended with status {ended.status}"
    what = f"the agent {how}: {tail}"
    return DeviceError(where, what, "see whether the device ran out of memory", LINK_LOST)
