/*
 * The errors of verbs and of the connection manager, in words for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/rdma.h"

const char *dq_rdma_why_status(enum ibv_wc_status status)
{
    switch (status) {
    case IBV_WC_WR_FLUSH_ERR:
        return "connection reset (its queue was flushed)";
    case IBV_WC_RETRY_EXC_ERR:
        return "connection failed: its RDMA device does not answer any more (retries exceeded)";
    case IBV_WC_RNR_RETRY_EXC_ERR:
        return "connection failed: it takes no more messages (receiver not ready)";
    case IBV_WC_LOC_LEN_ERR:
        return "sent a malformed message (longer than its buffer)";
    case IBV_WC_REM_ACCESS_ERR:
        return "connection failed: it refuses writes to its memory (remote access error)";
    case IBV_WC_REM_INV_REQ_ERR:
        return "connection failed: it refuses a message (remote invalid request)";
    case IBV_WC_REM_OP_ERR:
        return "connection failed: its RDMA device reports an error (remote operation error)";
    case IBV_WC_LOC_PROT_ERR:
    case IBV_WC_LOC_ACCESS_ERR:
        return "connection failed: this node's RDMA device may not use its memory (local "
               "protection error)";
    case IBV_WC_FATAL_ERR:
        return "connection failed: fatal error of an RDMA device";
    default:
        return "connection failed: error of an RDMA device";
    }
}

/* The reason that InfiniBand's connection manager gives when nobody listens. */
#define REJECTED_NO_SERVICE 8

const char *dq_rdma_why_event(enum rdma_cm_event_type type, int status)
{
    switch (type) {
    case RDMA_CM_EVENT_REJECTED:
        return status == REJECTED_NO_SERVICE || status == -ECONNREFUSED
                   ? "nobody listens there (connection refused)"
                   : "it rejects the connection";
    case RDMA_CM_EVENT_ADDR_ERROR:
        return status == -ETIMEDOUT ? "no answer from that address"
                                    : "no way to that address over RDMA";
    case RDMA_CM_EVENT_ROUTE_ERROR:
        return "no route to that address over RDMA";
    case RDMA_CM_EVENT_UNREACHABLE:
        return status == -ETIMEDOUT ? "no answer over RDMA; has it an RDMA device?"
                                    : "not reachable over RDMA";
    default:
        return "the connection failed";
    }
}

void dq_rdma_why_listen(struct dq_rdma *r, const char *address, int err)
{
    char *why = r->common.why;
    size_t size = sizeof(r->common.why);

    switch (err) {
    case ENODEV:
    case EADDRNOTAVAIL:
    case ENOENT:
        snprintf(why, size, "no RDMA device has address %s; use --transport tcp", address);
        break;
    case EACCES:
    case EPERM:
        snprintf(why, size,
                 "no permission to use RDMA devices; grant access to /dev/infiniband, "
                 "or use --transport tcp");
        break;
    case EADDRINUSE:
        snprintf(why, size, "the port is in use; choose another port");
        break;
    case EMFILE:
    case ENFILE:
        snprintf(why, size, "%s; raise the limit of open files", strerror(err));
        break;
    default:
        snprintf(why, size, "%s; use --transport tcp", strerror(err));
        break;
    }
}

void dq_rdma_why_memory(struct dq_rdma *r, size_t bytes, int err)
{
    struct rlimit limit;
    char *why = r->common.why;
    size_t size = sizeof(r->common.why);

    if ((err == ENOMEM || err == EPERM) && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY) {
        snprintf(
            why, size,
            "RDMA needs %zu bytes of locked memory, the limit is %llu; raise it (ulimit -l %zu)",
            bytes, (unsigned long long)limit.rlim_cur, (bytes + 1023) / 1024);
    } else {
        snprintf(why, size, "cannot register %zu bytes of memory with the RDMA device: %s", bytes,
                 strerror(err));
    }
}
