// SPDX-License-Identifier: MIT
//
// tests/model/signal_order.pml - one sender's signals of a number, some through the port's queue, some by the kernel, are taken
// in the order in which he sent them (src/signal/collect.c). run_model.sh checks it, and checks that each planted bug
// (BUG_...) is found.
//
// Modelled: the queue, which one sender at a time appends to; the kernel's, first in first out, which everybody appends
// to; each sender's choice, for each signal, between the two; the owner's inbox, in the order of places, filled step
// by step while senders go on. The owner takes; or asks the kernel for more when something is here already; or the kernel
// has put one into a frame, and another handler's stub looks into the port before that frame's own.
//
// Invariant: each sender's numbers come out in their order, and all of them.
//
// What the model teaches:
//
//   BUG_NOT_FETCHED   S sends 0 by the kernel, 1 by the queue; the owner reads the queue.
//   BUG_NO_PLACE      Y's record says that the kernel's come first; behind it stands S's 0, in the kernel are Y's and
//                     S's 1: all are fetched at Y's record.
//   BUG_FRAME_LAST    The kernel has S's 0 in a frame; a stub above it reads S's 1 from the queue; 0 goes behind it.
//   BUG_EQUALS_FIRST  The same, and the kernel's 1, fetched meanwhile, has the same place as 0, which goes behind it.
//   BUG_READS_ONCE    The owner reads the queue as far as it was when it began; the kernel's that it finds under way stand
//                     behind records that came since.

#ifndef SENDS
#define SENDS 2
#endif
#ifndef SENDS1
#define SENDS1 SENDS // the second sender
#endif
#define SENDERS 2
#define ALL (SENDS + SENDS1)

typedef signal {
	byte who, number, place;
	bool after_kernel
};

signal ring[ALL];
byte tail;
chan kernel = [ALL] of { byte, byte, byte }; // who, number, records seen

signal inbox[ALL];
byte here, drained, promised;
byte expected[SENDERS], taken;

// ---- senders ----

proctype sender(byte me; byte sends)
{
	byte i, seen;
	bool after_kernel;
	for (i : 0 .. sends - 1) {
		if
		:: d_step { // under the lock
			ring[tail].who = me;
			ring[tail].number = i;
			ring[tail].after_kernel = after_kernel;
			tail++;
			after_kernel = 0
		   }
		:: seen = tail;
		   atomic {
			kernel!me, i, seen;
			after_kernel = 1;
			seen = 0
		   }
		fi
	}
}

// ---- the owner ----

byte at, goes;

// Behind all of lower places; among the kernel's of the same place, before a later one of the same sender.
inline insert(the, its, spot)
{
	d_step {
		at = here;
		goes = here;
		do
		:: at > 0 && inbox[at - 1].place > spot -> at--; goes = at
		:: at > 0 && inbox[at - 1].place == spot ->
			if
			:: inbox[at - 1].who != the -> at--
#ifndef BUG_EQUALS_FIRST
			:: inbox[at - 1].who == the && inbox[at - 1].number > its -> at--; goes = at
#endif
			:: else -> break
			fi
		:: else -> break
		od;
		at = here;
		do
		:: at > goes ->
			inbox[at].who = inbox[at - 1].who;
			inbox[at].number = inbox[at - 1].number;
			inbox[at].place = inbox[at - 1].place;
			at--
		:: else -> break
		od;
		inbox[goes].who = the;
		inbox[goes].number = its;
		inbox[goes].place = spot;
		here++;
		at = 0;
		goes = 0
	}
}

inline append(the, its, spot)
{
	d_step {
		inbox[here].who = the;
		inbox[here].number = its;
		inbox[here].place = (here > 0 && inbox[here - 1].place > spot -> inbox[here - 1].place : spot);
		here++
	}
}

inline accept()
{
#ifdef BUG_NO_PLACE
	append(who, number, 0);
#else
	insert(who, number, 2 * seen);
#endif
	d_step {
		promised = (seen > promised -> seen : promised);
		who = 0;
		number = 0;
		seen = 0
	}
}

inline fetch()
{
	do
	:: kernel?who, number, seen -> accept()
	:: empty(kernel) -> break
	od
}

inline drain()
{
	do
	:: drained != tail || promised > drained ->
		promised = 0;
		goal = tail;
		do
		:: drained != goal ->
#ifndef BUG_NOT_FETCHED
			if
			:: ring[drained].after_kernel -> fetch()
			:: else
			fi;
#endif
			insert(ring[drained].who, ring[drained].number, 2 * drained + 1);
			drained++
		:: else -> break
		od;
#ifdef BUG_READS_ONCE
		break
#else
		if
		:: promised <= goal -> goal = 0; break
		:: else
		fi
#endif
	:: else -> break
	od
}

inline take()
{
	d_step {
		assert(inbox[0].number == expected[inbox[0].who]);
		expected[inbox[0].who]++;
		for (at : 1 .. here - 1) {
			inbox[at - 1].who = inbox[at].who;
			inbox[at - 1].number = inbox[at].number;
			inbox[at - 1].place = inbox[at].place
		}
		here--;
		taken++;
		at = 0
	}
}

proctype owner()
{
	byte who, number, seen, goal, frame_who, frame_number, frame_seen;
	do
	:: here > 0 || drained != tail ->
		drain();
		if
		:: here > 0 -> fetch(); take() // one, after a look for what the kernel has more
		:: do // one, or all of them
		   :: here > 0 -> take(); if :: break :: true fi
		   :: else -> break
		   od
		fi
	:: nempty(kernel) ->
		kernel?frame_who, frame_number, frame_seen;
		if
		:: drain() // another handler's stub, above it
		:: true
		fi;
		atomic {
			who = frame_who;
			number = frame_number;
			seen = frame_seen;
			frame_who = 0;
			frame_number = 0;
			frame_seen = 0
		};
#ifdef BUG_FRAME_LAST
		append(who, number, 0);
#else
		accept();
#endif
		drain()
	:: here == 0 && drained == tail && nempty(kernel) -> // asleep there
		kernel?who, number, seen;
		accept();
		drain()
	:: taken == ALL -> break
	od
}

init {
	atomic {
		run sender(0, SENDS);
		run sender(1, SENDS1);
		run owner()
	}
}
