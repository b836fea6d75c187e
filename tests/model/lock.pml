// SPDX-License-Identifier: MIT
//
// tests/model/lock.pml - the recoverable lock (src/sync/lock.h) with owners and waiters that die at any
// step. run_model.sh checks it, and checks that each planted bug (BUG_...) is found.
//
// Modelled: the word of src/sync/layout.h, list_op_pending of each thread, the kernel's work for a dead
// thread (handle_futex_death), futex wait and wake with any choice among the sleepers. Not modelled:
// the slices in which waiters sleep and the look whether the owner lives. So what holds here holds
// without any timeout: nobody waits for ever because of a death.
//
// Invariants: one owner at a time; an owner's half-done work is never seen without OWNER_DIED; when
// nothing can move any more, no living thread sleeps.

#ifndef THREADS
#define THREADS 4
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef EAGER
#define EAGER 0 // threads that take the lock twice; the others take it once
#endif
#ifndef VICTIMS
#define VICTIMS DEATHS // threads that may die: among equal ones it does not matter which
#endif

#define NOBODY 15
#define TID_MASK 15
#define WAITERS 16
#define OWNER_DIED 32
#define TID(i) ((i) + 1)

byte word;
bool pending[THREADS]; // list_op_pending names the lock
bool asleep[THREADS];  // queued in the kernel
bool killed[THREADS];  // SIGKILL is on its way: no further instruction of the thread runs
bool gone[THREADS];
byte deaths;

byte owners; // how many threads believe that they hold the lock
bool dirty;  // what the lock guards is half done

// Wake at most one sleeper, whichever the kernel likes. `n` says how many.
inline wake_one(n)
{
	atomic {
		n = 0;
		if
		:: asleep[0] -> asleep[0] = 0; n = 1
		:: asleep[1] -> asleep[1] = 0; n = 1
#if THREADS > 2
		:: asleep[2] -> asleep[2] = 0; n = 1
#endif
#if THREADS > 3
		:: asleep[3] -> asleep[3] = 0; n = 1
#endif
		:: else
		fi
	}
}

inline wake_all()
{
	atomic {
		asleep[0] = 0; asleep[1] = 0;
#if THREADS > 2
		asleep[2] = 0;
#endif
#if THREADS > 3
		asleep[3] = 0;
#endif
	}
}

// Take the lock. A thread that slept, or that found WAITERS, keeps WAITERS in the word: it may not be
// the only one that waited. Locals go back to 0 when they are no longer needed: fewer states.
inline acquire(me, seen, slept, died)
{
	do
	:: atomic {
		seen = word;
		if
		:: seen == 0 && !slept -> word = TID(me)
#ifdef BUG_TAKE_DROPS_WAITERS
		:: (seen & TID_MASK) == 0 && !(seen == 0 && !slept) -> word = TID(me)
#else
		:: (seen & TID_MASK) == 0 && !(seen == 0 && !slept) -> word = TID(me) | WAITERS
#endif
		:: else
		fi;
		if
		:: (seen & TID_MASK) == 0 ->
			died = (seen & OWNER_DIED) != 0;
			slept = 0;
			seen = 0;
			break
		:: else -> skip
		fi
	   }
	   if
	   :: seen & WAITERS -> goto sleep
	   :: else -> skip
	   fi;
	   // CAS seen -> seen | WAITERS; a failure starts over.
	   atomic {
		if
		:: word == seen -> word = seen | WAITERS; seen = word; goto sleep
		:: else -> seen = 0; goto again
		fi
	   }
sleep:	   // futex_wait compares under its own lock
	   atomic {
		asleep[me] = (word == seen);
		slept = 1;
		seen = 0
	   }
	   !asleep[me];
again:
	od;
#ifdef BUG_PENDING_LATE
	pending[me] = 1
#endif
}

// Give the lock back. WAITERS stays in the word while anybody may sleep.
inline release(me, seen, n)
{
	atomic {
		seen = word & WAITERS;
#ifdef BUG_CLEAR_WAITERS
		word = 0
#else
		word = seen
#endif
	}
#ifdef BUG_PENDING_EARLY
	pending[me] = 0;
#endif
	if
	:: seen ->
		seen = 0;
		wake_one(n);
#ifndef BUG_CLEAR_WAITERS
		if
		:: !n ->
#ifdef BUG_BLIND_STORE
			word = 0;
			wake_all()
#else
			// Nobody slept: CAS WAITERS -> 0. Whoever slept and was woken since is woken again.
			if
			:: atomic { word == WAITERS -> word = 0 }
#ifndef BUG_NO_WAKE_ALL
				wake_all()
#endif
			:: else
			fi
#endif
		:: else -> n = 0
		fi
#endif
	:: else
	fi;
	pending[me] = 0
}

// What the kernel does for a dead thread.
inline bury(me, seen, n)
{
	atomic {
		asleep[me] = 0;
		seen = 0;
		if
		:: inside -> inside = 0; owners--
		:: else
		fi;
		if
		:: pending[me] && (word & TID_MASK) == 0 -> seen = WAITERS
		:: pending[me] && (word & TID_MASK) == TID(me) ->
			seen = word & WAITERS;
			word = seen | OWNER_DIED
		:: else
		fi;
		pending[me] = 0
	}
	if
	:: seen -> wake_one(n)
	:: else
	fi
}

proctype thread(byte me; byte rounds)
{
	byte seen;
	bool n;
	bool slept;
	bool died;
	bool inside;
	{
		do
		:: atomic {
			rounds > 0 ->
			rounds--;
#ifndef BUG_PENDING_LATE
			pending[me] = 1
#endif
		   }
			acquire(me, seen, slept, died);
			atomic {
				inside = 1;
				owners++;
				assert(owners == 1);
#ifndef BUG_NO_REPAIR
				if
				:: died -> dirty = 0; died = 0
				:: else
				fi;
#endif
				assert(!dirty);
				dirty = 1
			}
			atomic { dirty = 0; inside = 0; owners-- }
			release(me, seen, n)
		:: else -> break
		od
	} unless {
		killed[me] ->
		bury(me, seen, n)
	}
	atomic { gone[me] = 1; seen = 0; n = 0; slept = 0; died = 0; rounds = 0 }
}

// SIGKILL may come at any moment, to anybody.
proctype killer()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. VICTIMS - 1);
		if
		:: !gone[i] && !killed[i] -> killed[i] = 1; deaths++
		:: else
		fi;
		i = 0
	   }
	:: break
	od
}

// Nothing moves any more: then everybody must have come to his end.
proctype judge()
{
	byte i;
	timeout;
	for (i : 0 .. THREADS - 1) {
		assert(gone[i])
	}
}

init {
	atomic {
		byte i;
		for (i : 0 .. THREADS - 1) {
			run thread(i, (i < EAGER -> 2 : 1))
		}
		run killer();
		run judge()
	}
}
