// SPDX-License-Identifier: MIT
#include "core/description.h"

#include "base/atomic.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#define NONBLOCK 1U
#define ONE_PROCESS (1U << 16)
#define PAGE_BYTES 65536
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint32_t))

// Pages of words; a page made before a fork is the family's, one made after it the process's own.
struct page {
	uint32_t *words;
	struct page *next;
};

static struct page *pages;
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;

static uint32_t *claim_in(struct page *p, uint32_t value)
{
	for (size_t i = 0; i < PAGE_WORDS; i++)
		if (load_relaxed_u32(&p->words[i]) == 0 && cas_acq_rel_u32(&p->words[i], 0, value))
			return &p->words[i];
	return NULL;
}

static struct page *add_page(void)
{
	struct page *p = malloc(sizeof *p);
	if (p == NULL)
		return NULL;
	p->words = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->words == MAP_FAILED) {
		free(p);
		return NULL;
	}
	p->next = pages;
	pages = p;
	return p;
}

uint32_t *phi_description_new(bool nonblock)
{
	uint32_t value = ONE_PROCESS | (nonblock ? NONBLOCK : 0);
	uint32_t *word = NULL;
	pthread_mutex_lock(&change);
	for (struct page *p = pages; p != NULL && word == NULL; p = p->next)
		word = claim_in(p, value);
	if (word == NULL) {
		struct page *p = add_page();
		if (p != NULL)
			word = claim_in(p, value);
	}
	pthread_mutex_unlock(&change);
	return word;
}

void phi_description_get(uint32_t *d)
{
	add_acq_rel_u32(d, ONE_PROCESS);
}

bool phi_description_put(uint32_t *d)
{
	// The last one clears the flags with the count; 0 is a free word.
	uint32_t rest = add_acq_rel_u32(d, 0 - ONE_PROCESS);
	if (rest != 0 && rest < ONE_PROCESS)
		store_release_u32(d, 0);
	return rest < ONE_PROCESS;
}

void phi_description_hold(void)
{
	pthread_mutex_lock(&change);
}

void phi_description_let_go(void)
{
	pthread_mutex_unlock(&change);
}

void phi_description_free(uint32_t *d)
{
	store_release_u32(d, 0);
}

uint32_t phi_description_flags(const uint32_t *d)
{
	return load_acquire_u32(d) & (ONE_PROCESS - 1);
}

void phi_description_raise(uint32_t *d, uint32_t flags)
{
	for (;;) {
		uint32_t v = load_relaxed_u32(d);
		if ((v & flags) == flags || cas_acq_rel_u32(d, v, v | flags))
			return;
	}
}

bool phi_description_nonblock(const uint32_t *d)
{
	return (load_relaxed_u32(d) & NONBLOCK) != 0;
}

void phi_description_set_nonblock(uint32_t *d, bool on)
{
	for (;;) {
		uint32_t v = load_relaxed_u32(d);
		if (cas_acq_rel_u32(d, v, on ? v | NONBLOCK : v & ~NONBLOCK))
			return;
	}
}
