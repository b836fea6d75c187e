// SPDX-License-Identifier: MIT
//
// Pictures of a run, drawn by gnuplot. See bench_page.h.
//
// Colours are those of Okabe and Ito, which people with any kind of colour vision tell apart; contestants differ in
// dashes and points as well. Times, sizes and rates span decades, so their axes are logarithmic.
#include "bench_page.h"

#include "bench_text.h"
#include "cli.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define POINTS_LEAST 3 // fewer are no curve
#define SIZES_HEIGHT 540
#define LATENCY_HEIGHT 640

static bool be_silent(void *arg)
{
	const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	(void)arg;
	return fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0;
}

static bool go_to(void *dir)
{
	return chdir(dir) == 0;
}

static int gnuplot(char *argument, bool (*prepare)(void *), void *arg)
{
	char name[] = "gnuplot";
	char *argv[] = {name, argument, NULL};
	struct program program = {.argv = argv};
	if (!program_start(&program, prepare, arg))
		return 127;
	program_wait(&program);
	return program.status;
}

bool bench_picture_able(void)
{
	char argument[] = "--version";
	return gnuplot(argument, be_silent, NULL) == 0;
}

// ---- scripts ----

// What is said of a picture stands above its data, so that gnuplot can be run again on the file as it is.
static FILE *begin(const char *dir, const char *stem)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s.gp", dir, stem);
	FILE *gp = fopen(path, "w");
	if (!gp) {
		cli_fail(STATUS_REFUSED, path, "%s", strerror(errno));
		return NULL;
	}
	fprintf(gp,
	        "# gnuplot %s.gp: draws %s.svg and %s.png.\n"
	        "set encoding utf8\n"
	        "set termoption noenhanced\n"
	        "set linetype 1 linecolor rgb '#0072B2' linewidth 2.4 dashtype 1 pointtype 7\n"
	        "set linetype 2 linecolor rgb '#D55E00' linewidth 2 dashtype (8,4) pointtype 9\n"
	        "set linetype 3 linecolor rgb '#009E73' linewidth 2 dashtype (3,3) pointtype 5\n"
	        "set linetype 4 linecolor rgb '#CC79A7' linewidth 2 dashtype (12,3,3,3) pointtype 13\n"
	        "set linetype 5 linecolor rgb '#E69F00' linewidth 2 dashtype (2,5) pointtype 11\n"
	        "set linetype 6 linecolor rgb '#56B4E9' linewidth 2 dashtype 1 pointtype 4\n"
	        "set linetype 7 linecolor rgb '#000000' linewidth 2 dashtype (8,4) pointtype 6\n"
	        "set border 3 linecolor rgb '#555555'\n"
	        "set tics nomirror\n"
	        "set grid linecolor rgb '#d0d0d0' linewidth 1 dashtype 1\n",
	        stem, stem, stem);
	return gp;
}

// From here on everything is drawn twice.
static void begin_drawing(FILE *gp, const char *stem, int height)
{
	fprintf(
		gp,
		"do for [kind in 'svg png'] {\n"
		"if (kind eq 'svg') {\n"
		"set terminal svg size 900,%d dynamic noenhanced background '#ffffff' font 'sans-serif,14'\n"
		"} else {\n"
		"set terminal pngcairo size 1350,%d noenhanced font 'sans,15' linewidth 1.5 pointscale 1.5\n"
		"}\n"
		"set output '%s.'.kind\n",
		height, height * 3 / 2, stem);
}

// The title, below it the legend with so many lines, below that the picture.
__attribute__((format(printf, 4, 5))) static void heading(FILE *gp, int height, size_t lines,
                                                          const char *format, ...)
{
	const double line = 24.0 / height, top = 1 - 2.2 * line;
	va_list args;
	fputs("set label 1 '", gp);
	va_start(args, format);
	vfprintf(gp, format, args);
	va_end(args);
	fprintf(gp,
	        "' at screen 0.5, screen %.4f center font ',17'\n"
	        "set key at screen 0.5, screen %.4f center top vertical maxrows %zu Left reverse\n"
	        "set tmargin at screen %.4f\n",
	        1 - line, top, lines ? lines : 1, top - ((double)lines + 0.5) * line);
}

static bool end_drawing(FILE *gp, const char *dir, const char *stem)
{
	char script[80], path[PATH_MAX];
	fputs("unset output\n}\n", gp);
	snprintf(script, sizeof(script), "%s.gp", stem);
	const bool written = fclose(gp) == 0;
	snprintf(path, sizeof(path), "%s", dir);
	if (written && gnuplot(script, go_to, path) == 0)
		return true;
	cli_fail(STATUS_REFUSED, stem, "could not be drawn; see what gnuplot says of %s/%s", dir,
	         script);
	return false;
}

// There is nothing to draw.
static bool drop(FILE *gp, const char *dir, const char *stem)
{
	char path[PATH_MAX];
	fclose(gp);
	snprintf(path, sizeof(path), "%s/%s.gp", dir, stem);
	unlink(path);
	return false;
}

static void time_tics(FILE *gp, bool labels)
{
	static const char *const text[] = {"1 ns",   "10 ns", "100 ns", "1 µs",   "10 µs",
	                                   "100 µs", "1 ms",  "10 ms",  "100 ms", "1 s"};
	double ns = 1;
	fputs("set xtics (", gp);
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++, ns *= 10)
		fprintf(gp, "%s'%s' %g", i ? ", " : "", labels ? text[i] : "", ns);
	fputs(")\n", gp);
}

// ---- how many times as fast ----

static double ratio_of(const struct bench_row *row)
{
	const struct bench_result *ours = &row->result[0], *other = &row->result[1];
	const bool both = ours->ran && other->ran && ours->ns > 0;
	return both && row->c->kind != BENCH_IDLE ? other->ns / ours->ns : 0;
}

static size_t ratio_data(FILE *gp, const struct bench_entry *entry, size_t n)
{
	size_t rows = 0;
	fputs("$ratios << EOD\n", gp);
	for (size_t i = 0; i < n; i++) {
		const double ratio = ratio_of(&entry[i].row);
		if (ratio > 0)
			fprintf(gp, "%zu %.4g \"%s\" \"%s\"\n", rows++, ratio, entry[i].row.c->test,
			        bench_number(ratio));
	}
	fputs("EOD\n", gp);
	return rows;
}

// The ends of the axis, with room for the figures beside the points.
static void ratio_range(FILE *gp, const struct bench_entry *entry, size_t n)
{
	double least = 0.5, most = 2;
	for (size_t i = 0; i < n; i++) {
		const double ratio = ratio_of(&entry[i].row);
		least = ratio > 0 && ratio / 1.3 < least ? ratio / 1.3 : least;
		most = ratio > most ? ratio : most;
	}
	fprintf(gp, "set xrange [%g:%g]\n", least, most * 2);
}

bool bench_picture_ratios(const char *dir, const char *stem, const struct bench_entry *entry,
                          size_t n, bool *failed)
{
	FILE *gp = begin(dir, stem);
	if (!gp)
		return *failed = true, false;
	const size_t rows = ratio_data(gp, entry, n);
	if (rows == 0)
		return drop(gp, dir, stem);
	ratio_range(gp, entry, n);
	const int height = 130 + 24 * (int)rows;
	begin_drawing(gp, stem, height);
	heading(gp, height, 0, "%s: posthaste beside %s", entry->row.room->what, entry->name[1]);
	fprintf(
		gp,
		"set xlabel 'time of %s / time of posthaste (above 1: posthaste is faster)'\n"
		"set logscale x 10\nset xtics (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)\n"
		"set yrange [%zu.5 : -0.5]\nunset key\n"
		"set arrow 1 from first 1, graph 0 to first 1, graph 1 nohead linecolor rgb '#555555' linewidth 1.2\n"
		"plot $ratios using (1):1:($2 - 1):(0):ytic(3) with vectors nohead linecolor rgb '#999999' linewidth 1.5, "
		"'' using ($2 >= 1 ? $2 : 1/0):1 with points linetype 1 pointsize 1.1, "
		"'' using ($2 < 1 ? $2 : 1/0):1 with points linetype 2 pointsize 1.3, "
		"'' using ($2 > 1 ? $2 : 1):1:4 with labels left offset 1,0\n",
		entry->name[1], rows - 1);
	if (!end_drawing(gp, dir, stem))
		*failed = true;
	return true;
}

// ---- throughput by size ----

static bool is_point(const struct bench_row *row, size_t side)
{
	return row->c->by_size && row->result[side].ran && row->result[side].ns > 0;
}

// Points in the order in which they ran; how many.
static size_t size_data(FILE *gp, const struct bench_entry *entry, size_t n, size_t side)
{
	size_t points = 0;
	fprintf(gp, "$by%zu << EOD\n", side);
	for (size_t i = 0; i < n; i++) {
		const struct bench_row *row = &entry[i].row;
		if (!is_point(row, side))
			continue;
		fprintf(gp, "%zu %.6g\n", row->c->size, (double)row->c->size / row->result[side].ns * 1e9);
		points++;
	}
	fputs("EOD\n", gp);
	return points;
}

static void size_tics(FILE *gp, const struct bench_entry *entry, size_t n)
{
	const char *comma = "";
	fputs("set logscale x 2\nset xtics (", gp);
	for (size_t i = 0; i < n; i++) {
		if (!is_point(&entry[i].row, 0))
			continue;
		fprintf(gp, "%s'%s' %zu", comma, bench_size_text(entry[i].row.c->size),
		        entry[i].row.c->size);
		comma = ", ";
	}
	fputs(
		")\nset logscale y 10\n"
		"set ytics ('1 MB/s' 1e6, '10 MB/s' 1e7, '100 MB/s' 1e8, '1 GB/s' 1e9, '10 GB/s' 1e10, '100 GB/s' 1e11)\n"
		"set mytics 10\n",
		gp);
}

static const struct bench_case *first_point(const struct bench_entry *entry, size_t n)
{
	size_t i = 0;
	while (i + 1 < n && !is_point(&entry[i].row, 0))
		i++;
	return entry[i].row.c;
}

bool bench_picture_sizes(const char *dir, const char *stem, const struct bench_entry *entry,
                         size_t n, bool *failed)
{
	size_t points[BENCH_SIDES] = {0}, sides = 0;
	FILE *gp = begin(dir, stem);
	if (!gp)
		return *failed = true, false;
	for (size_t s = 0; s < entry->sides; s++)
		sides += (points[s] = size_data(gp, entry, n, s)) > 0;
	if (points[0] < POINTS_LEAST)
		return drop(gp, dir, stem);
	size_tics(gp, entry, n);
	begin_drawing(gp, stem, SIZES_HEIGHT);
	heading(gp, SIZES_HEIGHT, sides, "%s: bytes a second, by size (%s)", entry->row.room->what,
	        first_point(entry, n)->what);
	fputs(
		"set xlabel 'size'\nset ylabel 'throughput'\nset offsets graph 0.03, graph 0.03, 0, 0\nplot ",
		gp);
	for (size_t s = 0; s < entry->sides; s++) {
		if (points[s] > 0)
			fprintf(gp, "%s$by%zu using 1:2 with linespoints linetype %zu title '%s'",
			        s ? ", " : "", s, s + 1, entry->name[s]);
	}
	fputs("\n", gp);
	if (!end_drawing(gp, dir, stem))
		*failed = true;
	return true;
}

// ---- distribution of single times ----

// A line a step: where it begins, how many percent are in it, how many percent begin there or later.
static void latency_data(FILE *gp, const struct bench_histogram *h, size_t side)
{
	const double total = (double)bench_histogram_total(h);
	double left = total;
	size_t first = 0, last = BENCH_STEPS;
	while (first < BENCH_STEPS && h->count[first] == 0)
		first++;
	while (last > first && h->count[last - 1] == 0)
		last--;
	fprintf(gp, "$d%zu << EOD\n%.6g 0 100\n", side, bench_histogram_ns(first > 0 ? first - 1 : 0));
	for (size_t i = first; i < last; i++) {
		fprintf(gp, "%.6g %.6g %.6g\n", bench_histogram_ns(i), 100 * h->count[i] / total,
		        100 * left / total);
		left -= h->count[i];
	}
	fprintf(gp, "%.6g 0 NaN\nEOD\n", bench_histogram_ns(last));
}

static bool has_latency(const struct bench_entry *entry, size_t side)
{
	return bench_histogram_total(&entry->row.result[side].latency) > 0;
}

static void share_panel(FILE *gp, const struct bench_entry *entry)
{
	time_tics(gp, false);
	fputs("set bmargin at screen 0.5\nunset xlabel\nset ylabel 'share, percent'\n"
	      "unset logscale y\nset ytics autofreq\nset yrange [0:*]\nplot ",
	      gp);
	for (size_t s = 0; s < entry->sides; s++) {
		const struct bench_result *r = &entry->row.result[s];
		if (!has_latency(entry, s))
			continue;
		fprintf(
			gp,
			"%s$d%zu using 1:2 with fillsteps linetype %zu fillstyle transparent solid 0.35 notitle, "
			"'' using 1:2 with steps linetype %zu dashtype 1 linewidth 1.4 notitle, "
			"NaN with lines linetype %zu title '%s: median %s, 99 %% below %s'",
			s ? ", " : "", s, s + 1, s + 1, s + 1, entry->name[s], bench_duration(r->p50_ns),
			bench_duration(r->p99_ns));
	}
	fputs("\n", gp);
}

static void tail_panel(FILE *gp, const struct bench_entry *entry)
{
	time_tics(gp, true);
	fputs("unset label 1\nunset key\nset tmargin at screen 0.47\nset bmargin at screen 0.12\n"
	      "set xlabel 'time of one operation'\nset ylabel 'as slow or slower, percent'\n"
	      "set logscale y 10\nset yrange [*:100]\n"
	      "set ytics (100, 10, 1, 0.1, 0.01, 0.001, 0.0001, 0.00001)\nplot ",
	      gp);
	for (size_t s = 0; s < entry->sides; s++) {
		if (has_latency(entry, s))
			fprintf(gp, "%s$d%zu using 1:3 with lines linetype %zu", s ? ", " : "", s, s + 1);
	}
	fputs("\n", gp);
}

// The axis that both panels share: from the first to the last time that anybody took.
static void latency_range(FILE *gp, const struct bench_entry *entry)
{
	size_t first = BENCH_STEPS, last = 0;
	for (size_t s = 0; s < entry->sides; s++) {
		for (size_t i = 0; i < BENCH_STEPS; i++) {
			if (entry->row.result[s].latency.count[i] == 0)
				continue;
			first = i < first ? i : first;
			last = i > last ? i : last;
		}
	}
	fprintf(gp, "set logscale x 10\nset xrange [%.4g:%.4g]\n", bench_histogram_ns(first) / 1.5,
	        bench_histogram_ns(last) * 1.5);
}

bool bench_picture_latency(const char *dir, const char *stem, const struct bench_entry *entry,
                           bool *failed)
{
	size_t sides = 0;
	if (!has_latency(entry, 0))
		return false;
	FILE *gp = begin(dir, stem);
	if (!gp)
		return *failed = true, false;
	for (size_t s = 0; s < entry->sides; s++) {
		if (!has_latency(entry, s))
			continue;
		latency_data(gp, &entry->row.result[s].latency, s);
		sides++;
	}
	begin_drawing(gp, stem, LATENCY_HEIGHT);
	heading(gp, LATENCY_HEIGHT, sides, "%s: %s", entry->row.room->what, entry->row.c->what);
	latency_range(gp, entry);
	fputs("set multiplot\nset lmargin 10\nset rmargin 4\n", gp);
	share_panel(gp, entry);
	tail_panel(gp, entry);
	fputs("unset multiplot\n", gp);
	if (!end_drawing(gp, dir, stem))
		*failed = true;
	return true;
}
