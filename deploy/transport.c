/*
 * What the nodes of a run talk over, when that is left to the launcher.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/transport.h"

#include <stdbool.h>
#include <string.h>

#include "deploy/options.h"
#include "deploy/say.h"
#include "proto/transport.h"

static bool all_have_rdma(const struct dq_options *options, char *text, size_t size)
{
    for (int node = 0; node < options->nodes; node++) {
        /* neighbours share an address more often than not */
        if (node > 0 && strcmp(options->addresses[node], options->addresses[node - 1]) == 0) {
            continue;
        }
        if (dq_rdma_probe(options->addresses[node], text, size) < 0) {
            return false;
        }
    }
    return true;
}

void dq_transport_choose(struct dq_options *options)
{
    char text[256];

    if (!options->auto_transport) {
        return;
    }
    options->config.transport =
        all_have_rdma(options, text, sizeof(text)) && options->config.protect != DQ_PROTECT_ENCRYPT
            ? DQ_CARRIER_RDMA
            : DQ_CARRIER_TCP;
    if (options->config.verbose > 0) {
        dq_say("transport: %s (%s)", dq_config_transport_name(options->config.transport), text);
    }
}
