"""What an agent is compiled to; imports nothing of the agent, as the loader runs this by itself."""

from __future__ import annotations

import importlib.util
import io
import marshal
import zipfile

_EPOCH = (1980, 1, 1, 0, 0, 0)
# The hash of the source follows, and nobody compares it: the whole file has one.
_UNCHECKED = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")


def compiled(agent: bytes) -> bytes:
    """The zip of an agent with the bytecode of this Python beside each source."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(agent)) as before, zipfile.ZipFile(content, "w") as after:
        for name in before.namelist():
            source = before.read(name)
            code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
            head = _UNCHECKED + importlib.util.source_hash(source)
            for member, data in ((f"{name}c", head + code), (name, source)):
                info = zipfile.ZipInfo(member, _EPOCH)
                # A start waits for it, and a twentieth is all that more would save.
                after.writestr(info, data, zipfile.ZIP_DEFLATED, compresslevel=1)
    return content.getvalue()
