/*
 * Has this machine an RDMA device for an address?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/rdma.h"

static int describe(struct rdma_cm_id *id, const char *address, char *text, size_t size)
{
    const char *device = ibv_get_device_name(id->verbs->device);
    struct ibv_port_attr port;

    if (ibv_query_port(id->verbs, id->port_num, &port)) {
        snprintf(text, size, "RDMA device %s does not tell its state: %s", device, strerror(errno));
        return -EIO;
    }
    if (port.state != IBV_PORT_ACTIVE) {
        snprintf(text, size, "RDMA device %s, which has address %s, has no active port", device,
                 address);
        return -ENETDOWN;
    }
    snprintf(text, size, "RDMA device %s port %d has address %s", device, (int)id->port_num,
             address);
    return 0;
}

/* Binding finds the device of an address, whichever kind of network it is on. */
static int bind_and_describe(struct rdma_event_channel *channel, const char *address,
                             struct sockaddr *sa, char *text, size_t size)
{
    struct rdma_cm_id *id;
    int err = 0;

    if (rdma_create_id(channel, &id, NULL, RDMA_PS_TCP)) {
        err = -errno;
        snprintf(text, size, "this machine's RDMA does not work: %s", strerror(-err));
        return err;
    }
    if (rdma_bind_addr(id, sa)) {
        err = -errno;
    }
    if (err == 0 && id->verbs) {
        err = describe(id, address, text, size);
    } else {
        err = err ? err : -ENODEV;
        snprintf(text, size, "no RDMA device of this machine has address %s", address);
    }
    rdma_destroy_id(id);
    return err;
}

int dq_rdma_probe(const char *address, char *text, size_t size)
{
    struct rdma_event_channel *channel;
    struct sockaddr_storage sa;
    socklen_t length;
    int err = dq_address_read(address, 0, &sa, &length);

    if (err) {
        snprintf(text, size, "%s is not a numeric address", address);
        return err;
    }
    if (access("/dev/infiniband/rdma_cm", F_OK) != 0) {
        snprintf(text, size, "this machine has no RDMA devices");
        return -ENODEV;
    }
    channel = rdma_create_event_channel();
    if (!channel) {
        err = -errno;
        snprintf(text, size, "RDMA cannot be used: %s", strerror(-err));
        return err;
    }
    err = bind_and_describe(channel, address, (struct sockaddr *)&sa, text, size);
    rdma_destroy_event_channel(channel);
    return err;
}
