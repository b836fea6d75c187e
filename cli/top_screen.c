// SPDX-License-Identifier: MIT
//
// top_screen.c - posthaste top on a terminal. Nothing is held between two looks: who stops or kills it disturbs
// nobody.
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "top.h"

enum { HEAD_LINES = 4, FOOT_LINES = 1, SHORTEST_MS = 100, LONGEST_MS = 60000 };
enum { PAIR_BAD = 1, PAIR_WAITING };

struct screen {
	struct top_view *view;
	struct sample sample;
	size_t first; // row at the top
	bool frozen, typing, help;
};

static const char keys_line[] =
	"o objects p processes <> sort r reverse / filter f freeze +- pace h help q quit";

static const char *const help_lines[] = {
	"o, p, Tab    the list of objects, of processes, the other one",
	"< >          sort by the column before, after",
	"r            the other way round",
	"/            show only rows that hold a text; Enter ends it, Esc shows all again",
	"f, Space     freeze, and go on",
	"+ -          look more often, less often",
	"arrows, PgUp PgDn, Home, End",
	"q            quit",
	"",
	"FILL   messages of the depth, units held of all, bytes in the ring, or a value",
	"IN/S   messages sent, bytes through the ring, steps of a semaphore, a second",
	"ASLEEP r receivers or readers, s senders or writers, w who waits for units",
	"SINCE  for how long the first of them has slept",
	"SLP/S  how often the process went to sleep, a second",
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// ---- drawing ----

// At most so many columns of a text that others have written: whole characters, and no control characters.
static void put_clipped(const char *text, int width)
{
	char clean[WORDS_MAX];
	size_t used = 0;
	int columns = 0;

	for (; *text && used < sizeof clean - 1; text++) {
		const unsigned char c = (unsigned char)*text;

		if ((c & 0xc0) != 0x80 && columns++ == width)
			break;
		clean[used++] = c < 32 || c == 127 ? '?' : (char)c;
	}
	clean[used] = '\0';
	addstr(clean);
}

static int columns_of(const char *text)
{
	int columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

static void put_cell(int y, int x, const char *text, int width, bool right)
{
	const int own = columns_of(text);

	move(y, right && own < width ? x + width - own : x);
	put_clipped(text, width);
}

static void draw_title(const struct screen *s)
{
	char text[WORDS_MAX], side[64], clock[16] = "";
	const time_t now = time(NULL);
	struct tm local;

	if (localtime_r(&now, &local))
		strftime(clock, sizeof clock, "%T", &local);
	snprintf(side, sizeof side, "%s  every %.1fs", clock, s->view->seconds);
	mvhline(0, 0, ' ', COLS);
	attron(A_BOLD);
	put_cell(0, 0, top_title(text, &s->sample), COLS - columns_of(side) - 1, false);
	attroff(A_BOLD);
	if (s->frozen)
		snprintf(side, sizeof side, "%s", "FROZEN");
	attron(s->frozen ? A_REVERSE : A_NORMAL);
	put_cell(0, COLS - columns_of(side), side, COLS, false);
	attroff(A_REVERSE);
	put_cell(1, 0, top_summary(text, &s->sample), COLS, false);
}

static void draw_alarm(const struct screen *s)
{
	char text[WORDS_MAX];

	top_alarm(text, &s->sample);
	if (s->typing || *s->view->filter) {
		mvprintw(2, 0, "filter: %s%s", s->view->filter, s->typing ? "_" : "");
	} else if (*text) {
		attron(COLOR_PAIR(PAIR_BAD) | A_BOLD);
		put_cell(2, 0, text, COLS, false);
		attroff(COLOR_PAIR(PAIR_BAD) | A_BOLD);
	}
}

static void draw_headings(const struct screen *s, const int *widths)
{
	int count, x = 0;
	const struct top_column *const columns = top_columns(s->view->list, &count);

	attron(A_REVERSE);
	mvhline(3, 0, ' ', COLS);
	for (int i = 0; i < count; i++) {
		const bool sorted = i == s->view->sort[s->view->list];

		if (widths[i] == 0)
			continue;
		if (sorted)
			attron(A_BOLD | A_UNDERLINE);
		put_cell(3, x, columns[i].heading, widths[i], columns[i].right);
		attroff(A_BOLD | A_UNDERLINE);
		x += widths[i] + 1;
	}
	attroff(A_REVERSE);
}

static void draw_row(const struct screen *s, int y, size_t row, const int *widths)
{
	static const int looks[] = {A_NORMAL, COLOR_PAIR(PAIR_WAITING), COLOR_PAIR(PAIR_BAD) | A_BOLD};
	const int look = looks[top_mood_of(s->view->list, &s->sample, row)];
	int count, x = 0;
	const struct top_column *const columns = top_columns(s->view->list, &count);
	char text[WORDS_MAX];

	attron(look);
	for (int i = 0; i < count; i++) {
		if (widths[i] == 0)
			continue;
		put_cell(y, x, columns[i].text(text, &s->sample, row), widths[i], columns[i].right);
		x += widths[i] + 1;
	}
	attroff(look);
}

static size_t page_of(void)
{
	return LINES > HEAD_LINES + FOOT_LINES ? (size_t)(LINES - HEAD_LINES - FOOT_LINES) : 1;
}

static void draw_rows(struct screen *s)
{
	int widths[TOP_COLUMNS_MAX];
	size_t count;
	size_t *const rows = top_rows(s->view, &s->sample, &count);

	if (s->first + page_of() > count)
		s->first = count > page_of() ? count - page_of() : 0;
	top_widths(s->view->list, COLS, widths);
	draw_headings(s, widths);
	for (size_t i = 0; i < page_of() && s->first + i < count; i++)
		draw_row(s, HEAD_LINES + (int)i, rows[s->first + i], widths);
	if (count == 0)
		mvaddstr(HEAD_LINES, 0, *s->view->filter ? "nothing holds that text" : "nothing is there");
	free(rows);
}

static void draw_help(void)
{
	for (size_t i = 0; i < sizeof help_lines / sizeof *help_lines; i++)
		put_cell(HEAD_LINES + (int)i, 0, help_lines[i], COLS, false);
}

static void draw(struct screen *s)
{
	erase();
	draw_title(s);
	draw_alarm(s);
	if (s->help)
		draw_help();
	else
		draw_rows(s);
	attron(A_DIM);
	put_cell(LINES - 1, 0, keys_line, COLS - 1, false);
	attroff(A_DIM);
	refresh();
}

// ---- keys ----

static void type(struct screen *s, int key)
{
	char *const filter = s->view->filter;
	const size_t length = strlen(filter);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		s->typing = false;
	} else if (key == 27) {
		s->typing = false;
		filter[0] = '\0';
	} else if ((key == KEY_BACKSPACE || key == 127 || key == 8) && length > 0) {
		filter[length - 1] = '\0';
	} else if (key >= 32 && key < 256 && key != 127 && length + 1 < TOP_FILTER_MAX) {
		filter[length] = (char)key;
		filter[length + 1] = '\0';
	}
}

// The column before or after, of those that are shown.
static void sort_beside(struct top_view *view, int step)
{
	int count, widths[TOP_COLUMNS_MAX], at = view->sort[view->list];

	top_columns(view->list, &count);
	top_widths(view->list, COLS, widths);
	do {
		at = (at + step + count) % count;
	} while (widths[at] == 0);
	view->sort[view->list] = at;
	view->reverse = false;
}

static void choose_list(struct screen *s, enum top_list list)
{
	s->view->list = list;
	s->view->reverse = false;
	s->first = 0;
	s->help = false;
}

static void change_pace(struct top_view *view, double factor)
{
	const double seconds = view->seconds * factor;

	if (seconds * 1000 >= SHORTEST_MS && seconds * 1000 <= LONGEST_MS)
		view->seconds = seconds;
}

static void scroll_by(struct screen *s, int key)
{
	const size_t page = page_of();

	switch (key) {
	case KEY_UP: s->first -= s->first > 0; break;
	case KEY_DOWN: s->first++; break;
	case KEY_PPAGE: s->first = s->first > page ? s->first - page : 0; break;
	case KEY_NPAGE: s->first += page; break;
	case KEY_HOME: s->first = 0; break;
	case KEY_END: s->first = SIZE_MAX / 2; break;
	default: break;
	}
}

// False: the user has enough.
static bool obey(struct screen *s, int key)
{
	if (s->typing) {
		type(s, key);
		return true;
	}
	switch (key) {
	case 'q':
	case 'Q': return false;
	case 'o': choose_list(s, TOP_OBJECTS); break;
	case 'p': choose_list(s, TOP_PROCESSES); break;
	case '\t': choose_list(s, s->view->list == TOP_OBJECTS ? TOP_PROCESSES : TOP_OBJECTS); break;
	case '<': sort_beside(s->view, -1); break;
	case '>': sort_beside(s->view, 1); break;
	case 'r': s->view->reverse = !s->view->reverse; break;
	case '/': s->typing = true; break;
	case 27: s->view->filter[0] = '\0'; break;
	case 'f':
	case ' ': s->frozen = !s->frozen; break;
	case '+': change_pace(s->view, 0.5); break;
	case '-': change_pace(s->view, 2); break;
	case 'h':
	case '?': s->help = !s->help; break;
	default: scroll_by(s, key); break;
	}
	return true;
}

// ---- the loop ----

static bool look(struct screen *s)
{
	struct sample next;

	if (!sample_take(&next, s->sample.rate ? &s->sample : NULL))
		return false;
	sample_free(&s->sample);
	s->sample = next;
	return true;
}

// Keys are obeyed at once, looks come when it is time.
static bool run(struct screen *s)
{
	int64_t next = now_ms() + SHORTEST_MS; // soon, so that there are rates

	for (;;) {
		draw(s);
		const int64_t left = next - now_ms();

		timeout(s->frozen ? LONGEST_MS : left > 0 ? (int)left : 0);
		const int key = getch();

		if (key != ERR && !obey(s, key))
			return true;
		if (s->frozen || now_ms() < next)
			continue;
		if (!look(s))
			return false;
		next = now_ms() + (int64_t)(s->view->seconds * 1000);
	}
}

static void dress(void)
{
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	if (!has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(PAIR_BAD, COLOR_RED, -1);
	init_pair(PAIR_WAITING, COLOR_YELLOW, -1);
}

int top_screen(struct top_view *view)
{
	struct screen s = {.view = view};

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return cli_fail(STATUS_REFUSED, NULL,
		                "needs a terminal; for one look, also in scripts: posthaste top --once");
	if (!look(&s))
		return STATUS_REFUSED;
	setlocale(LC_ALL, "");
	SCREEN *const terminal = newterm(NULL, stdout, stdin);

	if (!terminal) {
		sample_free(&s.sample);
		return cli_fail(
			STATUS_REFUSED, NULL,
			"does not know this terminal; name one with TERM, or: posthaste top --once");
	}
	dress();
	const bool done = run(&s);

	endwin();
	delscreen(terminal);
	sample_free(&s.sample);
	return done ? STATUS_DONE
	            : cli_fail(STATUS_REFUSED, NULL, "the namespace is gone; see: posthaste doctor");
}
