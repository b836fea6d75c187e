// SPDX-License-Identifier: MIT
//
// executable.c - see executable.h. Reads the file as the kernel's loaders do: "#!", then ELF.
#include "executable.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SCRIPTS_MAX = 5, SEGMENTS_MAX = 256, LINE_MAX_BYTES = 256 };

// ---- where it is ----

static bool can_be_run(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	if (!S_ISREG(st.st_mode)) {
		errno = EACCES;
		return false;
	}
	return access(path, X_OK) == 0;
}

static bool join(char path[PATH_MAX], const char *dir, size_t length, const char *name)
{
	const int n = length == 0 ? snprintf(path, PATH_MAX, "%s", name)
	                          : snprintf(path, PATH_MAX, "%.*s/%s", (int)length, dir, name);

	return n > 0 && n < PATH_MAX;
}

bool executable_find(const char *name, char path[PATH_MAX])
{
	const char *dir = getenv("PATH");
	int err = ENOENT;

	if (*name == '\0' || strlen(name) >= PATH_MAX) {
		errno = ENOENT;
		return false;
	}
	if (strchr(name, '/')) {
		strcpy(path, name);
		return can_be_run(path);
	}
	for (dir = dir ? dir : "/bin:/usr/bin";; dir++) {
		const size_t length = strcspn(dir, ":");

		if (join(path, dir, length, name) && can_be_run(path))
			return true;
		if (errno == EACCES)
			err = EACCES; // another directory may have one
		dir += length;
		if (*dir == '\0')
			break;
	}
	errno = err;
	return false;
}

// ---- what it is ----

static bool read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	return pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

#if UINTPTR_MAX > 0xffffffff
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
enum { OWN_CLASS = ELFCLASS64 };
#else
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
enum { OWN_CLASS = ELFCLASS32 };
#endif

// This program's own machine, by its own header.
static bool is_of_this_machine(const elf_header *header)
{
	elf_header own;
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const bool known = fd >= 0 && read_at(fd, &own, sizeof own, 0);

	if (fd >= 0)
		close(fd);
	return header->e_ident[EI_CLASS] == OWN_CLASS && (!known || header->e_machine == own.e_machine);
}

// The dynamic linker that the program asks for. False: none.
static bool read_linker(int fd, const elf_header *header, char linker[PATH_MAX])
{
	elf_segment segment;

	for (unsigned i = 0; i < header->e_phnum && i < SEGMENTS_MAX; i++) {
		if (header->e_phentsize != sizeof segment ||
		    !read_at(fd, &segment, sizeof segment, header->e_phoff + i * sizeof segment))
			return false;
		if (segment.p_type == PT_INTERP && segment.p_filesz > 1 && segment.p_filesz < PATH_MAX &&
		    read_at(fd, linker, segment.p_filesz, segment.p_offset)) {
			linker[segment.p_filesz] = '\0';
			return true;
		}
	}
	return false;
}

// The GNU C library's is ld-linux-*.so.N, or ld64.so.N on some machines.
static bool is_of_glibc(const char *linker)
{
	const char *const slash = strrchr(linker, '/');
	const char *const name = slash ? slash + 1 : linker;

	return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld64.so", 7) == 0 ||
	       strncmp(name, "ld.so", 5) == 0;
}

static enum executable judge(int fd, const elf_header *header, char linker[PATH_MAX])
{
	if (!is_of_this_machine(header))
		return EXECUTABLE_OTHER_ABI;
	if (!read_linker(fd, header, linker))
		return EXECUTABLE_STATIC;
	return is_of_glibc(linker) ? EXECUTABLE_DYNAMIC : EXECUTABLE_OTHER_LIBC;
}

// Of "#!/usr/bin/env python3 -u": /usr/bin/env.
static bool read_interpreter(int fd, char file[PATH_MAX])
{
	char line[LINE_MAX_BYTES + 1];
	const ssize_t n = pread(fd, line, LINE_MAX_BYTES, 0);

	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	const char *const word = line + 2 + strspn(line + 2, " \t");
	const size_t length = strcspn(word, " \t");

	return length > 0 && join(file, "", 0, word) && (file[length] = '\0', true);
}

// The dynamic linker runs in secure mode where the file gives what its caller has not.
static bool is_privileged(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	return ((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	       ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid()) ||
	       (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0);
}

void executable_look_at(const char *path, struct executable_look *look)
{
	elf_header header;

	*look = (struct executable_look){.kind = EXECUTABLE_DYNAMIC};
	join(look->file, "", 0, path);
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		const int fd = open(look->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

		if (fd < 0)
			return;
		if (read_interpreter(fd, look->file)) {
			close(fd);
			continue;
		}
		look->privileged = is_privileged(fd);
		if (read_at(fd, &header, sizeof header, 0) && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0)
			look->kind = judge(fd, &header, look->linker);
		close(fd);
		return;
	}
}
