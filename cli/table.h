// SPDX-License-Identifier: MIT
//
// table.h - text in aligned columns. Cells are copied when they are added; control characters in them
// are shown as '?', because names come from a directory that others may write to.
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
	size_t columns, cells;
	const char *alignment; // a letter a column: 'l' or 'r'
	char **cell;           // rows one after the other
};

void table_begin(struct table *table, const char *alignment);
__attribute__((format(printf, 2, 3))) void table_add(struct table *table, const char *format, ...);

void table_drop(struct table *table); // frees

// Prints and frees.
void table_end(struct table *table, FILE *out);

#endif
