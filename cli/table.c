// SPDX-License-Identifier: MIT
//
// table.c - see table.h.
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

void table_begin(struct table *table, const char *alignment)
{
	*table = (struct table){.columns = strlen(alignment), .alignment = alignment};
}

void table_add(struct table *table, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		memory_exhausted();
	va_end(args);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if ((table->cells & (table->cells - 1)) == 0) // full at each power of two
		table->cell =
			memory_resize(table->cell, table->cells ? table->cells * 2 : 1, sizeof *table->cell);
	table->cell[table->cells++] = text;
}

// Columns that a text takes on the screen: its code points, which is right for all but wide scripts.
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void measure(const struct table *table, size_t *widths)
{
	memset(widths, 0, TABLE_COLUMNS_MAX * sizeof *widths);
	for (size_t i = 0; i < table->cells; i++) {
		const size_t width = width_of(table->cell[i]);

		if (width > widths[i % table->columns])
			widths[i % table->columns] = width;
	}
}

static void put_cell(FILE *out, const char *text, size_t width, char align, bool last)
{
	const size_t own = width_of(text);
	const int pad = (int)(width - own);

	if (align == 'r')
		fprintf(out, "%*s", pad, "");
	fputs(text, out);
	if (last)
		fputc('\n', out);
	else
		fprintf(out, "%*s", (align == 'r' ? 0 : pad) + 2, "");
}

void table_drop(struct table *table)
{
	for (size_t i = 0; i < table->cells; i++)
		free(table->cell[i]);
	free(table->cell);
}

void table_end(struct table *table, FILE *out)
{
	size_t widths[TABLE_COLUMNS_MAX];

	measure(table, widths);
	for (size_t i = 0; i < table->cells; i++) {
		const size_t column = i % table->columns;

		put_cell(out, table->cell[i], widths[column], table->alignment[column],
		         column + 1 == table->columns);
	}
	table_drop(table);
}
