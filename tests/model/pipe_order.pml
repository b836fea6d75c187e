// SPDX-License-Identifier: MIT
//
// tests/model/pipe_order.pml - the order of a pipe's bytes between its two places, the ring and the
// kernel's pipe, while leases come and go (docs/pipe.md, "The lease" to "Flush"), with threads that die
// at any step. run_model.sh checks it, and checks that each planted bug (BUG_...) is found. pipe_room.pml
// has the writers that sleep on a full ring.
//
// Modelled: every write and read is one byte. Writers look at the lease without a lock, may be overtaken
// by a lease, may find the leaseholder idle (at any moment, SEALS times in all). Readers sleep in the
// kernel's pipe, take leases (LEASES in all), take them over, drop them, poll (POLLS). A closer flushes. A
// stranger writes to the kernel's pipe and knows of nothing. The locks are abstract (lock.pml): one whose
// holder died can be taken. Whoever is patient may lose it at any moment; nothing relies on a clock.
//
// Invariants: a byte is read once, and after every byte whose write had returned when its own began (a
// stranger's: after his own); at the end of file nothing that was written is left, but for what a reader
// took that was killed; when nothing can move any more, nobody sleeps.
//
// What the model taught:
//
//   GOES_UNSEEN         A writer says that he goes to the kernel's pipe before he looks at the lease; and
//   WAITS_FOR_NOBODY    who takes the lease waits for those who had set out, draining. Else: A writes a1 and
//                       sees no lease for a2; a lease is taken, a1 drained into the ring; a2 goes to the
//                       kernel's pipe, and a3 into the ring, to be read before it.
//   LEASE_AFTER_DRAIN   The lease is stored before the last look at the kernel's pipe. Else a write that
//                       falls between stays there, and the next overtakes it.
//   IMPATIENT           Who loses patience has no lease: the ring is sealed.
//   TAKE_SEALED         Beside a sealed ring the kernel's pipe may have later bytes; with a lease still later
//   TAKE_DEAD           ones would come into the ring. So it is read without one. The same if the leaseholder
//                       died: he may have been draining.
//   FLUSH_UNLEASED      A flush bars the way to the kernel's pipe, and waits for those who are on it.
//   CLEARS_UNDER_W      What a dead flush has left is cleared under R and W, after its repair. Else the next
//                       write makes the repair believe that the flush was done.
//   SLEEPERS_FIRST      Who takes the lease looks for sleepers after he has stored it; who sleeps says so
//   SLEEPS_UNSEEN       before he looks at the lease and the ring.
//   NO_DROP             Nobody sleeps in the kernel's pipe beside a lease.
//
// What it does not forgive: a stranger's bytes come into the kernel's pipe between a flush and its death.

#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef WRITES
#define WRITES 3 // bytes of each writer
#endif
#ifndef STRANGE
#define STRANGE 0 // bytes of a stranger
#endif
#ifndef LEASES
#define LEASES 2
#endif
#ifndef SEALS
#define SEALS 1
#endif
#ifndef POLLS
#define POLLS 0
#endif
#ifndef CLOSERS
#define CLOSERS 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif

#if STRANGE > 0
#define STRANGERS 1
#else
#define STRANGERS 0
#endif

// Threads: writers, the stranger, readers, closers. Bytes count from 1: the writers', the stranger's.
#define THREADS (WRITERS + STRANGERS + READERS + CLOSERS)
#define READER(n) (WRITERS + STRANGERS + (n))
#define BYTES (WRITERS * WRITES + STRANGE)
#define BIT(k) (1 << ((k) - 1))
#define STRANGERS_BYTES ((1 << BYTES) - (1 << (WRITERS * WRITES)))
#define TID(i) ((i) + 1)
#define DIED 15

chan ring = [BYTES] of { byte };
chan kernel = [BYTES] of { byte };
byte lease;              // 0, a TID, DIED (also while a flush lasts)
byte lock_r, lock_w;     // 0 or the holder's TID
bool sleepers[THREADS];
bool goers[THREADS];     // writers on their way to the kernel's pipe
bool polled;
byte flush_to;           // how many bytes of the ring are being flushed
byte written;            // one bit for each byte whose write has returned
byte taken;              // those that were read
byte before[BYTES + 1];  // what had been written when the write of this one began
bool killed[THREADS];
bool gone[THREADS];
byte leases, seals, polls, deaths;

#define TAKEABLE(l) (l == 0 || gone[l - 1])
#define LEASED (lease != 0 && lease != DIED)
#ifdef BUG_TAKE_SEALED
#define MAY_BE_TAKEN_OVER true
#elif defined(BUG_TAKE_DEAD)
#define MAY_BE_TAKEN_OVER (LEASED || lease == DIED)
#else
#define MAY_BE_TAKEN_OVER LEASED
#endif
#define RING_EMPTY (len(ring) == 0)
#define KERNEL_EMPTY (len(kernel) == 0)
#define WRITERS_GONE (gone[0] && gone[WRITERS + STRANGERS - 1] && gone[WRITERS - 1])
#define SOMEBODY_GOES (goers[0] || goers[WRITERS - 1])
#define READERS_GONE (gone[READER(0)] && gone[READER(READERS - 1)])
#define SLEEPS(n, me) (READER(n) != me && sleepers[READER(n)])
#define OTHERS_SLEEP(me) (SLEEPS(0, me) || SLEEPS(READERS - 1, me))

inline read_byte(k)
{
	assert(!(taken & BIT(k)));
	assert((before[k] & ~taken) == 0);
	taken = taken | BIT(k);
	k = 0
}

inline drop_flushed(k)
{
	do
	:: flush_to > 0 -> ring?k; flush_to--
	:: else -> break
	od;
	k = 0
}

// R of a thread that died while it flushed: whether the kernel's pipe got the bytes is asked of the
// kernel's pipe.
inline take_r(me, k)
{
	atomic {
		TAKEABLE(lock_r) ->
		lock_r = TID(me);
		if
		:: flush_to > 0 && len(kernel) >= flush_to -> drop_flushed(k)
		:: else -> flush_to = 0
		fi
	}
}

#define TAKE_W(me) TAKEABLE(lock_w) -> lock_w = TID(me)

// What a reader has taken out of the kernel's pipe, and not yet put into the ring, dies with him.
inline drain_until_quiet(k)
{
	do
	:: atomic { !KERNEL_EMPTY -> kernel?k; draining = 1 }
		atomic { ring!k; k = 0; draining = 0 }
#ifdef BUG_WAITS_FOR_NOBODY
	:: atomic { KERNEL_EMPTY -> quiet = 1; break }
#else
	:: atomic { !SOMEBODY_GOES && KERNEL_EMPTY -> quiet = 1; break }
#endif
	:: atomic { SOMEBODY_GOES -> break } // patience is at its end
	od
}

// Under R and W.
inline flush(k, n)
{
	if
	:: atomic { !RING_EMPTY }
#ifndef BUG_FLUSH_UNLEASED
		lease = DIED;
#else
		lease = 0;
#endif
		drain_until_quiet(k);
		if
		:: atomic { quiet -> quiet = 0; flush_to = len(ring) }
			atomic {
				for (n : 1 .. flush_to) {
					ring?k;
					kernel!k;
					ring!k
				}
				n = 0;
				k = 0
			}
			atomic { drop_flushed(k) }
		:: atomic { !quiet }
		fi
	:: atomic { RING_EMPTY }
	fi;
	atomic { lease = 0; lock_w = 0; lock_r = 0 }
}

proctype writer(byte me; byte k; byte end)
{
	byte n;
again:
	{
		if
		:: atomic { k == end -> goto done }
		:: atomic { k != end -> before[k] = written & ~STRANGERS_BYTES }
		fi;
look:
#ifdef BUG_GOES_UNSEEN
		if
		:: atomic { lease == 0 }
			goers[me] = 1;
#else
		goers[me] = 1;
		if
		:: atomic { lease == 0 }
#endif
			atomic {
				if
				:: READERS_GONE -> goto done
				:: else -> kernel!k
				fi
			}
			atomic { goers[me] = 0; goto wrote }
		:: atomic { lease != 0 -> goers[me] = 0 }
		fi;
		atomic {
			TAKEABLE(lock_w) ->
			if
			:: LEASED -> ring!k; goto wrote
			:: LEASED && seals < SEALS -> seals++; lease = 0; goto look
			:: lease == 0 -> goto look
#ifdef BUG_CLEARS_UNDER_W
			:: !LEASED -> lease = 0; goto look
#else
			:: !LEASED && lease != 0
#endif
			fi
		}
		take_r(me, n);
		atomic {
			TAKE_W(me);
			if
			:: !LEASED -> lease = 0
			:: else
			fi;
			lock_w = 0;
			lock_r = 0;
			goto look
		}
wrote:
		atomic { written = written | BIT(k); k++; goto again }
done:
		skip
	} unless {
		killed[me]
	}
	atomic { gone[me] = 1; killed[me] = 0; k = 0; n = 0; goers[me] = 0; end = 0 }
}

proctype stranger(byte me; byte k; byte end)
{
again:
	{
		if
		:: atomic {
			k != end && !READERS_GONE ->
			before[k] = written & STRANGERS_BYTES;
			kernel!k;
			written = written | BIT(k);
			k++;
			goto again
		   }
		:: k == end || READERS_GONE
		fi
	} unless {
		killed[me]
	}
	atomic { gone[me] = 1; killed[me] = 0; k = 0; end = 0 }
}

proctype reader(byte me)
{
	byte k, n;
	bool draining, quiet;
again:
	{
		if
		:: atomic { polls < POLLS -> polls++; polled = 1 }
			take_r(me, k);
			atomic { TAKE_W(me) }
			flush(k, n);
end_poll:
			!KERNEL_EMPTY || WRITERS_GONE
		:: true
		fi;
		take_r(me, k);
look:
		// R is held.
		if
		:: atomic {
			!RING_EMPTY && (lease == TID(me) || !MAY_BE_TAKEN_OVER) ->
			ring?k;
			read_byte(k);
			lock_r = 0;
			goto again
		   }
		:: atomic { !RING_EMPTY && lease != TID(me) && MAY_BE_TAKEN_OVER }
			atomic {
				TAKE_W(me);
				if
				:: MAY_BE_TAKEN_OVER -> lease = TID(me)
				:: else
				fi;
				lock_w = 0;
				goto look
			}
		:: atomic { RING_EMPTY && lease == TID(me) -> lock_r = 0 }
			// Spin; it may end at any moment.
			if
			:: atomic { !RING_EMPTY || lease != TID(me) -> goto again }
			:: take_r(me, k)
			fi
		:: atomic { RING_EMPTY && lease != TID(me) }
		fi;
		// Drop it, whosever it is.
		atomic {
			TAKE_W(me);
			if
			:: !RING_EMPTY -> lock_w = 0; goto look
			:: else
			fi;
#ifndef BUG_NO_DROP
			lease = 0;
#endif
			lock_w = 0;
			lock_r = 0
		}
#ifndef BUG_SLEEPS_UNSEEN
		sleepers[me] = 1;
#endif
#ifndef BUG_NO_DROP
		atomic {
			if
			:: lease != 0 || !RING_EMPTY -> sleepers[me] = 0; goto again
			:: else
			fi
		}
#endif
#ifdef BUG_SLEEPS_UNSEEN
		sleepers[me] = 1;
#endif
end_asleep:
		atomic {
			if
			:: !KERNEL_EMPTY -> kernel?k; read_byte(k)
			:: KERNEL_EMPTY && WRITERS_GONE ->
				assert((written & ~taken) == 0);
				goto done
			fi
		}
		sleepers[me] = 0;
		if
		:: goto again
		:: atomic { leases < LEASES -> leases++ }
		fi;
		// Take the lease, or learn why not.
		take_r(me, k);
		atomic {
			TAKE_W(me);
			if
			:: !RING_EMPTY || LEASED || polled -> lock_w = 0; goto look
			:: else
			fi;
#ifdef BUG_SLEEPERS_FIRST
			if
			:: OTHERS_SLEEP(me) -> lock_w = 0; goto look
			:: else
			fi
#endif
		}
#ifndef BUG_LEASE_AFTER_DRAIN
		lease = TID(me);
#endif
#ifndef BUG_SLEEPERS_FIRST
		atomic {
			if
			:: OTHERS_SLEEP(me) -> lease = 0; lock_w = 0; goto look
			:: else
			fi
		}
#endif
		drain_until_quiet(k);
		atomic {
			if
			:: quiet -> lease = TID(me)
#ifdef BUG_IMPATIENT
			:: else -> lease = TID(me)
#else
			:: else -> lease = 0
#endif
			fi;
			quiet = 0;
			lock_w = 0;
			goto look
		}
done:
		skip
	} unless {
		killed[me]
	}
	atomic {
		// What it had drained, and not published, was read by the dead.
		if
		:: draining -> taken = taken | BIT(k)
		:: else
		fi;
		gone[me] = 1;
		killed[me] = 0;
		sleepers[me] = 0;
		k = 0;
		n = 0;
		draining = 0;
		quiet = 0
	}
}

proctype closer(byte me)
{
	byte k, n;
	bool draining, quiet;
	{
		take_r(me, k);
		atomic { TAKE_W(me) }
		flush(k, n)
	} unless {
		killed[me]
	}
	atomic {
		if
		:: draining -> taken = taken | BIT(k)
		:: else
		fi;
		gone[me] = 1;
		killed[me] = 0;
		k = 0;
		n = 0;
		draining = 0;
		quiet = 0
	}
}

// SIGKILL may come at any moment, to anybody, or to nobody. The kernel marks the lease before it closes
// the descriptors.
proctype killer()
{
	byte i;
	do
	:: atomic {
		deaths < DEATHS ->
		select(i : 0 .. THREADS);
		if
		:: i < THREADS && !gone[i] && !killed[i] ->
			killed[i] = 1;
			sleepers[i] = 0;
			goers[i] = 0;
			if
			:: lease == TID(i) -> lease = DIED
			:: else
			fi
		:: else
		fi;
		deaths++;
		i = 0
	   }
	:: deaths == DEATHS -> break
	od
}

// Nothing moves any more: then everybody has come to his end.
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
		for (i : 0 .. WRITERS - 1) {
			run writer(i, i * WRITES + 1, i * WRITES + WRITES + 1)
		}
#if STRANGE > 0
		run stranger(WRITERS, WRITERS * WRITES + 1, BYTES + 1);
#endif
		for (i : 0 .. READERS - 1) {
			run reader(READER(i))
		}
#if CLOSERS > 0
		run closer(THREADS - 1);
#endif
		run killer();
		run judge()
	}
}
