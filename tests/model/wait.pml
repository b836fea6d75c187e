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
// count, since the order of messages does not matter here. A receive rings whenever it sees the flag, as a
// send does; claim.pml checks that it need not while a sender is on his way.
//
// Invariant: when nothing can move any more, no living thread sleeps that could go on.
//
// What the model taught (take the rule away by BUG_..., and it shows the losing interleaving):
//
//   BUMP_AFTER_COMMIT   A committer bumps the event before its commit, under the lock. Else: R announces
//                       himself and reads the event; S sees the flag, commits and is killed; R is not
//                       in the kernel yet, so the deathword wakes nobody; R sleeps beside the message.
//   DEATHWORD_LAST      The deathword stands first in the wait. Else: R has compared the event; S bumps,
//                       commits, is killed; R is queued on the deathword only now.
//   NO_PASSING_ON       The wait reports the event if both words were woken, and so hides the death.
//                       So whoever was woken passes on after his look, also if it found nothing: while
//                       somebody could go on and a flag is up, he rings. (Else: R1 is rung for a message
//                       that R0 takes; R0 is killed owing S a wake-up for the room; the deathword picks
//                       R1, who sees a ring and an empty queue; S sleeps beside the room.)
//   FLAG_BEFORE_EVENT   Who announces himself reads the event before he sets the flag. Else somebody who
//                       passes on, and holds no lock, sees the flag, bumps, finds nobody asleep and
//                       takes the flag back; the event is read after that.
//
// Given the passing on, a thread woken by a death need not wake everybody (DEATH_WAKES_NOBODY holds).

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

#define NTH(i, side) ((i) * 2 + (side))
#define LOOK_AT_FLAG(i, side) looked[NTH(i, side)] = 1; renewed[NTH(i, side)] = 0
#define FORGET_FLAG(i, side) looked[NTH(i, side)] = 0; renewed[NTH(i, side)] = 0

byte lock[2];      // 0 or the holder's TID
byte count;        // messages in the queue: the truth
bool flag[2];      // rx_asleep, tx_asleep are not 0
bool renewed[THREADS * 2]; // the flag of a side that this thread saw has got a new number since
bool looked[THREADS * 2];  // this thread is about to compare that flag
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
		:: !n && !renewed[NTH(me, whom)] -> flag[whom] = 0
		:: else
		fi;
		FORGET_FLAG(me, whom);
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
		renewed[NTH(i, own)] = looked[NTH(i, own)]
	}
	i = 0
#endif
}

// The report hides a death behind a ring that came at the same time. So whoever was woken leaves nobody
// behind who could go on.
inline pass_on(me, was_woken, n, i)
{
#ifndef BUG_NO_PASSING_ON
	if
	:: was_woken ->
		was_woken = 0;
		pass_on_to(RX, me, n, i);
		pass_on_to(TX, me, n, i)
	:: else
	fi
#else
	was_woken = 0
#endif
}

inline pass_on_to(to, me, n, i)
{
	if
	:: atomic { flag[to] && CAN_GO(to) -> LOOK_AT_FLAG(me, to) }
		bump(to, i);
		ring(to, me, n)
	:: else
	fi
}

proctype peer(byte me; bool side; byte rounds)
{
	bool saw; // the other side's flag
	bool n;
	byte i;
	bool by_death;
	bool announced;
	bool got;
	bool woken;
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
					LOOK_AT_FLAG(me, !side)
				:: else -> got = 0
				fi
			}
			if
			:: !got -> pass_on(me, woken, n, i)
			:: else
			fi;
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
				pass_on(me, woken, n, i);
				atomic { duty[me] = 0; announced = 0; saw = 0; moved[me] = 0; rounds-- }
			:: !got && !announced ->
				announced = 1;
#ifdef BUG_FLAG_UNDER_OWN_LOCK
				atomic { TAKEABLE(LOCK(side)) -> announce(side, i); moved[me] = 0 }
#else
				// The event before the flag: who passes on holds no lock.
				atomic {
					TAKEABLE(LOCK(!side)) ->
					lock[LOCK(!side)] = TID(me);
#ifdef BUG_FLAG_BEFORE_EVENT
					announce(side, i)
				}
				moved[me] = 0;
#else
					moved[me] = 0
				}
				atomic { announce(side, i) }
#endif
				atomic { lock[LOCK(!side)] = 0; duty[me] = 1 }
#endif
#ifdef BUG_NO_SECOND_LOOK
				goto sleep
#endif
			:: !got && announced ->
sleep:
#ifdef BUG_EVENT_READ_LATE
				moved[me] = 0;
#endif
				// futex_waitv queues on one word after the other, each after comparing it, and
				// reports the one with the highest index among those that were woken.
#ifdef BUG_DEATHWORD_LAST
				atomic {
					sleeping[me] = !moved[me];
					on_event[me] = !moved[me]
				}
				on_death[me] = sleeping[me];
#else
				atomic { sleeping[me] = 1; on_death[me] = 1 }
				atomic { on_event[me] = !moved[me]; sleeping[me] = !moved[me] }
#endif
				atomic { announced = 0; moved[me] = 0 }
end_asleep:
				if
				:: atomic {
					!on_event[me] || !on_death[me] ->
#ifdef BUG_DEATHWORD_LAST
					by_death = sleeping[me] && !on_death[me];
#else
					by_death = !on_death[me] && (on_event[me] || !sleeping[me]);
#endif
					woken = 1;
					on_event[me] = 0;
					on_death[me] = 0;
					sleeping[me] = 0
				   }
				:: atomic {
					// A deadline or a signal, and not woken: the call ends.
					give_ups < GIVE_UPS && on_event[me] && on_death[me] ->
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
		killed[me] = 0;
		FORGET_FLAG(me, RX);
		FORGET_FLAG(me, TX);
		moved[me] = 0;
		saw = 0;
		n = 0;
		i = 0;
		by_death = 0;
		announced = 0;
		got = 0;
		woken = 0;
		rounds = 0
	}
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
		:: i < THREADS && !gone[i] && !killed[i] -> killed[i] = 1
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
