// SPDX-License-Identifier: MIT
//
// tests/model/claim.pml - the senders' side of the waiting (docs/mq.md, "One sender at a time"): a
// receiver wakes one sender, and while that one is on his way the others are his to wake. Threads die at
// any step. run_model.sh checks it, and checks that each planted bug (BUG_...) is found. wait.pml has
// both sides' sleeping, with a receive that rings always.
//
// Modelled: the three states of tx_asleep (its numbers by what a reader can tell: whether it is still what
// he saw), tx_event and the deathword as in wait.pml, sleepers that have looked and are not in the kernel
// yet, calls that end at their deadline or by a signal. The receivers' own sleeping is abstract: one who
// sleeps wakes when there is a message, or by the deathword. The send lock is not there: a send is one
// step. Whoever finds a dead holder's lock repairs, and rings for all.
//
// The clock: a sender on his way for too long no longer counts. With EXPIRES that happens at any moment
// or never; without, never. So nothing but a stopped sender hangs on the clock.
//
// Invariant: when nothing can move any more, no living sender sleeps beside room, and no receiver beside
// a message.
//
// What the model taught:
//
//   NO_HAND_ON          Two receives make room for two; the second leaves the waking to the sender woken
//                       by the first. So he has to look when he has sent.
//   HAND_ON_WITHOUT_R   He finds no room; a receiver makes some, sees that somebody is on his way, and
//                       rings nobody; he says "nobody is on his way" and is killed, or leaves. So he looks
//                       and says it under R.
//   NO_REANNOUNCE       He leaves no room and says nothing: the next receiver believes him on his way.
//   BUMP_AFTER_COMMIT   As in wait.pml.
//   REPAIR_RINGS_NOT    A receiver claims and is killed before the bump; those who have looked are not in
//                       the kernel yet, so the deathword wakes nobody; the next receiver sees the claim,
//                       and rings nobody. So who takes a dead holder's R bumps first, whatever he finds.
//   SAME_NUMBER         Each claim has a number of its own. Else: X claims, finds nobody asleep, and halts
//                       before he takes the claim back; A and B go to sleep; Y claims and wakes A; X takes
//                       back what he holds for his own; A sees that nobody sleeps, and B sleeps on.
//   STOPS               A sender is stopped (not killed) on his way. If the queue is drained before his
//                       time is up, and no message comes to be received later, nobody asks for the time.
//                       LOOKS_AGAIN: a receiver who sleeps while senders do looks again now and then.

#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef RECEIVERS
#define RECEIVERS 1
#endif
#ifndef SENDS
#define SENDS 1 // messages of each sender; the queue is full at first
#endif
#ifndef RECEIVES
#define RECEIVES 2 // messages of each receiver
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif

#define THREADS (SENDERS + RECEIVERS)
#define SENDER(i) ((i) < SENDERS)
#define TID(i) ((i) + 1)
#define ROOM (count < DEPTH)

// tx_asleep, and what a thread has seen there. OLD: not what stands there now, nor ever again.
#define NOBODY 0
#define ODD 1
#define EVEN 2
#define OLD 3

#define NOT_READ 0
#define SAME 1
#define PASSED 2

byte asleep;             // tx_asleep
byte seen[THREADS];      // the number that this thread will compare
byte lock_r;             // 0 or the holder's TID
byte count = DEPTH;      // messages in the queue: the truth
byte event[SENDERS];     // as this sender read it: NOT_READ, SAME, PASSED
bool duty[THREADS];      // pending points at the deathword
bool on_event[THREADS];  // queued in the kernel on tx_event
bool on_death[THREADS];  // queued on the deathword
bool sleeping[THREADS];  // inside the system call
bool killed[THREADS];
bool gone[THREADS];
bool stopped[THREADS];
byte deaths;
byte stops;
byte give_ups;

#define R_FREE (lock_r == 0)
#define R_DEAD (lock_r != 0 && gone[lock_r - 1])

inline set_asleep(v, i)
{
	asleep = v;
	for (i : 0 .. THREADS - 1) {
		if
#ifdef BUG_SAME_NUMBER
		:: seen[i] == ODD -> seen[i] = OLD
#else
		:: seen[i] != 0 -> seen[i] = OLD
#endif
		:: else
		fi
	}
	i = 0
}

inline pass_all(i)
{
	for (i : 0 .. SENDERS - 1) {
		if
		:: event[i] == SAME -> event[i] = PASSED
		:: else
		fi
	}
	i = 0
}

inline bump(i)
{
	atomic { pass_all(i) }
}

// The kernel picks one; also one whose deathword was woken and who has not run yet.
#define PICK(queue, i) :: queue[i] -> queue[i] = 0; n = 1

inline wake_sender(n)
{
	n = 0;
	if
	PICK(on_event, 0)
	PICK(on_event, 1)
#if SENDERS > 2
	PICK(on_event, 2)
#endif
	:: else
	fi
}

inline wake_death(n)
{
	n = 0;
	if
	PICK(on_death, 0)
	PICK(on_death, 1)
	PICK(on_death, 2)
#if SENDERS + RECEIVERS > 3
	PICK(on_death, 3)
#endif
	:: else
	fi
}

// Wake a sender; if none sleeps, take back the number seen.
inline wake_one(me, n, i)
{
	atomic { wake_sender(n) }
	atomic {
		if
		:: !n && seen[me] == asleep -> set_asleep(NOBODY, i)
		:: else
		fi;
		seen[me] = 0;
		n = 0
	}
}

inline wake_all(i)
{
	for (i : 0 .. SENDERS - 1) {
		on_event[i] = 0
	}
	i = 0
}

// Who takes the lock of a dead holder repairs and rings for all. (That he lets go then, and takes it as
// anybody would, adds interleavings, and hides none.)
inline repair(me, i)
{
#ifdef BUG_REPAIR_RINGS_NOT
	atomic { R_DEAD -> lock_r = 0 }
#else
	atomic { R_DEAD -> lock_r = TID(me); pass_all(i) }
	atomic { wake_all(i); lock_r = 0 }
#endif
}

#ifdef BUG_HAND_ON_WITHOUT_R
#define TAKE_R(me) skip
#define LET_GO_OF_R skip
#else
#define TAKE_R(me) lock_r = TID(me)
#define LET_GO_OF_R lock_r = 0
#endif

// hand_on_room, room_left, ring: who slept, whatever he found.
inline hand_on(me, room, n, i)
{
	do
	:: asleep == NOBODY -> break
	:: repair(me, i)
	:: atomic { asleep != NOBODY && R_FREE -> TAKE_R(me); room = ROOM }
		if
		:: atomic {
			!room ->
#ifndef BUG_NO_REANNOUNCE
			if
			:: asleep == EVEN -> set_asleep(ODD, i)
			:: else
			fi;
#endif
			LET_GO_OF_R;
			break
		   }
		:: atomic { room -> room = 0; LET_GO_OF_R }
			if
			:: asleep == NOBODY
			:: atomic { asleep != NOBODY -> seen[me] = asleep }
				bump(i);
				wake_one(me, n, i)
			fi;
			break
		fi
	od
}

#ifdef EXPIRES
#define MAY_CLAIM (asleep != NOBODY)
#else
#define MAY_CLAIM (asleep == ODD)
#endif

// The end of a process: nothing of it shall tell states apart that are the same.
inline forget(me)
{
	killed[me] = 0;
	seen[me] = 0;
	n = 0;
	i = 0;
	by_death = 0;
	got = 0;
	room = 0;
	rounds = 0;
	gone[me] = 1
}

// Whoever leaves by a signal does not look.
inline try(got, leaving)
{
	atomic {
		if
		:: ROOM -> count++; got = 1
		:: !ROOM || leaving
		fi
	}
}

proctype sender(byte me)
{
	byte rounds = SENDS;
	bool n, by_death, got, room, leaving;
	byte i;
again:
	{
		if
		:: atomic { rounds == 0 -> goto done }
		:: atomic { rounds > 0 && ROOM -> count++; rounds--; goto again }
		:: repair(me, i); goto again
		// Announce (also beside room: there was none when he looked). The event before the number.
		:: atomic { rounds > 0 && R_FREE -> lock_r = TID(me); event[me] = SAME }
		fi;
		atomic { set_asleep(ODD, i); lock_r = 0; duty[me] = 1 }
		if
		:: atomic {
			ROOM ->
			count++;
			rounds--;
			duty[me] = 0;
			event[me] = NOT_READ;
			goto again
		   }
		:: !ROOM
		fi;
		// As in wait.pml: queued on one word after the other, each after comparing it.
		atomic { sleeping[me] = 1; on_death[me] = 1 }
		atomic {
			on_event[me] = (event[me] == SAME);
			sleeping[me] = (event[me] == SAME);
			event[me] = NOT_READ
		}
end_asleep:
		atomic {
			if
			:: !on_event[me] || !on_death[me] ->
				by_death = !on_death[me] && (on_event[me] || !sleeping[me])
			:: give_ups < GIVE_UPS && on_event[me] && on_death[me] ->
				give_ups++;
				leaving = 1
			fi;
			on_event[me] = 0;
			on_death[me] = 0;
			sleeping[me] = 0
		}
#if STOPS > 0
		if
		:: atomic { stops < STOPS -> stops++; stopped[me] = 1 } end_stopped: false
		:: true
		fi;
#endif
		if
		:: atomic { by_death -> by_death = 0; pass_all(i) }
			atomic { wake_all(i) }
			try(got, leaving)
		:: atomic { !by_death -> try(got, leaving) }
		fi;
#ifndef BUG_NO_HAND_ON
		hand_on(me, room, n, i);
#endif
		atomic {
			if
			:: got -> rounds--; got = 0
			:: leaving && !got -> rounds = 0
			:: !got && !leaving
#if GIVE_UPS > 0
			:: !got && !leaving && give_ups < GIVE_UPS -> give_ups++; rounds = 0 // the deadline
#endif
			fi;
			leaving = 0;
			duty[me] = 0;
			goto again
		}
done:
		skip
	} unless {
		killed[me]
	}
	atomic {
		forget(me);
		leaving = 0;
		event[me] = NOT_READ
	}
}

proctype receiver(byte me)
{
	byte rounds = RECEIVES;
	bool n, by_death, got, room, slept;
	byte i;
again:
	{
		if
		:: atomic { rounds == 0 -> goto done }
		:: atomic {
			rounds > 0 && count > 0 && R_FREE ->
			lock_r = TID(me);
			got = 1;
			duty[me] = duty[me] || asleep != NOBODY
		   }
			if
			:: atomic { MAY_CLAIM -> set_asleep(EVEN, i); seen[me] = EVEN }
#ifdef BUG_BUMP_AFTER_COMMIT
				atomic { count--; lock_r = 0; rounds-- }
				bump(i);
#else
				bump(i);
				atomic { count--; lock_r = 0; rounds-- }
#endif
				wake_one(me, n, i)
			:: atomic { asleep != ODD -> count--; lock_r = 0; rounds-- }
			fi
		:: repair(me, i); goto again
		:: slept && count == 0 && R_FREE
		:: atomic { rounds > 0 && !slept && count == 0 && R_FREE -> goto sleep }
		fi;
		if
		:: atomic { slept -> slept = 0 }
			hand_on(me, room, n, i)
		:: !slept
		fi;
		if
		:: atomic { got -> duty[me] = 0; got = 0; goto again }
		:: !got
		fi;
sleep:
		atomic { duty[me] = 1; on_death[me] = 1; sleeping[me] = 1 }
end_asleep:
		atomic {
			if
			:: count > 0 || !on_death[me] -> by_death = !on_death[me] && count == 0
#ifdef LOOKS_AGAIN
			:: asleep != NOBODY
#endif
			fi;
			on_death[me] = 0;
			sleeping[me] = 0;
			slept = 1
		}
		if
		:: atomic { by_death -> by_death = 0; pass_all(i) }
			atomic { wake_all(i) }
		:: else
		fi;
		goto again;
done:
		skip
	} unless {
		killed[me]
	}
	atomic {
		forget(me);
		slept = 0
	}
}

inline kill(i, n)
{
	killed[i] = 1;
	on_event[i] = 0;
	on_death[i] = 0;
	sleeping[i] = 0;
	if
	:: duty[i] -> duty[i] = 0; wake_death(n)
	:: else
	fi;
	n = 0
}

// SIGKILL may come at any moment, to anybody, or to nobody.
proctype killer()
{
	byte i;
	bool n;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. THREADS);
		if
		:: i < THREADS && !gone[i] && !killed[i] && !stopped[i] -> kill(i, n)
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
		assert(gone[i] || stopped[i] || (sleeping[i] && (SENDER(i) -> !ROOM : count == 0)))
	}
}

init {
	atomic {
		byte i;
		for (i : 0 .. THREADS - 1) {
			if
			:: SENDER(i) -> run sender(i)
			:: else -> run receiver(i)
			fi
		}
		run killer();
		run judge()
	}
}
