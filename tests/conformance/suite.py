# Run test modules of Python's library; a line for each test, as soon as it has ended:
#   pass TEST | fail TEST | skip TEST
# and "begin TEST" for one that did not end. Status 0 if no test failed.
#
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import sys
import unittest

from test import support


class Lines(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out, self.failed, self.verdict = out, 0, None

    def say(self, verdict, test):
        self.out.write(f"{verdict} {test.id()}\n")
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.verdict = "pass"

    def stopTest(self, test):
        super().stopTest(test)
        self.say(self.verdict, test)
        self.failed += self.verdict == "fail"

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.fail(test)

    def addError(self, test, error):
        super().addError(test, error)
        self.fail(test)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.fail(test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.verdict = "skip"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.fail(test)

    def fail(self, test):
        trace = (self.errors or self.failures)[-1:] + self.failures[-1:]
        print(test.id(), *(text for _, text in trace), sep="\n", file=sys.stderr)
        if self.verdict is None:  # a fixture of a class or a module
            self.say("fail", test)
            self.failed += 1
        self.verdict = "fail"


def main():
    # tests write to the standard output themselves
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    support.use_resources = {}
    names = ["test." + name for name in sys.argv[1:]]
    tests = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = Lines(out)
    tests.run(result)
    sys.exit(result.failed != 0)


if __name__ == "__main__":
    main()
