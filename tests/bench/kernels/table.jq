# The numbers of derive.jq as lines of cells.
#
# SPDX-License-Identifier: GPL-2.0-or-later

def fixed($digits): if . == null then "-" else
    pow(10; $digits) as $p | (. * $p | round) as $n
    | if $digits == 0 then "\($n)"
      else ($n % $p | tostring) as $low
      | "\($n / $p | floor).\("0" * ($digits - ($low | length)) // "")\($low)" end end;

def cells: [
    .name, .setup, "\(.nodes)", "\(.threads)",
    (.seconds | fixed(2)), (.speedup | fixed(2)), (.efficiency | fixed(0)),
    (.fault | fixed(0)), (.futex | fixed(0)), (.syscall | fixed(0)), (.compute | fixed(0)),
    (.busy | fixed(0)),
    (.faults | fixed(0)), (.pages | fixed(0)), (.megabytes | fixed(1)), (.messages | fixed(0)),
    (.futex_asked | fixed(0)), (.delegated | fixed(0)),
    (if .outcome == "good" then "" else .outcome end)];

["kernel", "setup", "nodes", "threads", "seconds", "speed-up", "eff.%", "fault%", "futex%",
 "syscall%", "rest%", "busy%", "faults", "pages", "MB", "messages", "futex", "syscalls", ""],
(inputs | cells)
| @tsv
