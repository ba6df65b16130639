/*
 * What may be believed about a frame, from the table of messages in proto/wire.h.
 *
 * Pure functions: any node, any thread, never block.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_FRAME_H
#define DQ_PROTO_FRAME_H

#include "proto/wire.h"

/*
 * Is this a header that a node of this version can have sent? Knows nothing about who may
 * send what. 0; -EPROTO: unknown type, or `zero` is not; -EMSGSIZE: a length that its type
 * cannot have.
 */
int dq_frame_check(const struct dq_frame *f);

/* "GET_S" for DQ_MSG_GET_S; "unknown" for what the table does not name. Static text. */
const char *dq_msg_name(unsigned type);

/* Bytes of the fixed body; 0 for an unknown type. */
uint32_t dq_msg_size(unsigned type);

/* What may follow the fixed body: 0, DQ_PAGES or DQ_ANY; 0 for an unknown type. */
uint32_t dq_msg_trailing(unsigned type);

#endif
