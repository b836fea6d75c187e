// SPDX-License-Identifier: MIT
//
// tests/model/pipe_room.pml - writers that sleep on a full ring (docs/pipe.md, "Write"), while readers
// make room, take the lease over, drop it and flush, and other writers seal; threads die at any step.
// run_model.sh checks it, and checks that each planted bug (BUG_...) is found. pipe_order.pml has the
// bytes' order; here they are a count.
//
// Modelled: the lease with its WAITERS bit, which thread's `pending` names it (duty), the flag tx_asleep,
// room_event (by what a sleeper can tell: whether it is what he saw), sleep on two words, queued on one
// after the other; what the kernel does for the dead: mark the lease, wake one. Not modelled: that a
// sleeping writer looks after 20 ms. So what holds here holds without any clock.
//
// Invariant: when nothing can move any more, a living writer sleeps only beside a full ring and a lease
// whose thread lives.
//
// What the model taught:
//
//   BUMP_BEFORE_END          Who ends a lease bumps the event after that, for he does it without R. Else: he
//                            bumps; S reads the event, and is queued on the lease; the lease ends, and all
//                            are woken; S compares the event.
//   WAITERS_READ_EARLY       The word is exchanged: WAITERS may be raised until the last moment.
//   CLEARS_FLAG              The flag belongs to R: who ends a lease under W alone leaves it, for the next reader
//                            to ring once more. Else: A ends a lease, and is killed before he has woken
//                            anybody; W is free before the kernel looks at `pending`; a new lease is taken, and
//                            the word names a living thread.
//   WAKE_AFTER_R             A reader clears the flag and wakes before he lets go of R. Else another takes
//                            the lease over in between and sees no flag; the first is killed, and the word
//                            names a living thread.
//   TAKE_OVER_DROPS_WAITERS  Who takes a lease over keeps its WAITERS. Else he is killed, and the kernel
//   NO_WAITERS               wakes nobody. So a sleeper raises it.
//   END_WITHOUT_DUTY         Who ends a lease has `pending` on it until he has woken all,
//   SLEEP_WITHOUT_DUTY       and so has a sleeper: he may be the one whom the kernel woke for all.
//   EVENT_READ_LATE          A sleeper reads the event, under R, before he looks at the ring.
//
// Given the mark of a dead leaseholder on the other word, a reader could bump after he has moved head, and a
// sleeper be queued on the words in either order.

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef WRITES
#define WRITES 1
#endif
#ifndef READS
#define READS 2
#endif
#ifndef SEALS
#define SEALS 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef DEPTH
#define DEPTH 1
#endif

#define THREADS (WRITERS + READERS)
#define TID(i) ((i) + 1)
#define DIED 15

// The event, as a writer has read it.
#define NOT_READ 0
#define SAME 1
#define PASSED 2

byte count = DEPTH;    // the ring is full at first, and the first reader has the lease
byte lease = WRITERS + 1;
bool waiters;          // the WAITERS bit of the lease
bool flag;             // tx_asleep
byte lock_r, lock_w;
byte event[WRITERS];
byte seen[WRITERS];    // the lease as this writer read it, with WAITERS
bool on_event[WRITERS];
bool on_lease[WRITERS];
bool sleeping[WRITERS];
bool duty[THREADS];    // pending points at the lease
bool killed[THREADS];
bool gone[THREADS];
byte seals, deaths;

#define TAKEABLE(l) (l == 0 || killed[l - 1] || gone[l - 1])
#define LEASED (lease != 0 && lease != DIED)
#define FULL (count == DEPTH)

#ifdef BUG_NO_WAITERS
#define CHANGED false
#else
#define CHANGED !waiters
#endif

inline bump(i)
{
	atomic {
		for (i : 0 .. WRITERS - 1) {
			if
			:: event[i] == SAME -> event[i] = PASSED
			:: else
			fi
		}
		i = 0
	}
}

inline wake_all(i)
{
	atomic {
		for (i : 0 .. WRITERS - 1) {
			on_event[i] = 0
		}
		i = 0
	}
}

inline wake_one_on_lease()
{
	if
	:: on_lease[0] -> on_lease[0] = 0
	:: on_lease[WRITERS - 1] -> on_lease[WRITERS - 1] = 0
#if WRITERS > 2
	:: on_lease[1] -> on_lease[1] = 0
#endif
	:: else
	fi
}

// What the kernel does for the dead: the lease first, for it stands on the list before the lock, or the lock
// is in `pending`; on duty the other way round.
inline mark_lease(i)
{
	if
	:: lease == TID(i) ->
		lease = DIED;
		if
		:: waiters -> wake_one_on_lease()
		:: else
		fi
	:: else
	fi
}

inline bury(me)
{
	if
	:: killed[me] && duty[me] && !LEASED -> wake_one_on_lease()
	:: else
	fi;
	duty[me] = 0
}

// Under W: no lease any more. Who sleeps is woken after; the word is exchanged, so that nobody can have
// raised WAITERS in between.
inline end_lease(me, wake, i)
{
#ifndef BUG_END_WITHOUT_DUTY
	duty[me] = 1;
#endif
#ifdef BUG_BUMP_BEFORE_END
	bump(i);
#endif
#ifdef BUG_WAITERS_READ_EARLY
	wake = waiters || flag;
	atomic { lease = 0; waiters = 0 }
#else
	atomic { wake = waiters || flag; lease = 0; waiters = 0 }
#endif
#ifdef BUG_CLEARS_FLAG
	flag = 0;
#endif
	if
	:: wake
#ifndef BUG_BUMP_BEFORE_END
		bump(i)
#endif
	:: atomic { !wake }
	fi;
	wake_sleepers(wake, i)
}

inline wake_sleepers(wake, i)
{
	if
	:: atomic { wake -> wake = 0 }
		wake_all(i)
	:: atomic { !wake }
	fi
}

proctype writer(byte me)
{
	byte rounds = WRITES;
	byte i;
	bool wake, by_death;
again:
	{
		if
		:: atomic { rounds == 0 -> goto done }
		:: atomic { rounds > 0 && TAKEABLE(lock_w) -> lock_w = TID(me) }
		fi;
		if
		:: atomic { LEASED && !FULL -> count++; rounds--; lock_w = 0; goto again }
		:: atomic { lease == 0 -> rounds--; lock_w = 0; goto again } // by the kernel
		:: atomic { LEASED && FULL && seals < SEALS -> seals++; goto seal }
		:: atomic { lease == DIED -> goto seal }
		:: atomic { LEASED && FULL -> lock_w = 0 }
		fi;
		// Announce, under R.
		atomic {
			TAKEABLE(lock_r) ->
			if
			:: !FULL -> goto again
			:: else
			fi;
			lock_r = TID(me);
#ifndef BUG_EVENT_READ_LATE
			event[me] = SAME
#endif
		}
		flag = 1;
		atomic {
			if
			:: !LEASED -> lock_r = 0; event[me] = NOT_READ; goto again
			:: else
			fi;
#ifndef BUG_NO_WAITERS
			waiters = 1;
#endif
			seen[me] = lease;
			lock_r = 0;
#ifndef BUG_SLEEP_WITHOUT_DUTY
			duty[me] = 1
#endif
		}
#ifdef BUG_EVENT_READ_LATE
		event[me] = SAME;
#endif
		// Queued on one word after the other, each after comparing it. If both were woken, or the second had
		// passed, the report names the event in the one case, the lease in the other.
		atomic {
			if
			:: lease != seen[me] || CHANGED -> goto awake
			:: else -> on_lease[me] = 1; sleeping[me] = 1
			fi
		}
		atomic {
			on_event[me] = (event[me] == SAME);
			sleeping[me] = on_event[me]
		}
		atomic { seen[me] = 0; event[me] = NOT_READ }
end_asleep:
		atomic {
			!on_event[me] || !on_lease[me] ->
			by_death = !on_lease[me] && (on_event[me] || !sleeping[me]);
			on_event[me] = 0;
			on_lease[me] = 0;
			sleeping[me] = 0
		}
		if
		:: atomic { by_death -> by_death = 0 }
			bump(i);
			wake_all(i)
		:: atomic { !by_death }
		fi;
awake:
		atomic { duty[me] = 0; seen[me] = 0; event[me] = NOT_READ; goto again }
seal:
		end_lease(me, wake, i);
		atomic { lock_w = 0; duty[me] = 0; goto again }
done:
		skip
	} unless {
		killed[me]
	}
	atomic {
		bury(me);
		killed[me] = 0;
		i = 0;
		wake = 0;
		by_death = 0;
		rounds = 0;
		seen[me] = 0;
		event[me] = NOT_READ;
		gone[me] = 1
	}
}

// A reader reads, or ends the lease beside an empty ring, or flushes; or stops for ever.
proctype reader(byte me)
{
	byte rounds = READS;
	byte i;
	bool wake;
again:
	{
		if
		:: atomic { goto done }
		:: atomic { rounds > 0 && TAKEABLE(lock_r) -> lock_r = TID(me); rounds-- }
		fi;
		if
		:: atomic { count > 0 && (lease == TID(me) || lease == 0) }
publish:
			if
			:: atomic { flag || (lease != TID(me) && waiters) -> flag = 0; wake = 1 }
				bump(i)
			:: atomic { !flag && (lease == TID(me) || !waiters) }
			fi;
			count--;
#ifdef BUG_WAKE_AFTER_R
			lock_r = 0;
#endif
			wake_sleepers(wake, i);
			atomic {
#ifndef BUG_WAKE_AFTER_R
				lock_r = 0;
#endif
				goto again
			}
		:: atomic { lease != TID(me) && LEASED && TAKEABLE(lock_w) -> lock_w = TID(me) }
			atomic {
				if
				:: LEASED ->
					lease = TID(me);
#ifdef BUG_TAKE_OVER_DROPS_WAITERS
					waiters = 0
#endif
				:: else
				fi;
				lock_w = 0
			}
			if
			:: atomic { count > 0 -> goto publish }
			:: atomic { count == 0 -> lock_r = 0; goto again }
			fi
		:: atomic { lease != 0 && TAKEABLE(lock_w) -> lock_w = TID(me) } // drop, or flush, or seal a dead one's
			end_lease(me, wake, i);
			atomic { flag = 0; count = 0; lock_w = 0; lock_r = 0; duty[me] = 0; goto again }
		:: atomic { lease == 0 && count == 0 && TAKEABLE(lock_w) -> lock_w = TID(me) } // a new lease
			atomic { lease = TID(me); lock_w = 0; lock_r = 0; goto again }
		fi;
done:
		skip
	} unless {
		killed[me]
	}
	if
	:: atomic { killed[me] -> bury(me); killed[me] = 0; i = 0; wake = 0; rounds = 0; gone[me] = 1 }
	:: else
	fi
}

inline kill(i)
{
	killed[i] = 1;
	if
	:: i < WRITERS -> on_event[i] = 0; on_lease[i] = 0; sleeping[i] = 0
	:: else
	fi;
	mark_lease(i)
}

// SIGKILL may come at any moment, to anybody, or to nobody.
proctype killer()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. THREADS);
		if
		:: i < THREADS && !gone[i] && !killed[i] -> kill(i)
		:: else
		fi;
		deaths++;
		i = 0
	   }
	:: deaths == DEATHS -> break
	od
}

// Nothing moves any more: whoever is not at his end sleeps, and rightly.
proctype judge()
{
	byte i;
	timeout;
	for (i : 0 .. WRITERS - 1) {
		assert(gone[i] || (sleeping[i] && FULL && LEASED))
	}
}

init {
	atomic {
		byte i;
		for (i : 0 .. THREADS - 1) {
			if
			:: i < WRITERS -> run writer(i)
			:: else -> run reader(i)
			fi
		}
		run killer();
		run judge()
	}
}
