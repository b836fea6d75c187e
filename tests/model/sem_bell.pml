// SPDX-License-Identifier: MIT
//
// tests/model/sem_bell.pml - who sleeps for units of a semaphore with holders, and who wakes him
// (docs/sem.md, "With holders" and "Death"): the marks W and M in the truth, and the bells that ring when a
// holder dies. Processes die at any step. run_model.sh checks it, and checks that each planted bug (BUG_...) is
// found. An operation on the truth is one step here: sem_truth.pml has what is inside it.
//
// Modelled: the truth as units, W, M and whether it is still what a sleeper saw; sleeping on the deathword,
// the epoch, the truth and each holder's mark, queued and compared one after the other, of which several may
// ring before the sleeper runs: the last in this order is reported. A mark that dies wakes one of its sleepers;
// the slot's lock is free some time after that. A marking thread may end while its process lives. Who saw no
// mark that vouches, looks again now and then. Whoever takes units holds them in its slot.
//
// Invariant: when nothing can move any more, no living process sleeps beside units enough, and while anybody
// sleeps, no dead process holds any.
//
// What the model taught:
//
//   MARK_BEFORE_EVENT,  The marks come behind the truth, and who is woken by one wakes all, as by a death. Else:
//   MARK_WAKES_NOBODY   T is woken by the mark, finds a unit that came from elsewhere, takes it and leaves; or T
//                       gives up. Nobody looks at the slots for S.
//   MANY_TELL_NOBODY    Who wants several, finds some and no M, wakes all before he sets M. Else: B (two) and
//                       S (one) sleep; X gives one, and is killed; the deathword wakes B; Z takes the one; S2
//                       marks W and sleeps; Y gives one and wakes B, who has not run yet: the death is hidden.
//                       (Before: if he is killed between the two, M must not say that he has.)
//   LEAVES_WOKEN        As in sem_word.pml.

#ifndef N
#define N 3 // process i has slot i
#endif
#ifndef WANTS0
#define WANTS0 1
#endif
#ifndef WANTS1
#define WANTS1 1
#endif
#ifndef WANTS2
#define WANTS2 0
#endif
#ifndef WANTS3
#define WANTS3 0
#endif
#ifndef HAS1
#define HAS1 0 // units that process 1 takes at first, if they are there
#endif
#ifndef HAS2
#define HAS2 1
#endif
#ifndef GIVES2
#define GIVES2 0 // new units that process 2 gives
#endif
#ifndef GIVES3
#define GIVES3 0
#endif
#ifndef FREE
#define FREE 0
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef ENDS
#define ENDS 0 // marking threads that end
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif

#define WANTS(i) ((i) == 0 -> WANTS0 : ((i) == 1 -> WANTS1 : ((i) == 2 -> WANTS2 : WANTS3)))
#define HAS(i) ((i) == 1 -> HAS1 : ((i) == 2 -> HAS2 : 0))
#define GIVES(i) ((i) == 2 -> GIVES2 : ((i) == 3 -> GIVES3 : 0))

byte units = FREE;
bool w, m;
byte held[N];
bool rung[N];      // the mark of this slot has died
bool freed[N];     // the lock of this slot is free
bool in_use[N];
bool moved[N];     // the truth has changed since this process saw it
bool renewed[N];   // the epoch
bool sees[N * N];  // i sleeps on the mark of j
bool on_mark[N * N];
bool on_event[N];
bool on_death[N];
bool on_epoch[N];
bool sleeping[N];
bool polls[N];     // looks again now and then
bool duty[N];
bool killed[N];
bool gone[N];
byte deaths, ends, give_ups;

#define ON(i, j) on_mark[(i) * N + (j)]
#define SEES(i, j) sees[(i) * N + (j)]
#define RANG(i, j) (SEES(i, j) && !ON(i, j))

#if N > 3
#define ALL(array, value) array[0] = value; array[1] = value; array[2] = value; array[3] = value
#define ONE_OF_4(queue) :: queue[3] -> queue[3] = 0
#define ANY(condition) (condition(0) || condition(1) || condition(2) || condition(3))
#else
#define ALL(array, value) array[0] = value; array[1] = value; array[2] = value
#define ONE_OF_4(queue)
#define ANY(condition) (condition(0) || condition(1) || condition(2))
#endif

#define WAKE_ONE(queue) \
	if \
	:: queue[0] -> queue[0] = 0 \
	:: queue[1] -> queue[1] = 0 \
	:: queue[2] -> queue[2] = 0 \
	ONE_OF_4(queue) \
	:: else \
	fi

#define MARK_RANG(j) RANG(me, j)
#define DEAD_SLOT(j) (in_use[j] && freed[j])

// The kernel: the mark of j dies, and one of its sleepers is woken.
inline ring_mark(j)
{
	if
	:: in_use[j] && !rung[j] ->
		rung[j] = 1;
		if
		:: ON(0, j) -> ON(0, j) = 0
		:: ON(1, j) -> ON(1, j) = 0
		:: ON(2, j) -> ON(2, j) = 0
#if N > 3
		:: ON(3, j) -> ON(3, j) = 0
#endif
		:: else
		fi
	:: else
	fi
}

inline leave_bed(me, i)
{
	on_event[me] = 0;
	on_death[me] = 0;
	on_epoch[me] = 0;
	sleeping[me] = 0;
	polls[me] = 0;
	for (i : 0 .. N - 1) {
		ON(me, i) = 0;
		SEES(me, i) = 0
	}
	i = 0
}

// Give: the marks go with the same store, and the wake-ups are owed.
inline give(me, n, many, some)
{
	atomic {
		units = units + n;
		some = w;
		many = m;
		w = 0;
		m = 0;
		ALL(moved, 1)
	}
	if
	:: atomic { many -> ALL(on_event, 0) }
	:: atomic { some && !many -> WAKE_ONE(on_event) }
	:: atomic { !some && !many }
	fi;
	atomic { some = 0; many = 0 }
}

// One word after the other; one that has died already ends the sleep, and rang for somebody else.
inline compare_marks(me, i)
{
	i = 0;
	do
	:: atomic { i < N && SEES(me, i) ->
		ON(me, i) = !rung[i];
		SEES(me, i) = !rung[i];
		passed = passed || rung[i];
		i++
	   }
	:: atomic { i < N && !SEES(me, i) -> i++ }
	:: atomic { i == N -> i = 0; break }
	od
}

proctype process(byte me)
{
	byte want = WANTS(me);
	byte gives = GIVES(me);
	byte i;
	bool slept, many, some, all, took, passed;
	{
		// Comes into use: its mark, then the epoch; what it holds at first it has taken after that.
		atomic { in_use[me] = 1; ALL(renewed, 1) }
#ifndef BUG_NO_EPOCH
		atomic { ALL(on_epoch, 0) }
#endif
		atomic {
			if
			:: HAS(me) > 0 && units >= HAS(me) ->
				units = units - HAS(me);
				held[me] = HAS(me);
				ALL(moved, 1)
			:: else
			fi
		}
		do
		:: atomic { gives > 0 -> gives--; duty[me] = 1 }
			give(me, 1, many, some);
			duty[me] = 0
		:: atomic { gives == 0 -> break }
		od;
look:
		if
		:: atomic { want == 0 -> goto done }
		:: atomic {
			want > 0 && units >= want ->
			units = units - want;
			held[me] = held[me] + want;
			ALL(moved, 1);
			all = m && units > 0 && slept;
			some = units > 0 && slept;
			w = w || (slept && units == 0);
			goto taken
		   }
		:: atomic { want > 0 && units < want -> moved[me] = 0; duty[me] = 1 }
		fi;
		if
		:: atomic { slept && give_ups < GIVE_UPS -> give_ups++ }
#ifndef BUG_LEAVES_WOKEN
			atomic { ALL(on_event, 0) }
#endif
			goto done
		:: skip
		fi;
		// The watch: the epoch, then each slot.
		renewed[me] = 0;
		i = 0;
		do
		:: atomic { i < N && (i == me || !in_use[i]) -> i++ }
		:: atomic { i < N && i != me && in_use[i] && !rung[i] -> SEES(me, i) = 1; i++ }
		:: atomic { i < N && i != me && in_use[i] && rung[i] && !freed[i] -> polls[me] = 1; i++ }
		:: atomic { i < N && i != me && in_use[i] && rung[i] && freed[i] }
			// The lock `reap`, and what is under it, is one step but for the wake-ups.
			atomic {
				if
				:: in_use[i] && freed[i] ->
					took = held[i] > 0;
					units = units + held[i];
					held[i] = 0;
					in_use[i] = 0;
					if
					:: took -> w = 0; m = 0; ALL(moved, 1)
					:: else
					fi
				:: else
				fi
			}
			if
			:: atomic { took -> took = 0; ALL(on_event, 0) }
				atomic { slept = 1; i = 0; leave_bed(me, i); goto look }
			:: atomic { !took -> i++ }
			fi
		:: atomic { i == N -> i = 0; break }
		od;
		// The marks. Who wants several and finds some tells the others first, but for one who has.
#ifndef BUG_MANY_TELL_NOBODY
		if
		:: atomic { want > 1 && units > 0 && !m -> ALL(on_event, 0) }
		:: atomic { !(want > 1 && units > 0 && !m) }
		fi;
#endif
		atomic {
			if
			:: moved[me] -> slept = 1; leave_bed(me, i); goto look
			:: else ->
				if
				:: !w || (want > 1 && !m) -> ALL(moved, 1)
				:: else
				fi;
				w = 1;
				m = m || want > 1;
				moved[me] = 0
			fi
		}
		atomic { on_death[me] = 1; sleeping[me] = 1 }
		atomic { on_epoch[me] = !renewed[me] }
#ifdef BUG_MARK_BEFORE_EVENT
		compare_marks(me, i);
		atomic { on_event[me] = !moved[me]; all = !on_event[me] }
#else
		atomic { on_event[me] = !moved[me] }
		compare_marks(me, i);
#endif
		slept = 1;
end_asleep:
		if
		:: atomic {
			passed || !on_event[me] || !on_death[me] || !on_epoch[me] || ANY(MARK_RANG) ->
			passed = 0;
			all = ANY(MARK_RANG);
#ifdef BUG_MARK_BEFORE_EVENT
			all = all && on_event[me];
#endif
			all = all || (on_event[me] && on_epoch[me] && !on_death[me]);
#ifdef BUG_MARK_WAKES_NOBODY
			all = on_event[me] && !on_death[me] && on_epoch[me] && !all;
#endif
			leave_bed(me, i)
		   }
		:: atomic { // it looks again: something has changed since
			polls[me] && ANY(DEAD_SLOT) ->
			leave_bed(me, i)
		   }
		:: atomic { // a deadline or a signal: not woken
			give_ups < GIVE_UPS && !passed && on_event[me] && on_death[me] && on_epoch[me] &&
			!ANY(MARK_RANG) ->
			give_ups++;
			leave_bed(me, i);
			goto done
		   }
		fi;
		if
		:: atomic { all -> all = 0; ALL(on_event, 0) }
		:: atomic { !all }
		fi;
		goto look;
taken:
		if
		:: atomic { all -> ALL(on_event, 0) }
		:: atomic { some && !all -> WAKE_ONE(on_event) }
		:: atomic { !some && !all }
		fi;
done:
		atomic { duty[me] = 0; want = 0; i = 0; slept = 0; all = 0; some = 0; many = 0 }
		// It lives on, with what it holds, until it is killed.
end_living:
		false
	} unless {
		killed[me]
	}
	atomic {
		i = 0;
		leave_bed(me, i);
		if
		:: duty[me] -> WAKE_ONE(on_death)
		:: else
		fi;
		duty[me] = 0;
		want = 0; gives = 0; slept = 0; many = 0; some = 0; all = 0; took = 0; passed = 0;
		killed[me] = 0;
		gone[me] = 1
	}
	atomic { ring_mark(me) }
	freed[me] = 1
}

proctype fate()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. N);
		if
		:: i < N && !gone[i] && !killed[i] -> killed[i] = 1
		:: else
		fi;
		deaths++;
		i = 0
	   }
	:: atomic { // the thread that made process 2's mark ends
		ends < ENDS ->
		ends++;
		ring_mark(2)
	   }
	:: atomic { deaths == DEATHS && ends == ENDS -> break }
	od
}

proctype judge()
{
	byte i, j;
	bool asleep;
	timeout;
	for (i : 0 .. N - 1) {
		if
		:: !gone[i] && sleeping[i] ->
			asleep = 1;
			assert(units < WANTS(i))
		:: else
		fi
	}
	for (i : 0 .. N - 1) {
		assert(!asleep || !gone[i] || held[i] == 0)
	}
}

init {
	atomic {
		byte i;
		for (i : 0 .. N - 1) {
			run process(i)
		}
		run fate();
		run judge()
	}
}
