/*
 * The configuration's defaults, and its tunables by name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/config.h"

#include <errno.h>
#include <string.h>

const struct dq_tunable dq_tunables[] = {
#define X(name, unit, standard, least, most, reason) {#name, unit, standard, least, most, reason},
#define S(name, unit, standard, least, most, reason)                                               \
    {"split." #name, unit, standard, least, most, reason},
#define C(name, unit, standard, least, most, reason)                                               \
    {"check." #name, unit, standard, least, most, reason},
#include "dqemu/tunables.inc"
#undef X
    {0},
};

static const char *const placements[] = {
    [DQ_PLACEMENT_SPREAD] = "spread",
    [DQ_PLACEMENT_PACK] = "pack",
    [DQ_PLACEMENT_MASTER_ONLY] = "master-only",
};

static const char *const protections[DQ_PROTECT_COUNT] = {
    [DQ_PROTECT_NONE] = "none",
    [DQ_PROTECT_INTEGRITY] = "integrity",
    [DQ_PROTECT_ENCRYPT] = "encrypt",
};

void dq_config_init(struct dq_config *cfg)
{
    *cfg = (struct dq_config){
        .nodes = 1,
        .bind = "127.0.0.1",
#define X(name, unit, standard, least, most, reason) .name = (standard),
#include "dqemu/tunables.inc"
#undef X
    };
}

static uint32_t *field(struct dq_config *cfg, const char *name)
{
#define X(field, unit, standard, least, most, reason)                                              \
    if (strcmp(name, #field) == 0) {                                                               \
        return &cfg->field;                                                                        \
    }
#define S(field, unit, standard, least, most, reason)                                              \
    if (strcmp(name, "split." #field) == 0) {                                                      \
        return &cfg->split_##field;                                                                \
    }
#define C(field, unit, standard, least, most, reason)                                              \
    if (strcmp(name, "check." #field) == 0) {                                                      \
        return &cfg->check_##field;                                                                \
    }
#include "dqemu/tunables.inc"
#undef X
    return NULL;
}

int dq_config_tune(struct dq_config *cfg, const char *name, uint64_t value)
{
    for (const struct dq_tunable *t = dq_tunables; t->name; t++) {
        if (strcmp(name, t->name) == 0) {
            if (value < t->least || value > t->most) {
                return -ERANGE;
            }
            *field(cfg, name) = (uint32_t)value;
            return 0;
        }
    }
    return -ENOENT;
}

uint32_t dq_config_tuned(const struct dq_config *cfg, const char *name)
{
    struct dq_config copy = *cfg;

    return *field(&copy, name);
}

int dq_config_placement(const char *name, enum dq_placement *out)
{
    for (unsigned i = 0; i < sizeof(placements) / sizeof(*placements); i++) {
        if (strcmp(name, placements[i]) == 0) {
            *out = (enum dq_placement)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *dq_config_placement_name(enum dq_placement placement)
{
    return placements[placement];
}

int dq_config_protect(const char *name, enum dq_protect *out)
{
    for (unsigned i = 0; i < DQ_PROTECT_COUNT; i++) {
        if (strcmp(name, protections[i]) == 0) {
            *out = (enum dq_protect)i;
            return 0;
        }
    }
    return -EINVAL;
}

static const char *const carriers[] = {
    [DQ_CARRIER_TCP] = "tcp",
    [DQ_CARRIER_RDMA] = "rdma",
};

int dq_config_transport(const char *name, enum dq_carrier *out)
{
    for (unsigned i = 0; i < sizeof(carriers) / sizeof(*carriers); i++) {
        if (strcmp(name, carriers[i]) == 0) {
            *out = (enum dq_carrier)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *dq_config_protect_name(enum dq_protect protect)
{
    return protections[protect];
}

const char *dq_config_transport_name(enum dq_carrier transport)
{
    return carriers[transport];
}
