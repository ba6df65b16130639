/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

int dq_address_read(const char *text, uint16_t port, struct sockaddr_storage *sa, socklen_t *length)
{
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *ai;
    char service[16];

    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (!text || getaddrinfo(text, service, &hints, &ai)) {
        return -EINVAL;
    }
    memcpy(sa, ai->ai_addr, ai->ai_addrlen);
    *length = ai->ai_addrlen;
    freeaddrinfo(ai);
    return 0;
}
