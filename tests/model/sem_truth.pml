// SPDX-License-Identifier: MIT
//
// tests/model/sem_truth.pml - who holds how many units of a semaphore with holders (docs/sem.md, "With
// holders"): the truth with the last operation in it, the table that is confirmed later, and taking back
// from the dead. Processes die at any step. run_model.sh checks it, and checks that each planted bug (BUG_...)
// is found. Nobody sleeps here; sem_bell.pml has that.
//
// Modelled: every load and every CAS of an operation as a step of its own; the truth by its sequence number,
// which does not wrap; entries with their counts; threads of one process, which share a slot; the lock `reap`
// as one that can be taken when its holder is dead, with what is written down under it; a newcomer who gets a
// dead process's slot; EOWNERDEAD. `owns` and `back` are what is really so, for the assertions alone.
//
// Invariant: units there + units held = units of the beginning, whatever is killed; each operation starts from
// what its slot really holds; when all is quiet, who took the first unit after a death has been told of it
// (UNITS 1), and `returned` is what came back.
//
// What the model taught:
//
//   RETURNED_LATE   `returned` is stored before the units are there. Else: a taker finds the unit, and nothing to be
//                   told; the next one is told, although the first has worked on what the dead left.
//   CONFIRM_ONCE    Who overwrites the truth confirms also where the entry says so already, with a new count.
//                   Else: C is late with an older truth, and its CAS finds the entry as it was.

#ifndef UNITS
#define UNITS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2 // operations of each actor
#endif
#ifndef ACTORS
#define ACTORS 2 // actor i begins with slot i, or with SHARE the last two share one
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef REAPERS
#define REAPERS 0
#endif

#define THREADS (ACTORS + REAPERS)
#define NOBODY 15
#define SLOTS ACTORS
#ifdef SHARE
#define SLOT(i) ((i) == ACTORS - 1 -> ACTORS - 2 : (i))
#else
#define SLOT(i) (i)
#endif

// The truth.
byte there = UNITS;
byte t_slot = NOBODY;
byte t_held;
byte t_seq;

byte entry[SLOTS];
byte count[SLOTS];
byte owns[SLOTS]; // what is really so
bool dead[SLOTS]; // the process of the slot is
byte lock_reap;   // 0, or a thread + 1
byte guarded32;   // slot + 1
byte guarded64;
byte returned, told, back;
bool untold;      // the unit came back from the dead, and nobody has taken it since
bool killed[THREADS];
bool gone[THREADS];
byte deaths;

// One operation: take 1 (delta 0), give 1 (delta 2), or give back all (all), for slot s. `done` says whether it
// was made.
inline change(s, delta, all, done)
{
	done = 0;
	do
	:: atomic {
		c_seq = t_seq;
		c_slot = t_slot;
		c_held = t_held;
		c_there = there;
		ok = 1
	   }
		if
		:: atomic { c_slot == s -> mine = c_held }
		:: atomic { c_slot != s -> mine = entry[s] }
		fi;
		if
		:: atomic { !all && (delta == 0 && c_there == 0 || delta > 0 && mine == 0) -> break }
		:: atomic { all || delta == 0 && c_there > 0 || delta > 0 && mine > 0 }
		fi;
		confirm(s);
		if
		:: atomic { ok && c_seq == t_seq ->
			assert(mine == owns[s]);
			t_seq++;
			t_slot = s;
			if
			:: all -> there = there + mine; back = back + mine; untold = mine > 0; t_held = 0
			:: !all && delta > 0 -> there++; t_held = mine - 1
			:: !all && delta == 0 ->
				there--;
				t_held = mine + 1;
				must_be_told = untold;
				untold = 0
			fi;
			owns[s] = t_held;
			done = 1;
			break
		   }
		:: atomic { !ok || c_seq != t_seq }
		fi
	od;
	atomic {
		c_seq = 0; c_slot = 0; c_held = 0; c_there = 0; e_held = 0; e_count = 0; mine = 0; ok = 0
	}
}

inline confirm(s)
{
#ifndef BUG_NEVER_CONFIRMED
	if
	:: atomic {
		c_slot != NOBODY && c_slot != s ->
		e_held = entry[c_slot];
		e_count = count[c_slot]
	   }
#ifndef BUG_CONFIRM_UNSEEN
		ok = (c_seq == t_seq);
#endif
		atomic {
			if
#ifdef BUG_CONFIRM_ONCE
			:: ok && e_held == c_held
			:: ok && e_held != c_held && e_held == entry[c_slot] && e_count == count[c_slot] ->
				count[c_slot]++;
				entry[c_slot] = c_held
#elif defined(BUG_NO_COUNT)
			:: ok && e_held == entry[c_slot] -> entry[c_slot] = c_held
#else
			:: ok && e_held == entry[c_slot] && e_count == count[c_slot] ->
				count[c_slot]++;
				entry[c_slot] = c_held
#endif
			:: else -> ok = 0
			fi
		}
	:: atomic { c_slot == NOBODY || c_slot == s }
	fi
#else
	skip
#endif
}

// What the slot holds, as one looks who is no part of it.
#define HOLDS(s) (t_slot == s -> t_held : entry[s])

inline finish(s)
{
#ifndef BUG_RETURNED_LATE
	returned = guarded64;
#endif
	if
	:: atomic { HOLDS(s) != 0 }
		change(s, 0, 1, done)
	:: atomic { HOLDS(s) == 0 }
	fi;
	done = 0;
#ifdef BUG_RETURNED_LATE
	returned = guarded64;
#endif
	guarded32 = 0
}

// Under `reap`.
inline take_back(s)
{
	if
	:: atomic { guarded32 != 0 -> other = guarded32 - 1 }
#ifdef BUG_NO_REPAIR
		guarded32 = 0;
#else
		finish(other);
#endif
		other = 0
	:: atomic { guarded32 == 0 }
	fi;
	if
	:: atomic { dead[s] && HOLDS(s) != 0 -> guarded64 = returned + HOLDS(s) }
		guarded32 = s + 1;
		finish(s)
	:: atomic { !dead[s] || HOLDS(s) == 0 }
	fi
}

#define TAKEABLE(l) (l == 0 || gone[l - 1])

#define LOCALS \
	byte c_seq, c_slot, c_held, c_there, e_held, e_count, mine, other; \
	bool done, ok, must_be_told, was_told

#define FORGET \
	c_seq = 0; c_slot = 0; c_held = 0; c_there = 0; e_held = 0; e_count = 0; mine = 0; other = 0; \
	done = 0; ok = 0; must_be_told = 0; was_told = 0

proctype actor(byte me)
{
	LOCALS;
	byte rounds = ROUNDS;
	byte s = SLOT(me);
	byte i;
	{
#ifdef NEWCOMER
		skip;
		// The last actor has no slot: it gets the first one's when that process is dead.
end_waiting:
		if
		:: atomic { me == ACTORS - 1 && dead[0] -> s = 0 }
			atomic { TAKEABLE(lock_reap) -> lock_reap = me + 1 }
			take_back(0);
			atomic { lock_reap = 0; dead[0] = 0 }
		:: atomic { me < ACTORS - 1 }
		fi;
#endif
		do
		:: atomic { rounds > 0 -> rounds-- }
			if
			:: change(s, 0, 0, done);
				if
				:: atomic { done && told < returned -> told++; was_told = 1 }
				:: atomic { !done || told >= returned }
				fi;
#if UNITS == 1
				assert(!must_be_told || was_told);
#endif
				atomic { must_be_told = 0; was_told = 0; done = 0 }
			:: atomic { owns[s] > 0 }
				change(s, 1, 0, done);
				done = 0
			fi
		:: atomic { rounds == 0 -> break }
		od
	} unless {
		killed[me]
	}
	atomic {
		FORGET;
		rounds = 0;
		i = 0;
		if
		:: killed[me] -> dead[s] = 1; killed[me] = 0
		:: else
		fi;
		s = 0;
		gone[me] = 1
	}
}

// Somebody who looks at the slots, again and again, until nothing more can come back.
proctype reaper(byte me)
{
	LOCALS;
	byte s;
	{
end_look:
		do
		:: atomic { dead[0] && HOLDS(0) != 0 && TAKEABLE(lock_reap) -> lock_reap = me + 1 }
			take_back(s);
			atomic { lock_reap = 0; s = 0 }
		:: atomic { dead[1] && HOLDS(1) != 0 && TAKEABLE(lock_reap) -> lock_reap = me + 1; s = 1 }
			take_back(s);
			atomic { lock_reap = 0; s = 0 }
#if ACTORS > 2
		:: atomic { dead[2] && HOLDS(2) != 0 && TAKEABLE(lock_reap) -> lock_reap = me + 1; s = 2 }
			take_back(s);
			atomic { lock_reap = 0; s = 0 }
#endif
		:: atomic { guarded32 != 0 && TAKEABLE(lock_reap) -> lock_reap = me + 1 }
			take_back(s);
			atomic { lock_reap = 0; s = 0 }
		od
	} unless {
		killed[me]
	}
	atomic { FORGET; s = 0; killed[me] = 0; gone[me] = 1 }
}

proctype killer()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. THREADS);
		if
#ifdef SHARE
		:: i < ACTORS - 2 && !gone[i] -> killed[i] = 1 // a process dies as a whole
#else
		:: i < THREADS && !gone[i] -> killed[i] = 1
#endif
		:: else
		fi;
		deaths++;
		i = 0
	   }
	:: deaths == DEATHS -> break
	od
}

proctype judge()
{
	byte i, sum;
	bool somebody_looks;
	timeout;
	sum = there;
	for (i : 0 .. SLOTS - 1) {
		sum = sum + owns[i];
		assert(HOLDS(i) == owns[i])
	}
	assert(sum == UNITS);
	for (i : ACTORS .. THREADS - 1) {
		somebody_looks = somebody_looks || !gone[i]
	}
	if
	:: somebody_looks ->
		assert(returned == back);
		for (i : 0 .. SLOTS - 1) {
			assert(!dead[i] || owns[i] == 0)
		}
	:: else
	fi
}

init {
	atomic {
		byte i;
		for (i : 0 .. THREADS - 1) {
			if
			:: i < ACTORS -> run actor(i)
			:: else -> run reaper(i)
			fi
		}
		run killer();
		run judge()
	}
}
