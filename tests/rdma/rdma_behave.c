/*
 * The tests of tests/unit/test_tcp.c, over RDMA: what a transport promises does not depend on
 * what carries it. Needs the numeric address of an RDMA device in DQEMU_TEST_ADDRESS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "proto/transport.h"

#define TEST_ADDRESS getenv("DQEMU_TEST_ADDRESS")
#define dq_transport_tcp dq_transport_rdma

#define main test_main
#include "tests/unit/test_tcp.c"
#undef main

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
