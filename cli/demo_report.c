// SPDX-License-Identifier: MIT
//
// demo_report.c - see demo_report.h.
#include "demo_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "show.h"
#include "signals.h"
#include "table.h"

static void print_counts(const struct demo_report *report, FILE *out)
{
	const struct words *words = &report->main_run.words;
	const struct word *top[TOP_WORDS];
	char text[SHOW_MAX], other[SHOW_MAX];
	const size_t n = words_top(words, top, TOP_WORDS);

	fprintf(out, "words       %s, %s different\n", show_count(text, words->total),
	        show_count(other, words->used));
	fprintf(out, "top         ");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%.*s %s", i ? ", " : "", (int)top[i]->length, words->arena + top[i]->at,
		        show_count(text, top[i]->count));
	fprintf(out, "\ncheck       %s\n",
	        report->equal ? "equal to a plain sequential count, word for word"
	                      : "DIFFERS from a plain sequential count");
}

static void print_feed(const struct demo_outcome *outcome, FILE *out)
{
	char all[SHOW_MAX], ring[SHOW_MAX];

	fprintf(out, "feed        %s bytes through the pipe, %s of them through shared memory\n",
	        show_count(all, outcome->fed), show_count(ring, outcome->fed_by_ring));
}

static void print_kill(const struct demo_outcome *outcome, FILE *out)
{
	const struct accident *accident = &outcome->accident;

	if (!accident->happened) {
		fprintf(out,
		        "accident    none: too little text, or too few workers, to kill one at work\n");
		return;
	}
	fprintf(out,
	        "accident    worker %d (pid %d) killed by SIGKILL at %.0f %%, while it entered chunk "
	        "%" PRIu32 " into the table\n",
	        accident->worker, accident->pid, accident->at * 100, accident->chunk);
	if (accident->unit_returned)
		fprintf(
			out,
			"semaphore   the unit it held came back by itself; worker %d was told, and %s, %.1f ms "
			"after the kill\n",
			accident->unit_to,
			accident->unit_half ? "finished the half-done entry" : "found nothing half done",
			accident->unit_ms);
	else
		fprintf(out, "semaphore   the unit it held DID NOT come back\n");
	if (accident->recovered)
		fprintf(out,
		        "recovery    chunk %" PRIu32
		        " went back to the queue by itself; worker %d took it over, "
		        "%.1f ms after the kill\n",
		        accident->chunk, accident->recovered_by, accident->recovery_ms);
	else
		fprintf(out, "recovery    NONE: chunk %" PRIu32 " was lost\n", accident->chunk);
}

static void print_account(const struct demo_outcome *outcome, FILE *out)
{
	char queued[SHOW_MAX], counted[SHOW_MAX];

	fprintf(out,
	        "account     %s chunks queued, %s counted once each, %d delivered again, %" PRIu32
	        " double results dropped, %" PRIu32 " lost\n",
	        show_count(queued, outcome->chunks), show_count(counted, outcome->counted),
	        outcome->accident.recovered ? 1 : 0, outcome->duplicates,
	        outcome->chunks - outcome->counted);
}

static void print_kernel(const struct demo_report *report, FILE *out)
{
	const struct demo_outcome *outcome = &report->kernel_run;
	const struct accident *accident = &outcome->accident;

	if (!report->kernel_ran || !accident->happened)
		return;
	fprintf(out,
	        "kernel's    the same accident on the kernel's queues: chunk %" PRIu32
	        " was gone; the parent "
	        "missed it, queued %" PRIu32 " again, and had it after %.0f ms\n",
	        accident->chunk, outcome->requeued, accident->recovery_ms);
}

// The kernel's run of the same message size, or NULL.
static const struct racer *kernel_beside(const struct demo_report *report,
                                         const struct racer *racer)
{
	for (size_t i = 0; i < report->racers; i++) {
		const struct racer *other = &report->racer[i];

		if (other->transport == &transport_kernel && other->ran &&
		    other->message_bytes == racer->message_bytes)
			return other;
	}
	return NULL;
}

static void add_race_heading(struct table *table)
{
	static const char *const headings[] = {"THROUGHPUT", "DEPTH",      "SIZE",
	                                       "MB/S",       "MESSAGES/S", "X-KERNEL",
	                                       "SECONDS",    "CPU-S",      "SWITCHES"};

	table_begin(table, "lrrrrrrrr");
	for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
		table_add(table, "%s", headings[i]);
}

static void add_race_row(struct table *table, const struct demo_report *report,
                         const struct racer *racer)
{
	const struct racer *kernel = kernel_beside(report, racer);
	char text[SHOW_MAX];

	table_add(table, "%s", racer->transport->name);
	table_add(table, "%ld", racer->depth);
	table_add(table, "%s", show_bytes(text, (uint64_t)racer->message_bytes));
	table_add(table, "%.1f", (double)report->main_run.bytes / 1e6 / racer->seconds);
	table_add(table, "%s", show_count(text, (uint64_t)(racer->messages / racer->seconds)));
	if (kernel)
		table_add(table, "%.2f", kernel->seconds / racer->seconds);
	else
		table_add(table, "-");
	table_add(table, "%.3f", racer->seconds);
	table_add(table, "%.3f", racer->cpu_seconds);
	table_add(table, "%s", show_count(text, (uint64_t)racer->switches));
}

// Each transport's trouble is told once.
static bool is_first_failure(const struct demo_report *report, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!report->racer[k].ran && report->racer[k].transport == report->racer[i].transport)
			return false;
	return !report->racer[i].ran;
}

static void print_race(const struct demo_report *report, FILE *out)
{
	struct table table;

	add_race_heading(&table);
	for (size_t i = 0; i < report->racers; i++)
		if (report->racer[i].ran)
			add_race_row(&table, report, &report->racer[i]);
	table_end(&table, out);
	for (size_t i = 0; i < report->racers; i++)
		if (is_first_failure(report, i))
			fprintf(out, "%s did not run: %s\n", report->racer[i].transport->name,
			        report->racer[i].trouble);
}

static void print_progress(const struct demo_outcome *outcome, FILE *out)
{
	char told[SHOW_MAX], handled[SHOW_MAX];

	fprintf(
		out,
		"signals     %s of progress sent by the workers, %s handled by the parent at safe points\n",
		show_count(told, outcome->told), show_count(handled, outcome->handled));
}

// The main run was stopped: nobody had anything in hand any more, so all chunks are here or there.
static void print_stop(const struct demo_report *report, FILE *out)
{
	const struct demo_outcome *outcome = &report->main_run;
	char name[16], queued[SHOW_MAX], counted[SHOW_MAX], left[SHOW_MAX];

	fprintf(
		out,
		"stopped     by %s at %.0f %%: every process finished what it had in hand, and went home\n",
		signals_name(outcome->stopped, name),
		100 * (double)outcome->bytes / (double)report->corpus->bytes);
	print_progress(outcome, out);
	fprintf(out,
	        "account     %s chunks queued, %s counted once each, %s left in the queue, %" PRIu32
	        " double results dropped, %d lost\n",
	        show_count(queued, outcome->chunks), show_count(counted, outcome->counted),
	        show_count(left, outcome->left), outcome->duplicates,
	        (int)(outcome->chunks - outcome->counted - outcome->left));
}

void demo_report_text(const struct demo_report *report, FILE *out)
{
	char bytes[SHOW_MAX], files[SHOW_MAX], message[SHOW_MAX], name[16];

	fprintf(out, "corpus      %s in %s files\n", show_bytes(bytes, report->corpus->bytes),
	        show_count(files, report->corpus->count));
	fprintf(
		out,
		"processes   1 reader, 1 sorter, %d workers, 1 parent; 1 pipe, 2 queues of %ld messages "
		"of %s, 1 table in shared memory, 1 semaphore\n",
		report->plan.workers, report->plan.depth,
		show_bytes(message, (uint64_t)report->plan.message_bytes));
	if (report->main_run.stopped) {
		print_stop(report, out);
		return;
	}
	if (*report->main_run.trouble) {
		fprintf(out, "FAILED      %s\n", report->main_run.trouble);
		print_account(&report->main_run, out);
		return;
	}
	print_counts(report, out);
	print_feed(&report->main_run, out);
	print_progress(&report->main_run, out);
	print_kill(&report->main_run, out);
	print_account(&report->main_run, out);
	print_kernel(report, out);
	if (report->stopped)
		fprintf(out, "stopped     by %s before the race was over\n",
		        signals_name(report->stopped, name));
	if (report->racers > 0) {
		fputc('\n', out);
		print_race(report, out);
	}
}

static void json_words(struct json *json, const struct words *words)
{
	const struct word *top[TOP_WORDS];
	const size_t n = words_top(words, top, TOP_WORDS);

	json_unsigned(json, "words", words->total);
	json_unsigned(json, "distinct", words->used);
	json_open(json, "top", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(json, NULL, '{');
		json_bytes(json, "word", words->arena + top[i]->at, top[i]->length);
		json_unsigned(json, "count", top[i]->count);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_run(struct json *json, const char *key, const struct demo_outcome *outcome)
{
	const struct accident *accident = &outcome->accident;

	json_open(json, key, '{');
	json_unsigned(json, "chunks", outcome->chunks);
	json_unsigned(json, "counted", outcome->counted);
	json_unsigned(json, "duplicates", outcome->duplicates);
	json_unsigned(json, "requeued", outcome->requeued);
	json_unsigned(json, "left", outcome->left);
	json_signed(json, "lost", (int64_t)outcome->chunks - outcome->counted - outcome->left);
	if (outcome->told > 0) {
		json_unsigned(json, "signals_sent", outcome->told);
		json_unsigned(json, "signals_handled", outcome->handled);
	}
	json_unsigned(json, "fed_bytes", outcome->fed);
	json_unsigned(json, "fed_by_ring", outcome->fed_by_ring);
	json_bool(json, "killed", accident->happened);
	if (accident->happened) {
		json_signed(json, "killed_pid", accident->pid);
		json_unsigned(json, "killed_with_chunk", accident->chunk);
		json_bool(json, "recovered", accident->recovered);
		json_real(json, "recovery_ms", accident->recovery_ms);
		json_bool(json, "unit_returned", accident->unit_returned);
		if (accident->unit_returned) {
			json_bool(json, "finished_half_done", accident->unit_half);
			json_real(json, "unit_ms", accident->unit_ms);
		}
	}
	if (outcome->stopped)
		json_signed(json, "stopped_by", outcome->stopped);
	else if (*outcome->trouble)
		json_string(json, "trouble", outcome->trouble);
	json_close(json, '}');
}

static void json_race(struct json *json, const struct demo_report *report)
{
	json_open(json, "throughput", '[');
	for (size_t i = 0; i < report->racers; i++) {
		const struct racer *racer = &report->racer[i];

		json_open(json, NULL, '{');
		json_string(json, "queues", racer->transport->name);
		json_signed(json, "depth", racer->depth);
		json_signed(json, "message_bytes", racer->message_bytes);
		if (racer->ran) {
			json_real(json, "seconds", racer->seconds);
			json_real(json, "cpu_seconds", racer->cpu_seconds);
			json_real(json, "switches", racer->switches);
			json_real(json, "messages", racer->messages);
			json_real(json, "mb_per_s", (double)report->main_run.bytes / 1e6 / racer->seconds);
		} else {
			json_string(json, "trouble", racer->trouble);
		}
		json_close(json, '}');
	}
	json_close(json, ']');
}

void demo_report_json(const struct demo_report *report, FILE *out)
{
	struct json json = {.out = out};

	json_open(&json, NULL, '{');
	json_unsigned(&json, "files", report->corpus->count);
	json_unsigned(&json, "bytes", report->corpus->bytes);
	json_signed(&json, "workers", report->plan.workers);
	json_words(&json, &report->main_run.words);
	json_bool(&json, "equal", report->equal);
	json_run(&json, "posthaste", &report->main_run);
	if (report->kernel_ran)
		json_run(&json, "kernel", &report->kernel_run);
	json_race(&json, report);
	json_close(&json, '}');
	fputc('\n', out);
}
