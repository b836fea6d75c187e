// SPDX-License-Identifier: MIT
//
// lowlevel.h - libfuse3, in the version of its interface that is used here.
#ifndef FUSE_LOWLEVEL_H
#define FUSE_LOWLEVEL_H

#define FUSE_USE_VERSION 32
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>

#endif
