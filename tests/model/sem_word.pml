// SPDX-License-Identifier: MIT
//
// tests/model/sem_word.pml - a semaphore without holders (docs/sem.md, "Without holders"): posters, waiters
// that sleep, are killed, cancelled or late, and takers that never sleep. run_model.sh checks it, and checks
// that each planted bug (BUG_...) is found.
//
// Modelled: the word as units and mark, which change in one step (a CAS that fails begins again, and what it
// compares is all that counts); the deathword and whose `pending` points there (duty); sleep on two words,
// queued on one after the other, of which both may be woken before the sleeper runs: then the event is
// reported, and the death hidden; a cancellation, which takes a wake-up along; a deadline that is judged after
// a wake-up, and one that ends the sleep. With DESTROY the last one served frees the memory.
//
// Invariant: no living thread sleeps beside a unit when nothing can move any more; posted = taken + there;
// nobody touches the word after it was freed.
//
// What the model taught:
//
//   LEAVES_WOKEN    A sleeper was woken, and the unit is gone when he looks; his deadline has passed, and he
//                   leaves. The mark is away: the next post wakes nobody. So who has slept and leaves with
//                   nothing wakes all.
//   DEATH_WAKES_ONE Who hears of a death looks, and hands on like anybody else: that would be enough, since
//                   one who took a unit hands on. It holds; waking all is for the other kind of semaphore.

#ifndef POSTERS
#define POSTERS 2
#endif
#ifndef POSTS
#define POSTS 1 // of each poster
#endif
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef TAKERS
#define TAKERS 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif

#define THREADS (WAITERS + POSTERS + TAKERS)

byte units;
bool mark; // SEM_AWAITED
byte posted, taken;
bool freed;
bool duty[THREADS];
bool on_event[WAITERS];
bool on_death[WAITERS];
bool sleeping[WAITERS];
bool killed[THREADS];
bool gone[THREADS];
byte deaths, give_ups, served;

#ifdef DESTROY
#define TOUCH assert(!freed)
#else
#define TOUCH skip
#endif

inline wake_one(n)
{
	atomic {
		n = 1;
		if
		:: on_event[0] -> on_event[0] = 0
		:: on_event[WAITERS - 1] -> on_event[WAITERS - 1] = 0
#if WAITERS > 2
		:: on_event[1] -> on_event[1] = 0
#endif
		:: else -> n = 0
		fi
	}
}

inline wake_all(i)
{
	atomic {
		for (i : 0 .. WAITERS - 1) {
			on_event[i] = 0
		}
		i = 0
	}
}

inline wake_on_death()
{
	if
	:: on_death[0] -> on_death[0] = 0
	:: on_death[WAITERS - 1] -> on_death[WAITERS - 1] = 0
#if WAITERS > 2
	:: on_death[1] -> on_death[1] = 0
#endif
	:: else
	fi
}

inline bury(me)
{
	if
	:: killed[me] && duty[me] -> wake_on_death()
	:: else
	fi;
	duty[me] = 0;
	killed[me] = 0;
	gone[me] = 1
}

proctype poster(byte me)
{
	byte rounds = POSTS;
	bool n, owes;
again:
	{
		if
		:: atomic { rounds == 0 -> goto done }
		:: atomic {
			rounds > 0 ->
			rounds--;
			TOUCH;
			owes = mark
		   }
		fi;
#ifndef BUG_POST_WITHOUT_DUTY
		atomic {
			if
			:: owes -> duty[me] = 1
			:: else
			fi
		}
#endif
		// A CAS from what was seen: with a mark that came meanwhile, on duty first.
		atomic {
			TOUCH;
			if
			:: mark && !owes -> owes = 1; rounds++; goto again
			:: else
			fi;
			owes = mark;
			units++;
			posted++;
#ifndef BUG_MARK_AWAY_LATER
			mark = 0
#endif
		}
		if
		:: owes ->
			wake_one(n)
#ifdef BUG_MARK_AWAY_LATER
			;
			if
			:: !n -> TOUCH; mark = 0
			:: else
			fi
#endif
		:: !owes
		fi;
		atomic { owes = 0; n = 0; duty[me] = 0; goto again }
done:
		skip
	} unless {
		killed[me]
	}
	atomic { owes = 0; n = 0; rounds = 0; bury(me) }
}

proctype waiter(byte me)
{
	bool slept, n, by_death, left;
	byte i;
look:
	{
		atomic {
			TOUCH;
			if
			:: units > 0 ->
				taken++;
				units--;
				left = units > 0;
#ifndef BUG_LEAVES_ZERO
				mark = mark || (slept && !left);
#endif
				goto served_now
			:: else
			fi
		}
		// The deadline is judged before each sleep.
		if
		:: atomic { give_ups < GIVE_UPS -> give_ups++; goto leave }
		:: skip
		fi;
#ifndef BUG_SLEEP_WITHOUT_DUTY
		duty[me] = 1;
#endif
		atomic {
			TOUCH;
#ifndef BUG_MARK_STORED
			if
			:: units > 0 -> goto look
			:: else
			fi;
#else
			units = 0;
#endif
			mark = 1
		}
#ifdef BUG_DEATHWORD_LAST
		atomic { on_event[me] = mark && units == 0; sleeping[me] = on_event[me] }
		atomic { on_death[me] = sleeping[me] }
#else
		atomic { on_death[me] = 1; sleeping[me] = 1 }
#ifdef BUG_NOT_COMPARED
		on_event[me] = 1;
#else
		atomic { on_event[me] = mark && units == 0; sleeping[me] = on_event[me] }
#endif
#endif
		slept = 1;
end_asleep:
		if
		:: atomic {
			!on_event[me] || !on_death[me] ->
#ifdef BUG_DEATHWORD_LAST
			by_death = sleeping[me] && !on_death[me];
#else
			by_death = !on_death[me] && (on_event[me] || !sleeping[me]);
#endif
			on_event[me] = 0;
			on_death[me] = 0;
			sleeping[me] = 0
		   }
		:: atomic { // a deadline or a signal, and not woken
			give_ups < GIVE_UPS && on_event[me] && on_death[me] ->
			give_ups++;
			on_event[me] = 0;
			on_death[me] = 0;
			sleeping[me] = 0;
			goto served_at_last
		   }
		:: atomic { // cancelled, woken or not
			give_ups < GIVE_UPS ->
			give_ups++;
			on_event[me] = 0;
			on_death[me] = 0;
			sleeping[me] = 0
		   }
#ifndef BUG_CANCELLED_SILENTLY
			wake_all(i);
#endif
			goto served_at_last
		fi;
#ifdef BUG_WOKEN_DROPS_DUTY
		duty[me] = 0;
#endif
		if
		:: atomic { by_death -> by_death = 0 }
#ifndef DEATH_WAKES_ONE
			wake_all(i)
#endif
		:: atomic { !by_death }
		fi;
		goto look;
leave:
		if
		:: slept ->
#ifndef BUG_LEAVES_WOKEN
			wake_all(i)
#endif
		:: !slept
		fi;
		goto served_at_last;
served_now:
		if
		:: slept && left ->
#ifndef BUG_NO_HAND_ON
			wake_one(n)
#endif
		:: !slept || !left
		fi;
		atomic {
			served++;
			freed = (served == POSTERS * POSTS)
		}
served_at_last:
		skip
	} unless {
		killed[me] -> atomic { on_event[me] = 0; on_death[me] = 0; sleeping[me] = 0 }
	}
	atomic { slept = 0; n = 0; by_death = 0; left = 0; i = 0; bury(me) }
}

// A wait that finds a unit, or a trywait.
proctype taker(byte me)
{
	atomic {
		if
		:: units > 0 -> units--; taken++; served++
		:: true
		fi;
		gone[me] = 1
	}
}

proctype killer()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. THREADS);
		if
		:: i < WAITERS + POSTERS && !gone[i] && !killed[i] -> killed[i] = 1
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
	byte i;
	timeout;
	assert(posted == taken + units);
	for (i : 0 .. WAITERS - 1) {
		assert(gone[i] || (sleeping[i] && units == 0))
	}
	for (i : WAITERS .. THREADS - 1) {
		assert(gone[i])
	}
}

init {
	atomic {
		byte i;
		for (i : 0 .. THREADS - 1) {
			if
			:: i < WAITERS -> run waiter(i)
			:: i >= WAITERS && i < WAITERS + POSTERS -> run poster(i)
			:: else -> run taker(i)
			fi
		}
		run killer();
		run judge()
	}
}
