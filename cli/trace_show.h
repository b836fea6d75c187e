// SPDX-License-Identifier: MIT
//
// trace_show.h - recorded operations for people and for programs.
#ifndef TRACE_SHOW_H
#define TRACE_SHOW_H

#include "recording.h"

// A line each. `on`: lines were printed before, or others will follow.
void trace_show(const struct recordings *all, bool as_json, bool on);

#endif
