// SPDX-License-Identifier: MIT
//
// The first 512 bytes of every object: who made it, what it is, and the stamp by which differently
// built programs refuse each other. Written once before the object gets its name, and never again;
// attachers copy it, check the copy, and use only the copy (pid_ns apart: it changes while nobody is
// attached, see life.h). The room's own layout follows at PHI_REGION_BODY.
#ifndef PHI_CORE_LAYOUT_H
#define PHI_CORE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define PHI_REGION_MAGIC UINT64_C(0x3165747361687370) // "pshaste1" in memory
#define PHI_REGION_BODY 512

enum phi_kind {
	PHI_KIND_MQ = 1,
	PHI_KIND_PIPE = 2,
	PHI_KIND_SEM = 3,
	PHI_KIND_SIGNAL = 4,  // a process's port
	PHI_KIND_SIGPORT = 5, // a named one
};

//   0        8        16       24       32       40       48       56
//   +--------+--------+--------+--------+--------+--------+--------+--------+
//   | magic  |kind|lay| bytes  | id[0]  | id[1]  | pid_ns |created |pid|rsvd|
//   +--------+--------+--------+--------+--------+--------+--------+--------+
//   | geometry[8]: the room's sizes and counts                              |
//   +-----------------------------------------------------------------------+
//   | name[256]: without the slash, terminated                              |
//   +-----------------------------------------------------------------------+
struct phi_region_header {
	uint64_t magic;
	uint32_t kind;     // enum phi_kind
	uint32_t layout;   // the room's layout version
	uint64_t bytes;    // size of the whole file
	uint64_t id[2];    // random; names companions, tells two objects of one name apart
	uint64_t pid_ns;   // inode of the users' pid namespace; 0 = unknown; see life.h
	int64_t created_s; // seconds since the epoch
	int32_t creator;   // pid, diagnostic
	uint32_t reserved;
	uint64_t geometry[8];
	char name[256];
	uint8_t pad[PHI_REGION_BODY - 384];
};

_Static_assert(sizeof(struct phi_region_header) == PHI_REGION_BODY, "region header size");
_Static_assert(offsetof(struct phi_region_header, geometry) == 64, "geometry offset");
_Static_assert(offsetof(struct phi_region_header, name) == 128, "name offset");

// Byte ranges of the object's file that carry open-file-description locks. They hold no data: the
// kernel drops them when the last descriptor of an open is gone, however that happened, and so they
// are the only judge of who lives. They lie far beyond any size.
#define PHI_LOCKBYTE_ATTACHED (INT64_C(1) << 56) // read-locked by every open
#define PHI_LOCKBYTE_HOLDER (INT64_C(1) << 57)   // + holder number: write-locked by one open
#define PHI_HOLDERS 4096

#endif
