// SPDX-License-Identifier: MIT
//
// The page of a run. See bench_page.h. A chapter is a table of a room: what ran of it, in one row.
#include "bench_page.h"

#include "bench_text.h"
#include "cli.h"
#include "memory.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define STEM_MAX 64

static struct bench_entry *entries;
static size_t entry_count;

int bench_page_begin(const char *dir)
{
	if ((mkdir(dir, 0777) != 0 && errno != EEXIST) || access(dir, W_OK | X_OK) != 0)
		return cli_fail(STATUS_REFUSED, dir, "a report cannot be written there: %s",
		                strerror(errno));
	if (!bench_picture_able())
		return cli_fail(
			STATUS_REFUSED, "--report",
			"takes gnuplot, which is not here; install it with: apt-get install gnuplot-nox");
	return STATUS_DONE;
}

void bench_page_add(const struct bench_row *row, const struct bench_options *opt)
{
	entries = memory_resize(entries, entry_count + 1, sizeof(*entries));
	struct bench_entry *entry = &entries[entry_count++];
	entry->row = *row;
	entry->sides = opt->sides;
	for (size_t s = 0; s < opt->sides; s++)
		snprintf(entry->name[s], sizeof(entry->name[s]), "%s", opt->side[s].name);
}

// ---- the page ----

static void put_text(FILE *page, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<': fputs("&lt;", page); break;
		case '>': fputs("&gt;", page); break;
		case '&': fputs("&amp;", page); break;
		default: putc(*text, page);
		}
	}
}

static void put_cell(FILE *page, const char *tag, const char *text)
{
	fprintf(page, "<%s>", tag);
	put_text(page, text);
	fprintf(page, "</%s>", tag);
}

static void put_head(FILE *page, const struct bench_options *opt)
{
	struct utsname os;
	char date[40] = "";
	const time_t now = time(NULL);
	struct tm tm;
	if (uname(&os) != 0)
		memset(&os, 0, sizeof(os));
	if (localtime_r(&now, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M %z", &tm);
	fputs(
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<title>posthaste bench</title>\n<style>\n"
		"body { font: 16px/1.5 sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }\n"
		"img { width: 100%; height: auto; margin: 1rem 0 }\n"
		".wide { overflow-x: auto }\n"
		"table { border-collapse: collapse; font-size: 0.85rem }\n"
		"th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }\n"
		"th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }\n"
		"</style>\n</head>\n<body>\n<h1>posthaste bench</h1>\n",
		page);
	fprintf(
		page,
		"<p>%s, %s %s, %u CPUs. Medians of %u repetitions of %.0f ms, those of the contestants in turn."
		" Compare what is on this page with each other only: the same machine is another one tomorrow."
		"</p>\n",
		date, os.sysname, os.release, bench_cpus(), opt->reps, (double)opt->ns / 1e6);
}

static void put_picture(FILE *page, const char *stem, const char *alt)
{
	fprintf(page, "<a href=\"%s.png\"><img src=\"%s.svg\" alt=\"", stem, stem);
	put_text(page, alt);
	fputs("\"></a>\n", page);
}

static void put_figures(FILE *page, const struct bench_entry *entry, size_t s)
{
	const struct bench_result *r = &entry->row.result[s], *ours = &entry->row.result[0];
	put_cell(page, "td", r->error[0] ? "failed" : r->ran ? bench_duration(r->ns) : "-");
	if (s > 0)
		put_cell(page, "td",
		         r->ran && ours->ran && ours->ns > 0 ? bench_number(r->ns / ours->ns) : "-");
}

static void put_table(FILE *page, const struct bench_entry *entry, size_t n)
{
	fputs("<div class=\"wide\"><table>\n<tr><th>test</th><th></th><th>size</th>", page);
	for (size_t s = 0; s < entry->sides; s++) {
		put_cell(page, "th", entry->name[s]);
		if (s > 0)
			fputs("<th>ratio</th>", page);
	}
	fputs("</tr>\n", page);
	for (size_t i = 0; i < n; i++) {
		fputs("<tr>", page);
		put_cell(page, "td", entry[i].row.c->test);
		put_cell(page, "td", entry[i].row.c->what);
		put_cell(page, "td", bench_size_text(entry[i].row.c->size));
		for (size_t s = 0; s < entry[i].sides; s++)
			put_figures(page, &entry[i], s);
		fputs("</tr>\n", page);
	}
	fputs("</table></div>\n", page);
}

static bool put_chapter(FILE *page, const char *dir, const char *stem,
                        const struct bench_entry *entry, size_t n)
{
	char picture[2 * STEM_MAX];
	bool failed = false;
	fputs("<h2>", page);
	put_text(page, entry->row.room->what);
	fputs("</h2>\n", page);
	snprintf(picture, sizeof(picture), "%s-ratios", stem);
	if (bench_picture_ratios(dir, picture, entry, n, &failed))
		put_picture(page, picture, "how many times as fast, by test");
	snprintf(picture, sizeof(picture), "%s-sizes", stem);
	if (bench_picture_sizes(dir, picture, entry, n, &failed))
		put_picture(page, picture, "throughput by size");
	for (size_t i = 0; i < n; i++) {
		snprintf(picture, sizeof(picture), "%s-%s", stem, entry[i].row.c->test);
		if (bench_picture_latency(dir, picture, &entry[i], &failed))
			put_picture(page, picture, "distribution of the times of single operations");
	}
	put_table(page, entry, n);
	return !failed;
}

static size_t chapter_length(size_t from)
{
	size_t n = 1;
	while (from + n < entry_count && entries[from + n].row.room == entries[from].row.room)
		n++;
	return n;
}

static bool put_chapters(FILE *page, const char *dir)
{
	char stem[STEM_MAX], before[STEM_MAX] = "";
	bool good = true;
	unsigned part = 1;
	for (size_t i = 0, n; i < entry_count; i += n) {
		const char *room = entries[i].row.room->name;
		n = chapter_length(i);
		part = strcmp(room, before) == 0 ? part + 1 : 1;
		snprintf(before, sizeof(before), "%s", room);
		if (part > 1)
			snprintf(stem, sizeof(stem), "%.40s-%u", room, part);
		else
			snprintf(stem, sizeof(stem), "%.40s", room);
		good &= put_chapter(page, dir, stem, &entries[i], n);
	}
	return good;
}

int bench_page_end(const struct bench_options *opt)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/index.html", opt->report);
	FILE *page = fopen(path, "w");
	if (!page)
		return cli_fail(STATUS_REFUSED, path, "%s", strerror(errno));
	put_head(page, opt);
	const bool drawn = put_chapters(page, opt->report);
	fputs(
		"<p>A ratio above 1: posthaste is faster. The pictures are drawn from the .gp files beside this page.</p>\n"
		"</body>\n</html>\n",
		page);
	const bool written = !ferror(page);
	free(entries);
	entries = NULL;
	entry_count = 0;
	if (fclose(page) != 0 || !written)
		return cli_fail(STATUS_REFUSED, path, "cannot be written: %s", strerror(errno));
	fprintf(stderr, "posthaste: bench: the report is %s\n", path);
	return drawn ? STATUS_DONE : STATUS_REFUSED;
}
