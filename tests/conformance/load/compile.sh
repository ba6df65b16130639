# shellcheck shell=bash
# The compiler with all that it starts; what it makes runs, and has threads.
# SPDX-License-Identifier: GPL-2.0-or-later
cat >sum.cc <<'CC'
#include <atomic>
#include <iostream>
#include <thread>
#include <vector>
int main() {
    std::atomic<long> sum{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&, i] { for (int k = 0; k < 1000; k++) sum += i; });
    for (auto &t : threads) t.join();
    std::cout << sum << "\n";
}
CC
guest g++ --sysroot="$SYSROOT" -O2 -pthread -static -o sum sum.cc &&
    [ "$(guest "$PWD/sum")" = 6000 ]
