// SPDX-License-Identifier: MIT
//
// tests/model/signal_bell.pml - who rings for a queued signal, and who hears it (docs/signal.md): a port with its lock,
// senders that die at any step, and an owner that takes (TAKER) or handles. run_model.sh checks it, and checks that
// each planted bug (BUG_...) is found.
//
// Modelled: the lock, which is free again when its holder has died; `asleep`, published under it; the bell as the
// kernel has it, of which one at most is pending; rung and heard as one bit, `owed`; the queue as counts. The owner
// does other things between its looks: it computes, or is about to sleep.
//
// Invariant: when nothing can move any more, everything that was committed has been taken.
//
// What the model teaches:
//
//   BELL_AFTER_COMMIT   S commits and dies before it rings; the owner sleeps beside the signal.
//   HEARD_AFTER_LOOK    The owner looks; S commits, sees a bell that is outstanding still, and does not ring; the
//                       owner says that it has heard.
//   NO_SECOND_LOOK      The owner looks, finds nothing; S commits, sees nobody asleep; the owner sleeps.
//   OWED_BEFORE_BELL    S says that it has rung, and dies before it does; nobody rings any more.

#ifndef SENDERS
#define SENDERS 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

byte holder; // of the lock: 1 + sender, OWNER, 0
#define OWNER 100
bool asleep, bell, owed;
bool killed[SENDERS];
byte committed, taken, deaths;

#define LOCK(who) atomic { holder == 0 -> holder = who }
#define UNLOCK holder = 0

inline ring()
{
#ifdef BUG_OWED_BEFORE_BELL
	owed = 1;
	bell = 1
#else
	bell = 1;
	owed = 1
#endif
}

#ifdef TAKER
#define WANTS_BELL asleep
#else
#define WANTS_BELL true
#endif

proctype sender(byte me)
{
	{
		LOCK(me + 1);
#ifdef BUG_BELL_AFTER_COMMIT
		committed++;
#endif
		if
		:: WANTS_BELL && !owed -> ring()
		:: else
		fi;
#ifndef BUG_BELL_AFTER_COMMIT
		committed++;
#endif
		UNLOCK
	} unless {
		killed[me]
	}
	atomic {
		if
		:: holder == me + 1 -> holder = 0
		:: else
		fi
	}
}

proctype fate()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. SENDERS - 1);
		killed[i] = 1;
		deaths++;
		i = 0
	   }
	:: atomic { deaths == DEATHS -> break }
	od
}

inline look()
{
	taken = committed
}

inline hear()
{
#ifdef BUG_HEARD_AFTER_LOOK
	look();
	LOCK(OWNER);
	owed = 0;
	UNLOCK
#else
	LOCK(OWNER);
	owed = 0;
	UNLOCK;
	look()
#endif
}

proctype owner()
{
	bool late;
#ifndef TAKER
end_computing:
#endif
	do
	::
#ifdef TAKER
		look();
		LOCK(OWNER);
#ifdef BUG_NO_SECOND_LOOK
		late = 0;
#else
		late = committed != taken;
#endif
		asleep = !late;
		UNLOCK;
		if
		:: late
		:: else ->
end_asleep:
			atomic { bell -> bell = 0 }
			asleep = 0; // wake_up, published a little later in fact
			hear()
		fi
#else
		atomic { bell -> bell = 0 }
		hear()
#endif
	od
}

proctype judge()
{
	timeout;
	assert(taken == committed)
}

init {
	atomic {
		byte i;
		for (i : 0 .. SENDERS - 1) {
			run sender(i)
		}
		run owner();
		run fate();
		run judge()
	}
}
