// SPDX-License-Identifier: MIT
//
// Named ports: a table of processes, each with the signals that it takes, in a file of its own. A signal to the name is pushed
// into the port of each member that takes it, so that it is received like any other. The table is changed under its
// lock; an entry counts by its `pid`, stored last, so a death leaves nothing half done. Members that are gone are found
// out by their ports, and removed by whoever finds them.
#include "signal/port.h"

#include "base/descriptor.h"
#include "core/file.h"
#include "core/name.h"
#include "core/namespace.h"
#include "signal/fork.h"
#include "signal/info.h"
#include "signal/named.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_NS 100000000
#define ROUNDS 100

// A port that this process has joined. The descriptor of the region vouches for the membership.
struct joined {
	struct phi_region region;
	struct joined *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct joined *joined;

static struct signal_named *table_of(const struct phi_region *r)
{
	return (struct signal_named *)(r->base + PHI_REGION_BODY);
}

// ---- the file ----

static void init_body(uint8_t *base, void *arg)
{
	(void)base, (void)arg; // all zeros
}

static void detach(struct phi_region *r)
{
	phi_region_unmap(r);
	if (phi_region_has_fd(r, r->fd))
		phi_close(r->fd);
}

static int attach(struct phi_region *r, int dir, const char *file, const char *name, bool observe)
{
	int e = phi_region_open(r, dir, file, PHI_KIND_SIGPORT, SIGPORT_LAYOUT, name, observe);
	if (e == 0 && r->bytes != SIGPORT_FILE_BYTES) {
		detach(r);
		e = -EBADMSG;
	}
	return e;
}

static int create(struct phi_region *r, int dir, const char *file, const char *name, mode_t mode)
{
	const uint64_t geometry[8] = {SIGPORT_MEMBERS};
	struct phi_region_plan plan = {
		.kind = PHI_KIND_SIGPORT,
		.layout = SIGPORT_LAYOUT,
		.name = name,
		.bytes = SIGPORT_FILE_BYTES,
		.geometry = geometry,
		.mode = mode & 0777,
		.init = init_body,
	};
	return phi_region_create(r, dir, file, &plan);
}

// A file that lost its name before we were attached is somebody's last goodbye: look again.
static int open_or_create(struct phi_region *r, int dir, const char *file, const char *name,
                          mode_t mode)
{
	for (int i = 0; i < ROUNDS; i++) {
		int e = attach(r, dir, file, name, false);
		if (e == -ENOENT)
			e = create(r, dir, file, name, mode);
		if (e == 0 && phi_file_is_named(r->fd, dir, file)) {
			r->fd = phi_move_aside(r->fd);
			return 0;
		}
		if (e == 0)
			detach(r);
		else if (e != -EEXIST)
			return e;
	}
	return -EAGAIN;
}

// ---- the table ----

static int lock_table(struct signal_named *t, struct phi_hold *h)
{
	phi_signal_enter();
	phi_enter(h);
	int r = phi_lock_take(h, &t->change, PATIENCE_NS);
	if (r == 0 || r == -EOWNERDEAD)
		return 0;
	phi_leave(h);
	phi_signal_leave();
	return -EAGAIN;
}

static void unlock_table(struct signal_named *t, struct phi_hold *h)
{
	phi_lock_drop(h, &t->change);
	phi_leave(h);
	phi_signal_leave();
}

static bool is_of(const struct signal_named *t, int i, pid_t pid, uint64_t id)
{
	return load_acquire_i32(&t->member[i].pid) == pid && t->member[i].id == id; // SIGPORT_MEMBER
}

static void strike(struct signal_named *t, int i, pid_t pid, uint64_t id)
{
	struct phi_hold h;
	if (lock_table(t, &h) < 0)
		return;
	if (is_of(t, i, pid, id))
		store_release_i32(&t->member[i].pid, 0); // SIGPORT_MEMBER
	unlock_table(t, &h);
}

// The member's port, to be given back; NULL: it is gone, or is this process.
static struct signal_peer *peer_of(pid_t pid, uint64_t id)
{
	struct signal_peer *p = phi_peer_get(pid, PHI_PEER_LOOK);
	if (p != NULL && p->id == id)
		return p;
	if (p != NULL)
		phi_peer_put(p);
	return NULL;
}

static void strike_dead(struct signal_named *t)
{
	for (int i = 0; i < SIGPORT_MEMBERS; i++) {
		pid_t pid = load_acquire_i32(&t->member[i].pid); // SIGPORT_MEMBER
		uint64_t id = t->member[i].id;
		struct signal_peer *p = pid != 0 ? peer_of(pid, id) : NULL;
		if (pid != 0 && p == NULL)
			strike(t, i, pid, id);
		if (p != NULL)
			phi_peer_put(p);
	}
}

static int enter_locked(struct signal_named *t, const struct signal_own *own, uint64_t set)
{
	int place = -1;
	for (int i = 0; i < SIGPORT_MEMBERS; i++) {
		if (is_of(t, i, own->pid, own->self.id)) {
			store_relaxed_u64(&t->member[i].set, set);
			return 0;
		}
		if (place < 0 && load_relaxed_i32(&t->member[i].pid) == 0)
			place = i;
	}
	if (place < 0)
		return -ENOBUFS;
	struct signal_member *m = &t->member[place];
	m->id = own->self.id;
	store_relaxed_u64(&m->set, set);
	store_release_i32(&m->pid, own->pid); // SIGPORT_MEMBER
	return 0;
}

static int enter(struct signal_named *t, const struct signal_own *own, uint64_t set)
{
	struct phi_hold h;
	strike_dead(t);
	int r = lock_table(t, &h);
	if (r < 0)
		return r;
	r = enter_locked(t, own, set);
	unlock_table(t, &h);
	return r;
}

// ---- joining, leaving ----

static struct joined **find(const char *name)
{
	struct joined **at = &joined;
	while (*at != NULL && strcmp((*at)->region.header.name, name + 1) != 0)
		at = &(*at)->next;
	return at;
}

static int join_locked(const char *name, const char *file, uint64_t set, mode_t mode)
{
	struct signal_own *own = phi_own();
	struct joined *j = *find(name);
	if (own == NULL) // somebody has cut its file
		return -ENOTSUP;
	if (j != NULL)
		return enter(table_of(&j->region), own, set);
	j = calloc(1, sizeof *j);
	int dir = j == NULL ? -ENOMEM : phi_namespace_open();
	int r = dir < 0 ? dir : open_or_create(&j->region, dir, file, name, mode);
	if (dir >= 0)
		phi_close(dir);
	if (r < 0) {
		free(j);
		return r;
	}
	r = enter(table_of(&j->region), own, set);
	if (r < 0) {
		detach(&j->region);
		free(j);
		return r;
	}
	j->next = joined;
	joined = j;
	return 0;
}

int phi_named_join(const char *name, uint64_t set, mode_t mode)
{
	char file[NAME_MAX + 1];
	int r = phi_name_to_file(SIGPORT_PREFIX, name, file);
	if (r < 0)
		return r;
	if (set == 0 || (set & (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))) != 0)
		return -EINVAL;
	r = phi_own_payloads();
	if (r < 0)
		return r;
	pthread_mutex_lock(&lock);
	r = join_locked(name, file, set, mode);
	pthread_mutex_unlock(&lock);
	return r;
}

static void leave(struct joined *j, const char *file)
{
	struct signal_named *t = table_of(&j->region);
	struct signal_own *own = phi_own();
	for (int i = 0; own != NULL && i < SIGPORT_MEMBERS; i++)
		if (is_of(t, i, own->pid, own->self.id))
			strike(t, i, own->pid, own->self.id);
	detach(&j->region);
	int dir = phi_namespace_open();
	if (dir >= 0) {
		phi_file_remove_unused(dir, file, NULL);
		phi_close(dir);
	}
	free(j);
}

int phi_named_leave(const char *name)
{
	char file[NAME_MAX + 1];
	int r = phi_name_to_file(SIGPORT_PREFIX, name, file);
	if (r < 0)
		return r;
	pthread_mutex_lock(&lock);
	struct joined **at = find(name);
	struct joined *j = *at;
	if (j != NULL) {
		*at = j->next;
		leave(j, file);
	}
	pthread_mutex_unlock(&lock);
	return j != NULL ? 0 : -ENOENT;
}

// ---- sending ----

static bool takes(const struct signal_member *m, int signo)
{
	return (load_relaxed_u64(&m->set) & SIGNAL_BIT(signo)) != 0;
}

// To one member: 0, -ESRCH gone or not listening, -EAGAIN full.
static int to_member(struct signal_named *t, int i, const struct signal_message *m, bool only_look)
{
	pid_t pid = load_acquire_i32(&t->member[i].pid); // SIGPORT_MEMBER
	uint64_t id = t->member[i].id;
	if (pid <= 0 || !takes(&t->member[i], m->record.signo))
		return -ESRCH;
	struct signal_peer *p = peer_of(pid, id);
	if (p == NULL) {
		strike(t, i, pid, id);
		return -ESRCH;
	}
	int r = phi_signal_push(p, m, only_look);
	phi_peer_put(p);
	// A standard signal to a handler is the kernel's, and its receiver is known to listen.
	if (r == -ENOTSUP && m->record.signo < SIGNAL_STANDARD)
		r = only_look
		        ? 0
		        : phi_signal_send(pid, m->record.signo, SI_QUEUE,
		                          (union sigval){.sival_ptr = (void *)(uintptr_t)m->record.value});
	return r == -ENOTSUP ? -EAGAIN : r;
}

static int to_all(struct signal_named *t, const struct signal_message *m)
{
	int listening = 0, reached = 0;
	for (int i = 0; i < SIGPORT_MEMBERS; i++) {
		int r = to_member(t, i, m, true);
		if (r == -EAGAIN)
			return r;
		listening += r == 0;
	}
	for (int i = 0; listening > 0 && i < SIGPORT_MEMBERS; i++)
		reached += to_member(t, i, m, false) == 0;
	if (reached > 0)
		store_relaxed_u64(&t->sent, load_relaxed_u64(&t->sent) + 1);
	return reached > 0 ? reached : -ESRCH;
}

int phi_named_send(const char *name, struct signal_message *m)
{
	char file[NAME_MAX + 1];
	struct phi_region r;
	int e = phi_name_to_file(SIGPORT_PREFIX, name, file);
	if (e < 0)
		return e == -ENOENT ? -ESRCH : e;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	e = attach(&r, dir, file, name, false);
	if (e == 0) {
		m->to_port = true;
		e = to_all(table_of(&r), m);
		detach(&r);
		phi_file_remove_unused(dir, file, NULL); // nobody is left: it goes
	}
	phi_close(dir);
	return e == -ENOENT ? -ESRCH : e;
}

// ---- a look ----

int phi_named_look(const char *name, void (*each)(void *arg, pid_t pid, bool alive, uint64_t set),
                   void *arg, uint64_t *sent)
{
	char file[NAME_MAX + 1];
	struct phi_region r;
	int e = phi_name_to_file(SIGPORT_PREFIX, name, file);
	int dir = e < 0 ? e : phi_namespace_open();
	if (dir < 0)
		return dir;
	e = attach(&r, dir, file, name, true);
	phi_close(dir);
	if (e < 0)
		return e;
	const struct signal_named *t = table_of(&r);
	*sent = load_relaxed_u64(&t->sent);
	for (int i = 0; i < SIGPORT_MEMBERS; i++) {
		const struct signal_member m = t->member[i];
		if (m.pid > 0)
			each(arg, m.pid, phi_signal_is_there(m.pid, m.id), m.set);
	}
	detach(&r);
	return 0;
}

// ---- fork, exit ----

void phi_named_hold(void)
{
	pthread_mutex_lock(&lock);
}

// A child has joined nothing.
void phi_named_let_go(bool child)
{
	while (child && joined != NULL) {
		struct joined *j = joined;
		joined = j->next;
		detach(&j->region);
		free(j);
	}
	pthread_mutex_unlock(&lock);
}

void phi_named_exit(void)
{
	char file[NAME_MAX + 1];
	for (struct joined *j = joined; j != NULL; j = joined) {
		char name[sizeof j->region.header.name + 1] = "/";
		strcpy(name + 1, j->region.header.name);
		joined = j->next;
		if (phi_name_to_file(SIGPORT_PREFIX, name, file) == 0)
			leave(j, file);
	}
}
