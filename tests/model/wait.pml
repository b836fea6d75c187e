// SPDX-License-Identifier: MIT
//
// tests/model/wait.pml - how the two sides of a message queue sleep and wake each other (docs/mq.md,
// "Going to sleep, and waking"), with threads that die at any step. run_model.sh checks it, and checks
// that each planted bug (BUG_...) is found.
//
// Modelled: the flags of sleepers and their numbers, the event words (both by what a reader can tell:
// whether it is still the value that he saw), the deathword and which thread's
// `pending` points at it (`duty`), waiting on two words of which both may be woken before the sleeper
// runs, a bounded number of calls that end without having been woken (deadline, signal). The locks are
// abstract: lock.pml checks them; a lock whose holder died can be taken. Taking is one step with what
// follows it and dropping with what precedes it: nobody else can tell the difference. The queue is a
// count, since the order of messages does not matter here.
//
// Invariant: when nothing can move any more, no living thread sleeps that could go on.
//
// Found with this model: a committer has to bump the event *before* its commit, under the lock. If it
// bumps afterwards (BUG_BUMP_AFTER_COMMIT), then: R announces himself, reads the event, leaves the lock;
// S sees the flag, commits and is killed; the kernel wakes nobody on the deathword, since R is not in
// the kernel yet; R compares the event, which is as he read it, and sleeps beside the message.

#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef RECEIVERS
#define RECEIVERS 2
#endif
#ifndef SENDS
#define SENDS 2 // messages of each sender
#endif
#ifndef RECEIVES
#define RECEIVES 1 // messages of each receiver
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif

#define THREADS (SENDERS + RECEIVERS)
#define RX 0 // the receivers' side
#define TX 1
#define SIDE(i) ((i) < RECEIVERS -> RX : TX)
#define TID(i) ((i) + 1)

// Which lock stands for which side. In one-lock mode (a polled queue) one stands for both.
#ifdef ONE_LOCK
#define LOCK(side) 0
#else
#define LOCK(side) side
#endif

#define CAN_GO(side) ((side) == RX -> count > 0 : count < DEPTH)

byte lock[2];      // 0 or the holder's TID
byte count;        // messages in the queue: the truth
bool flag[2];      // rx_asleep, tx_asleep are not 0
bool renewed[THREADS];   // the flag this thread saw has got a new number since
bool moved[THREADS];     // the event this thread read was bumped since
bool duty[THREADS];      // pending points at the deathword
bool on_event[THREADS];  // queued in the kernel on the own side's event word
bool on_death[THREADS];  // queued on the deathword
bool sleeping[THREADS];  // inside the system call
bool killed[THREADS];
bool gone[THREADS];
byte deaths;
byte give_ups;

// Wake at most one sleeper of a side; the kernel picks. A sleeper whose deathword was woken but who
// has not run yet still stands in this queue, and uses the wake up.
inline wake_one(which, n)
{
	atomic {
		n = 0;
		if
		:: on_event[0] && SIDE(0) == which -> on_event[0] = 0; n = 1
		:: on_event[1] && SIDE(1) == which -> on_event[1] = 0; n = 1
#if SENDERS + RECEIVERS > 2
		:: on_event[2] && SIDE(2) == which -> on_event[2] = 0; n = 1
#endif
#if SENDERS + RECEIVERS > 3
		:: on_event[3] && SIDE(3) == which -> on_event[3] = 0; n = 1
#endif
		:: else
		fi
	}
}

inline wake_all(group, i)
{
	atomic {
		for (i : 0 .. THREADS - 1) {
			if
			:: SIDE(i) == group -> on_event[i] = 0
			:: else
			fi
		}
		i = 0
	}
}

inline wake_death()
{
	atomic {
		if
		:: on_death[0] -> on_death[0] = 0
		:: on_death[1] -> on_death[1] = 0
#if SENDERS + RECEIVERS > 2
		:: on_death[2] -> on_death[2] = 0
#endif
#if SENDERS + RECEIVERS > 3
		:: on_death[3] -> on_death[3] = 0
#endif
		:: else
		fi
	}
}

// Free, or its holder is dead.
#define TAKEABLE(l) (lock[l] == 0 || gone[lock[l] - 1])

inline bump(group, i)
{
	atomic {
		for (i : 0 .. THREADS - 1) {
			if
			:: SIDE(i) == group -> moved[i] = 1
			:: else
			fi
		}
		i = 0
	}
}

// Wake one sleeper of a side after its event was bumped. If nobody was asleep, and nobody announced
// himself since the flag was read (CAS from the number seen to 0), the next committers need not ring.
inline ring(whom, me, n)
{
	wake_one(whom, n);
#ifdef BUG_CLEAR_ALWAYS
	n = 0;
#endif
	atomic {
		if
		:: !n && !renewed[me] -> flag[whom] = 0
		:: else
		fi;
		n = 0
	}
}

// Woken through the deathword: somebody died owing a wake-up, to whom is not known.
inline wake_everybody(i)
{
	bump(RX, i);
	wake_all(RX, i);
	bump(TX, i);
	wake_all(TX, i)
}

// The flag gets a number that it never had.
inline announce(own, i)
{
	flag[own] = 1;
#ifndef BUG_FLAG_NOT_NUMBERED
	for (i : 0 .. THREADS - 1) {
		if
		:: SIDE(i) != own -> renewed[i] = 1
		:: else
		fi
	}
	i = 0
#endif
}

proctype peer(byte me; bool side; byte rounds)
{
	bool saw; // the other side's flag
	bool n;
	byte i;
	bool by_death;
	bool announced;
	bool got;
	{
		do
		:: rounds == 0 -> break
		:: else ->
			atomic {
				TAKEABLE(LOCK(side)) ->
				if
				:: CAN_GO(side) ->
					lock[LOCK(side)] = TID(me);
					got = 1;
					saw = flag[!side];
					renewed[me] = 0
				:: else -> got = 0
				fi
			}
			if
			:: got ->
				if
				:: saw ->
#if !defined(BUG_NO_DUTY) && !defined(BUG_DUTY_LATE)
					duty[me] = 1;
#endif
#ifdef BUG_BUMP_AFTER_COMMIT
					skip
#else
					bump(!side, i)
#endif
				:: else
				fi;
				atomic {
					if
					:: side == RX -> count--
					:: else -> count++
					fi;
					lock[LOCK(side)] = 0;
					got = 0
				}
#ifdef BUG_DUTY_LATE
				if
				:: saw -> duty[me] = 1
				:: else
				fi;
#endif
#ifdef BUG_CLEAR_EARLY
				duty[me] = 0;
#endif
				if
				:: saw ->
#ifdef BUG_BUMP_AFTER_COMMIT
					bump(!side, i);
#endif
					ring(!side, me, n)
				:: else
				fi;
				atomic { duty[me] = 0; announced = 0; saw = 0; renewed[me] = 0; moved[me] = 0; rounds-- }
			:: !got && !announced ->
				announced = 1;
#ifdef BUG_FLAG_UNDER_OWN_LOCK
				atomic { TAKEABLE(LOCK(side)) -> announce(side, i); moved[me] = 0 }
#else
				atomic { TAKEABLE(LOCK(!side)) -> lock[LOCK(!side)] = TID(me); announce(side, i) }
				atomic {
#ifndef BUG_EVENT_READ_LATE
					moved[me] = 0;
#endif
					lock[LOCK(!side)] = 0;
					duty[me] = 1
				}
#endif
#ifdef BUG_NO_SECOND_LOOK
				goto sleep
#endif
			:: !got && announced ->
sleep:
#ifdef BUG_EVENT_READ_LATE
				moved[me] = 0;
#endif
				// futex_waitv compares and queues; between here and the wake nothing of ours runs.
				atomic {
					if
					:: !moved[me] ->
						sleeping[me] = 1;
						on_event[me] = 1;
						on_death[me] = 1
					:: else
					fi;
					announced = 0;
					moved[me] = 0
				}
end_asleep:
				if
				:: atomic {
					// It reports the word with the highest index among those that were woken.
					!sleeping[me] || !on_event[me] || !on_death[me] ->
#ifdef BUG_DEATHWORD_FIRST
					by_death = sleeping[me] && on_event[me] && !on_death[me];
#else
					by_death = sleeping[me] && !on_death[me];
#endif
					on_event[me] = 0;
					on_death[me] = 0;
					sleeping[me] = 0
				   }
				:: atomic {
					// A deadline or a signal, and not woken: the call ends.
					give_ups < GIVE_UPS && sleeping[me] && on_event[me] && on_death[me] ->
					give_ups++;
					on_event[me] = 0;
					on_death[me] = 0;
					sleeping[me] = 0;
					duty[me] = 0;
					break
				   }
				fi;
#ifdef BUG_WOKEN_DROPS_DUTY
				duty[me] = 0;
#endif
				if
				:: by_death ->
					by_death = 0;
#ifdef BUG_DEATH_WAKES_NOBODY
					skip
#else
					wake_everybody(i)
#endif
				:: else
				fi
			fi
		od
	} unless {
		killed[me] ->
		atomic {
			on_event[me] = 0;
			on_death[me] = 0;
			sleeping[me] = 0;
			n = duty[me];
			duty[me] = 0
		}
		if
		:: n -> wake_death()
		:: else
		fi
	}
	atomic {
		gone[me] = 1;
		renewed[me] = 0;
		moved[me] = 0;
		saw = 0;
		n = 0;
		i = 0;
		by_death = 0;
		announced = 0;
		got = 0;
		rounds = 0
	}
}

// SIGKILL may come at any moment, to anybody.
proctype killer()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. THREADS - 1);
		if
		:: !gone[i] && !killed[i] -> killed[i] = 1; deaths++
		:: else
		fi;
		i = 0
	   }
	:: break
	od
}

// Nothing moves any more: whoever is not at his end sleeps, and rightly.
proctype judge()
{
	byte i;
	timeout;
	for (i : 0 .. THREADS - 1) {
		assert(gone[i] || (sleeping[i] && !CAN_GO(SIDE(i))))
	}
}

init {
	atomic {
		byte i;
		for (i : 0 .. THREADS - 1) {
			run peer(i, SIDE(i), (SIDE(i) == RX -> RECEIVES : SENDS))
		}
		run killer();
		run judge()
	}
}
