/*
 * Numeric addresses, in IPv4 or IPv6, as sockets take them.
 *
 * Pure functions: any thread, nothing is asked of a name service, nothing blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_ADDRESS_H
#define DQ_PROTO_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

/* `text` ("10.1.2.3", "fe80::1%eth0") and a port (host order) to *sa. -EINVAL: NULL, or no such thing. */
int dq_address_read(const char *text, uint16_t port, struct sockaddr_storage *sa,
                    socklen_t *length);

#endif
