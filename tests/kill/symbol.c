// SPDX-License-Identifier: MIT
//
// tests/kill/symbol.c - from a code address to "function+offset (file, 0xaddress)", for reports only.
//
// dladdr() sees exported names alone, and what a sweep reports about are mostly hidden and static
// functions: so this reads the symbol table of the file itself. The files are this program's own, and
// are trusted.
#include "sweep.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	uint64_t pc;
	uint64_t base;
	char file[256];
	bool found;
};

static int holds_pc(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *p = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		const uint64_t start = info->dlpi_addr + h->p_vaddr;
		if (h->p_type != PT_LOAD || p->pc < start || p->pc >= start + h->p_memsz)
			continue;
		p->base = info->dlpi_addr;
		p->found = true;
		snprintf(p->file, sizeof(p->file), "%s",
		         info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe");
		return 1;
	}
	return 0;
}

struct best {
	char name[128];
	uint64_t offset;
};

static void search_table(const char *image, const Elf64_Shdr *table, const Elf64_Shdr *strings,
                         uint64_t address, struct best *best)
{
	const Elf64_Sym *sym = (const Elf64_Sym *)(image + table->sh_offset);

	for (size_t i = 0; i < table->sh_size / sizeof(*sym); i++) {
		const uint64_t offset = address - sym[i].st_value;
		if (ELF64_ST_TYPE(sym[i].st_info) > STT_FUNC || sym[i].st_value == 0)
			continue;
		if (sym[i].st_name == 0 || offset >= best->offset)
			continue;
		best->offset = offset;
		snprintf(best->name, sizeof(best->name), "%s", image + strings->sh_offset + sym[i].st_name);
	}
}

static void search_image(const char *image, uint64_t address, struct best *best)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(image + eh->e_shoff);

	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_ident[EI_CLASS] != ELFCLASS64)
		return;
	for (int i = 0; i < eh->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB || sections[i].sh_type == SHT_DYNSYM)
			search_table(image, &sections[i], &sections[sections[i].sh_link], address, best);
}

static void search_file(const char *file, uint64_t address, struct best *best)
{
	struct stat st;
	const int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		char *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (image != MAP_FAILED) {
			search_image(image, address, best);
			munmap(image, (size_t)st.st_size);
		}
	}
	close(fd);
}

static void resolve_self(char *file, size_t size)
{
	char path[256];
	const ssize_t len = readlink(file, path, sizeof(path) - 1);

	if (len <= 0)
		return;
	path[len] = 0;
	snprintf(file, size, "%s", path);
}

const char *kill_symbol(uint64_t pc, char *buf, size_t size)
{
	struct place place = {.pc = pc};
	struct best best = {.offset = 1 << 16};

	dl_iterate_phdr(holds_pc, &place);
	if (place.found)
		search_file(place.file, pc - place.base, &best);
	resolve_self(place.file, sizeof(place.file));
	if (best.name[0])
		snprintf(buf, size, "%s+%#lx (addr2line -fie %s %#lx)", best.name,
		         (unsigned long)best.offset, place.file, (unsigned long)(pc - place.base));
	else
		snprintf(buf, size, "%#lx (%s)", (unsigned long)pc, place.found ? place.file : "?");
	return buf;
}
