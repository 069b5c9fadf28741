"""The first thing that runs on a device: a few lines that fetch the agent and become it.

    python3 -IS -c LOADER ROOT AGENT_SHA256 AGENT_BYTES keep|memory

It goes there as an argument, so that one process and one round trip are enough. Where the agent is
missing it prints `{"edgeq": "send"}` and reads it from standard input; what stops it is one line,
`{"edgeq": "refused", "kind": ..., "message": ...}`. With `memory` it writes nothing to the disk: an
agent that is not there is run from memory. Old Pythons must understand enough of it to say that
they are too old; those older than 3.4 know no -I and end before it, from which the host tells.
A host that says nothing for two minutes while it should send the agent ends this. Whatever the
umask there is, nobody else may write to what comes.

A compiled agent (agent/store/compiled.py) is run in its place where it is whole and only this user
may write to it and its folder; otherwise as if it were not there. Where there is none and the mode
is `keep` it is made, before anything of the agent runs: this session and its jobs start with it.
"""

from __future__ import annotations

LOADER = """\
import errno, json, os, sys
def refuse(kind, where, what, remedy):
    message = "%s: %s; %s" % (where, what, remedy)
    line = json.dumps({"edgeq": "refused", "kind": kind, "message": message})
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()
    os._exit(1)
if sys.version_info < (3, 8):
    refuse("python-too-old", sys.executable, "is Python " + sys.version.split()[0],
           "name a Python of 3.8 or later in the target")
import hashlib, zipimport
os.umask(os.umask(0o022) | 0o022)
root = os.path.abspath(os.path.expanduser(sys.argv[1]))
digest, size = sys.argv[2], int(sys.argv[3])
folder = os.path.join(root, "agent")
path = os.path.join(folder, digest + ".pyz")
def sync(name):
    fd = os.open(name, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)
def make(name):
    if not os.path.isdir(name):
        make(os.path.dirname(name))
        try:
            os.mkdir(name)
        except OSError:
            if not os.path.isdir(name):
                raise
        sync(os.path.dirname(name))
def is_there():
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest() == digest
    except OSError as exc:
        if exc.errno != errno.ENOENT and sys.argv[4:] != ["memory"]:
            raise
        return False
def fetch():
    import signal
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    sys.stdout.write(json.dumps({"edgeq": "send"}) + "\\n")
    sys.stdout.flush()
    content = b""
    while len(content) < size:
        signal.alarm(120)
        piece = os.read(0, min(size - len(content), 65536))
        if not piece:
            os._exit(1)
        content += piece
    signal.alarm(0)
    if hashlib.sha256(content).hexdigest() != digest:
        refuse("garbled", path, "the agent did not arrive as it was sent", "try again")
    return content
def hold(content):
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("agent.pyz")
    else:
        import tempfile
        fd = os.dup(tempfile.TemporaryFile().fileno())
    with os.fdopen(os.dup(fd), "wb") as stream:
        stream.write(content)
    return "/proc/%d/fd/%d" % (os.getpid(), fd)
def keep(content, path):
    temporary = "%s.%d.new" % (path, os.getpid())
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise
    sync(folder)
def is_own(name, kind):
    status = os.lstat(name)
    return status.st_uid == os.geteuid() and status.st_mode & 0o170022 == kind
def compiled():
    start, end = "%s.%s." % (digest, sys.implementation.cache_tag), ".pyz"
    try:
        if not is_own(folder, 0o040000):
            return path
        for name in os.listdir(folder):
            whole = os.path.join(folder, name)
            if name.startswith(start) and name.endswith(end) and is_own(whole, 0o100000):
                with open(whole, "rb") as stream:
                    found = hashlib.sha256(stream.read()).hexdigest()
                if name == start + found + end:
                    return whole
        if sys.argv[4:] == ["memory"] or not os.access(folder, os.W_OK):
            return path
        made = {"__name__": "bytecode"}
        exec(zipimport.zipimporter(path + "/agent/store").get_code("bytecode"), made)
        with open(path, "rb") as stream:
            content = made["compiled"](stream.read())
        whole = os.path.join(folder, start + hashlib.sha256(content).hexdigest() + end)
        keep(content, whole)
        return whole
    except (OSError, MemoryError):
        return path
try:
    if sys.argv[4:] != ["memory"]:
        make(folder)
    if is_there():
        path = compiled()
    elif sys.argv[4:] != ["memory"]:
        keep(fetch(), path)
        path = compiled()
    else:
        path = hold(fetch())
except OSError as exc:
    kinds = {
        errno.ENOSPC: "disk-full", errno.EDQUOT: "disk-full", errno.EROFS: "read-only",
        errno.EACCES: "denied", errno.EPERM: "denied",
        errno.ENOTDIR: "not-a-folder", errno.EEXIST: "not-a-folder",
        errno.ENOENT: "busy",
    }
    where = getattr(exc, "filename", None) or path
    remedy = "look after it, or choose another root in the target"
    if exc.errno == errno.ENOENT:
        remedy = "another session removes what it leads through; try again"
    refuse(kinds.get(exc.errno, "bug"), where, str(exc.strerror).lower(), remedy)
sys.argv = [path, "serve", root]
sys.path.insert(0, path)
exec(zipimport.zipimporter(path).get_code("__main__"), {"__name__": "__main__"})
"""
