#!/usr/bin/python3
"""At a terminal: Ctrl-C and Ctrl-Z do to the run what they do to a program.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pty
import select
import shutil
import signal
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAUNCH = os.environ.get("DQEMU_LAUNCH", TOP + "/build/dqemu-launch")
FAKE = os.environ.get("FAKE_NODE", TOP + "/build/tests/fake-node")
LIMIT = 10 * float(os.environ.get("DQEMU_TIME_SCALE", "1"))

points = failures = 0


def check(name, good, why=""):
    global points, failures
    points += 1
    failures += not good
    print("%s %d - %s" % ("ok" if good else "not ok", points, name), flush=True)
    if not good:
        print("# %s" % (why,), flush=True)


class Run:
    """A launcher that is the foreground job of a terminal of its own, under a shell-like parent."""

    def __init__(self, nodes, *words):
        self.output = b""
        self.parent, self.terminal = pty.fork()
        if self.parent == 0:
            self.shell([LAUNCH, "-n", str(nodes), "--node-binary", FAKE, "./prog"] + list(words))

    def shell(self, argv):
        """The session's leader: starts the job, and tells what becomes of it, as a shell does."""
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        job = os.fork()
        if job == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execv(argv[0], argv)
        while True:
            _, status = os.waitpid(job, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                os.tcsetpgrp(0, os.getpgrp())
                os.write(1, b"[stopped]\n")
                os.read(0, 1)
                os.tcsetpgrp(0, job)
                os.kill(-job, signal.SIGCONT)
                continue
            os.write(1, b"[status %d]\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)

    def wait_for(self, text):
        end = time.monotonic() + LIMIT
        while text not in self.output:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                return False
            try:
                data = os.read(self.terminal, 4096)
            except OSError:
                return text in self.output
            self.output += data
        return True

    def type(self, text):
        os.write(self.terminal, text)

    def close(self):
        os.kill(self.parent, signal.SIGKILL)
        os.waitpid(self.parent, 0)
        os.close(self.terminal)


def state(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[0]


def await_state(pid, wanted):
    end = time.monotonic() + LIMIT
    while state(pid) not in wanted:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_interrupt(nodes):
    run = Run(nodes, "0@run:say=up", "0@run:hang")
    run.wait_for(b"up")
    run.type(b"\x03")
    check("Ctrl-C ends a guest that does not handle it, %d nodes" % nodes,
          run.wait_for(b"[status 130]"), run.output)
    run.close()


def test_interrupt_once(nodes):
    run = Run(nodes, "0@run:wait-signal=2", "0@run:wait-signal=10")
    run.wait_for(b"ready")
    run.type(b"\x03")
    check("Ctrl-C reaches a guest that handles it, %d nodes" % nodes,
          run.wait_for(b"signal 2"), run.output)
    run.wait_for(b"ready\r\n^Csignal 2\r\nready")
    check("once", run.output.count(b"signal") == 1, run.output)
    run.close()


def test_stop(nodes):
    pids = "pids.%d" % nodes
    names = ["%d@run:pid=%s" % (k, pids) for k in range(nodes)]
    run = Run(nodes, *names, "0@run:say=up", "0@run:cat", "0@run:exit=5")
    run.wait_for(b"up")
    run.type(b"\x1a")
    check("Ctrl-Z stops the job, %d nodes" % nodes, run.wait_for(b"[stopped]"), run.output)
    with open(pids) as f:
        members = dict(map(int, line.split()) for line in f)
    check("on all nodes", all(await_state(p, "T") for p in members.values()), members)
    run.type(b"\n")
    check("and they go on together", all(await_state(p, "SR") for p in members.values()), members)
    run.type(b"more\n")
    check("the guest reads the terminal again", run.wait_for(b"more\r\nmore"), run.output)
    run.type(b"\x04")
    check("and ends as it would have", run.wait_for(b"[status 5]"), run.output)
    run.close()


def test_hangup(nodes):
    pids = "hangup.%d" % nodes
    names = ["%d@run:pid=%s" % (k, pids) for k in range(nodes)]
    run = Run(nodes, *names, "0@run:say=up", "0@run:hang")
    run.wait_for(b"up")
    with open(pids) as f:
        members = [int(line.split()[1]) for line in f]
    os.close(run.terminal)
    end = time.monotonic() + LIMIT
    while any(os.path.exists("/proc/%d" % p) for p in members) and time.monotonic() < end:
        time.sleep(0.01)
    check("a terminal that goes away ends the run, %d nodes" % nodes,
          not any(os.path.exists("/proc/%d" % p) for p in members))
    os.waitpid(run.parent, 0)


def main():
    if not (os.access(LAUNCH, os.X_OK) and os.access(FAKE, os.X_OK)):
        print("Bail out! the launcher and tests/fake-node must be built: run make test-programs")
        return 1
    folder = tempfile.mkdtemp(prefix="dqemu-test.")
    os.chdir(folder)
    with open("prog", "wb") as f:
        f.write(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\267\0" + bytes(44))
    os.chmod("prog", 0o755)
    try:
        for nodes in 1, 3:
            test_interrupt(nodes)
            test_interrupt_once(nodes)
            test_stop(nodes)
            test_hangup(nodes)
    finally:
        shutil.rmtree(folder)
    print("1..%d" % points)
    return 1 if failures else 0


sys.exit(main())
