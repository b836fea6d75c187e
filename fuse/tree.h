// SPDX-License-Identifier: MIT
//
// tree.h - the calls of the file system, as libfuse makes them.
#ifndef FUSE_TREE_H
#define FUSE_TREE_H

#include "lowlevel.h"

extern const struct fuse_lowlevel_ops tree_operations;

#endif
