// SPDX-License-Identifier: MIT
//
// messages.h - the files of DIR/messages: a read receives a message, a write sends one.
#ifndef FUSE_MESSAGES_H
#define FUSE_MESSAGES_H

#include "lowlevel.h"

struct channel; // an open file

// Opens the queue NAME (without its slash) for what `flags` says: 0 or an errno.
int channel_open(const char *name, int flags, struct channel **out);
void channel_close(struct channel *channel);

// Answer the request, perhaps later, and perhaps from another thread. `nonblock`: EAGAIN instead of later.
void channel_read(struct channel *channel, fuse_req_t req, size_t room, bool nonblock);
void channel_write(struct channel *channel, fuse_req_t req, const char *data, size_t size,
                   bool nonblock);

// The largest request that the kernel passes on in one piece.
void channel_limit(size_t bytes);

#endif
