/*
 * How much processor time each node takes, sampled from outside while it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cpu;

/* node_dir: where node.sh leaves the pids. */
struct cpu *cpu_open(int nodes, const char *node_dir);
void cpu_tick(struct cpu *c);
/* Percent of one processor per node between two moments of CLOCK_MONOTONIC; false: too short. */
bool cpu_shares(const struct cpu *c, int64_t from_ns, int64_t to_ns, double *percent);
void cpu_close(struct cpu *c);

/* The pid that node.sh left for node K; 0: none yet. */
pid_t cpu_node_pid(const char *node_dir, int node);

#endif
