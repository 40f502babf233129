/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How a wait begins and ends: a model in Promela of the state word, the lock, the wake-up descriptor and the release of
 * the kernel's object. test-spin.py checks it with spin. Functions, members and flags have the names that they have in
 * sel-glib/core/; the flags are without SEL_STATE_. An inline stands for the function of its name.
 *
 * A step is one access to memory that other threads use without the lock. What only the holder of the lock uses may
 * change in the same step. All atomic operations are sequentially consistent, as those of the code are. A loop with
 * a compare-and-exchange is one step: the attempts that fail have no effect.
 *
 * There is one registered descriptor. It may become ready, and stays so then. The kernel's wait either sees changes,
 * like that of epoll, or it works with a copy that was made before, like poll (). In the first case reports have tags.
 *
 * Beside it there may be one that is always ready, for which the kernel does not wait.
 *
 * An asynchronous wait has a source in a main loop of its own thread. The poll () of the context is like the kernel's
 * wait, but it ends the wait only if sel_async_wait_look () finds a reason.
 *
 * What is checked:
 *
 * - Each thread ends, or it waits in the kernel and has no reason to return: must_end () is false. Otherwise there is
 *   an invalid end state. This finds lost wake-ups, descriptors that nobody waits for, and deadlocks.
 * - A wait that begins in a thread resumes a paused descriptor.
 * - One wait is in progress at a time. It ends once, in the thread that has begun it.
 * - No thread uses the kernel's object, the wake-up descriptor or the ready list when it must not.
 * - While a descriptor is always ready, the wake-up descriptor is readable, so that programs that poll the kernel's
 *   object see it.
 * - After close () the kernel's object is released, once, by the last thread that leaves.
 *
 * A process that a scenario does not start is left out, so that the check is shorter.
 *
 * A macro WITHOUT_... takes one step out of the protocol. The check must fail then.
 */

/* The threads, and how much each of them does. */
#ifndef N_WAITS
#define N_WAITS 2       /* calls of select () without a timeout */
#endif
#ifndef N_WAITS_2
#define N_WAITS_2 0     /* the same in a second thread, or turns of a main loop, which polls */
#endif
#ifndef CANCELLABLE
#define CANCELLABLE 0   /* 1: the first of N_WAITS has a cancellable, and a thread cancels it */
#endif
#ifndef N_WAKEUPS
#define N_WAKEUPS 0     /* calls of sel_base_selector_wakeup () */
#endif
#ifndef N_CLOSES
#define N_CLOSES 0      /* calls of sel_base_selector_close () */
#endif
#ifndef N_REINITS
#define N_REINITS 0     /* calls of sel_base_selector_reinit () */
#endif
#ifndef N_CHANGES
#define N_CHANGES 0     /* calls that register, modify or unregister the descriptor */
#endif
#ifndef N_PAUSES
#define N_PAUSES 0      /* calls in a main loop that pause the descriptor, or arm it again */
#endif
#ifndef N_FILES
#define N_FILES 0       /* calls that register or unregister another descriptor, which is always ready */
#endif
#ifndef N_ASYNC
#define N_ASYNC 0       /* calls of sel_base_selector_select_async (), one after the other, in a main loop */
#endif
#ifndef N_VFUNC_CLOSES
#define N_VFUNC_CLOSES 0 /* calls of sel_base_selector_close () in the virtual function update () */
#endif
#ifndef FORK
#define FORK 0          /* 1: the threads are those of a child process that has not called any function yet */
#endif

/* SelStateFlags */
#define OPEN 1
#define CLOSED 2
#define FORKED 4
#define WAITING 8
#define POLLING 16
#define ASYNC_PENDING 32
#define CHANGED 64
#define WOKEN 128
#define PAUSED 256
#define ALWAYS_READY 512
#define SOURCE_BLOCKED 1024
#define IN_WAIT (WAITING | POLLING)

#define ME _pid
#define NOBODY 255
#define A_PARENT 254    /* a thread of the parent process */

/* SelState */
short word;
byte lock = NOBODY;
byte fork_lock = NOBODY;
bool close_later;       /* SEL_STATE_CLOSE_LATER in lock_depth */
bool fork_count = !FORK; /* TRUE if it is that of this process */

/* SelWakeup. Each descriptor has a number of its own; 0 stands for none. */
byte read_fd, write_fd, in_use;
bool readable;
byte wakeup_fd;         /* the descriptor that is open */
byte last_fd;

/* SelWait and SelReadyList: the thread whose wait takes reports. */
byte events = NOBODY;

/* The kernel's object. */
bool kernel_open;
bool parents;           /* it and the wake-up descriptor are those of the parent process */
bool kernel_armed;      /* it waits for the registered descriptor */
byte n_in_kernel;
bool wait_sees_updates;
bool fd_ready;

/* The registration and its slot. */
bool registered, paused, changed_in_wait;
byte generation;
bool in_pause_list;     /* the pause ends by itself; otherwise it ends when the registration is modified */

bool open_error;
bool bell;              /* of the source that has found the selector BUSY */
bool cancelled, connected;

/* The source of an asynchronous wait. */
bool has_watcher;
bool async_bell;        /* readable */
bool async_connected;   /* the canceller rings it */

/* Of the check. */
bool owed;              /* no wait has ended yet for the last call of sel_base_selector_wakeup () */
byte claims;
byte n_threads;         /* which have not ended ... */
byte n_others;          /* ... and do not wait */

#define has(flags) ((word & (flags)) != 0)
#define set(flags) word = word | (flags)
#define unset(flags) word = word & ~(flags)
#define sel_state_is_fast() ((word & ~IN_WAIT) == OPEN)

/* The reasons for which a thread that waits in the kernel has to return. */
#define must_end() \
  (owed || has (CLOSED | ALWAYS_READY) || (cancellable && cancelled) || (fd_ready && registered && (!paused || in_pause_list)))

/* --- sel-state --- */

inline g_mutex_lock ()
{
  atomic { lock == NOBODY -> lock = ME }
}

inline sel_state_unlock ()
{
  atomic { assert (lock == ME); lock = NOBODY }
}

/* The lock becomes a new one; a thread of this process must not have the old one. The last lines are
 * sel_wait_forked (), and in_use, which counts the calls of this process only (sel_wakeup_open ()). */
inline sel_state_drop_other_threads ()
{
  atomic {
    assert (lock == NOBODY || lock == A_PARENT);
    lock = NOBODY;
    unset (IN_WAIT | SOURCE_BLOCKED);
    if
    :: has (OPEN) -> set (FORKED)
    :: else
    fi;
    events = NOBODY;
    changed_in_wait = false;
    unset (CHANGED);
    in_use = 0
  }
}

inline sel_state_notice_fork ()
{
#ifndef WITHOUT_FORK_LOCK
  atomic { fork_lock == NOBODY -> fork_lock = ME };
#endif
  if
  :: !fork_count ->
#ifdef WITHOUT_COUNT_LAST
     fork_count = true;
#endif
     sel_state_drop_other_threads ();
     fork_count = true
  :: else
  fi;
#ifndef WITHOUT_FORK_LOCK
  fork_lock = NOBODY
#endif
}

inline sel_state_lock ()
{
#if FORK
  if
  :: !fork_count -> sel_state_notice_fork ()
  :: else
  fi;
#endif
  g_mutex_lock ()
}

inline count_claim ()
{
  claims++;
  assert (claims == 1)
}

/* The fast path. */
inline sel_state_try_claim ()
{
  success = false;
#if FORK && !defined (WITHOUT_FORK_COUNT)
  if
  :: fork_count ->
#endif
  atomic {
    if
#ifdef WITHOUT_FAST_TEST
    :: has (OPEN) && !has (IN_WAIT) ->
#else
    :: word == OPEN ->
#endif
       set (claimed);
       success = true;
       count_claim ()
    :: else
    fi
  }
#if FORK && !defined (WITHOUT_FORK_COUNT)
  :: else
  fi
#endif
}

/* The slow path. */
inline sel_state_claim (busy)
{
#ifdef WITHOUT_COMPARE
  success = !has (busy);
  if
  :: success -> atomic { set (claimed); count_claim () }
  :: else
  fi
#else
  atomic {
    success = !has (busy);
    if
    :: success -> set (claimed); count_claim ()
    :: else
    fi
  }
#endif
}

/* --- sel-wakeup and sel-notify --- */

inline sel_wakeup_signal ()
{
  in_use++;
  fd = write_fd;
  atomic {
    if
    :: fd != 0 -> assert (fd == wakeup_fd && !parents); readable = true
    :: else
    fi
  };
  in_use--;
  fd = 0
}

inline sel_wakeup_open ()
{
  last_fd++;
  read_fd = last_fd;
  wakeup_fd = last_fd;
  readable = false;
  write_fd = last_fd
}

inline sel_wakeup_close ()
{
  read_fd = 0;
  write_fd = 0;
#ifndef WITHOUT_IN_USE
  in_use == 0;
#endif
  wakeup_fd = 0
}

inline sel_registry_mark_changed ()
{
  atomic {
    if
    :: has (IN_WAIT) -> set (CHANGED); changed_in_wait = true
    :: else
    fi
  }
}

inline sel_registry_clear_changed ()
{
  atomic { changed_in_wait = false; unset (CHANGED) }
}

/* With mark () of the watcher. */
inline sel_notify_watchers ()
{
  async_bell = async_bell || has_watcher
}

inline sel_notify_changed ()
{
  if
#ifdef WITHOUT_CHANGE_WAKE
  :: false ->
#else
  :: has (IN_WAIT) && (!wait_sees_updates || has (ALWAYS_READY)) ->
#endif
     sel_wakeup_signal ()
  :: else
  fi;
  if
  :: has_watcher && (!wait_sees_updates || has (ALWAYS_READY)) -> sel_notify_watchers ()
  :: else
  fi
}

/* --- sel-pause --- */

inline sel_pause_resume_slot ()
{
  sel_registry_mark_changed ();
  atomic { generation++; paused = false; kernel_armed = true };
  sel_notify_changed ()
}

/* Time may pass at any moment. At once: sel_pause_resume_changed (). Pauses that follow a hang-up are not in the model:
 * the thread that waits is told of them at once. */
inline sel_pause_resume_due (at_once)
{
  if
#ifndef WITHOUT_RESUME
  :: has (PAUSED) && in_pause_list && at_once -> resume = true
#endif
  :: has (PAUSED) && in_pause_list && !(at_once) -> resume = true
  :: has (PAUSED) && in_pause_list && !(at_once) -> skip
  :: else
  fi;
  if
  :: resume ->
     resume = false;
     in_pause_list = false;
     unset (PAUSED);
     if
     :: registered && paused -> sel_pause_resume_slot ()
     :: else
     fi
  :: else
  fi
}

inline sel_pause_update_state ()
{
  atomic {
    if
    :: !in_pause_list -> unset (PAUSED)
    :: else
    fi
  }
}

inline sel_pause_begin (for_a_while)
{
#ifdef WITHOUT_PAUSED_FIRST
  waits = has (WAITING);
  set (PAUSED);
#else
  set (PAUSED);
  waits = has (WAITING);
#endif
  if
#ifdef WITHOUT_WAITING_TEST
  :: false ->
#else
  :: waits ->
#endif
     sel_pause_update_state ()
  :: else ->
     kernel_armed = false;
     atomic { paused = true; in_pause_list = for_a_while };
     sel_registry_mark_changed ();
     sel_pause_update_state ();
     sel_notify_changed ()
  fi;
  waits = false
}

/* The kernel refuses to add the descriptor again, for a reason that may pass. */
inline sel_pause_rearm ()
{
  kernel_armed = false;
  sel_registry_mark_changed ();
  atomic { generation++; paused = true; in_pause_list = true; set (PAUSED) };
  sel_notify_changed ();
  if
#ifndef WITHOUT_REARM_WAKE
  :: has (WAITING) -> sel_wakeup_signal ()
#endif
  :: else
  fi
}

/* --- sel-lifecycle --- */

inline sel_lifecycle_give_back ()
{
  atomic { assert (kernel_open && n_in_kernel == 0); kernel_open = false; kernel_armed = false };
  sel_wakeup_close ();
  parents = false
}

inline sel_lifecycle_release_if_unused ()
{
  if
#ifdef WITHOUT_IN_WAIT_TEST_OF_RELEASE
  :: has (OPEN) && has (CLOSED) ->
#else
  :: has (OPEN) && has (CLOSED) && !has (IN_WAIT) && !has_watcher ->
#endif
     sel_lifecycle_give_back ();
     unset (OPEN | FORKED)
  :: else
  fi
}

/* The kernel may refuse. It is not asked again then, until reinit (). */
inline sel_lifecycle_open ()
{
  if
  :: success = false; open_error = true
  :: !open_error ->
     atomic { assert (!kernel_open && wakeup_fd == 0); kernel_open = true };
#ifdef WITHOUT_OPEN_LAST
     set (OPEN);
#endif
     sel_wakeup_open ();
     atomic { paused = false; in_pause_list = false; unset (PAUSED); kernel_armed = registered };
     set (OPEN);
     success = true
  fi
}

/* OPEN, CLOSED and FORKED change only with the lock. */
inline sel_lifecycle_ensure_open ()
{
  if
  :: has (CLOSED | FORKED) -> success = false
  :: !has (CLOSED | FORKED) && has (OPEN) -> success = true
  :: else -> sel_lifecycle_open ()
  fi
}

inline sel_state_take_open ()
{
  atomic {
#ifdef WITHOUT_IN_WAIT_TEST_OF_TAKE_OPEN
    success = true;
#else
    success = !has (IN_WAIT);
#endif
    old_word = word;
    if
#ifdef WITHOUT_KEEPING_FORKED
    :: success -> unset (OPEN | FORKED)
#else
    :: success -> unset (OPEN)
#endif
    :: else
    fi
  }
}

/* --- Threads --- */

/* The last one checks what is left. */
inline end_thread (is_other)
{
  atomic {
    n_threads--;
    n_others = n_others - is_other;
    if
    :: n_threads > 0
    :: n_threads == 0 ->
       assert (kernel_open == has (OPEN) && kernel_open == (wakeup_fd != 0));
#if !FORK || N_CLOSES > 0 || N_VFUNC_CLOSES > 0
       assert (!(has (CLOSED) && kernel_open));
       assert (!(has (CLOSED) && has (ASYNC_PENDING)));
#endif
       assert (!(has (OPEN) && has (ALWAYS_READY)) || readable);
       assert (has (IN_WAIT) == (claims != 0));
       assert (owed == has (WOKEN))
    fi
  }
}

/* sel_wait_run () with a timeout that is infinite, or 0 if it claims POLLING. */
#if N_WAITS + N_WAITS_2 > 0
proctype waiter (byte n; short claimed)
{
  bool success, cancellable, fast, is_first, no_time, ends_by_itself, got_wakeup, got_fd, n_events, resume, armed;
  byte fd, tag;

call:
  if
  :: n == 0 -> goto end
  :: else -> n--
  fi;

again:
  cancellable = CANCELLABLE && claimed == WAITING && n == N_WAITS - 1;

  sel_state_try_claim ();
  if
  :: success -> goto begin
  :: else
  fi;

  /* sel_wait_claim () */
  sel_state_lock ();
  sel_lifecycle_ensure_open ();
  if
  :: !success -> sel_state_unlock (); goto call
  :: else
  fi;
  sel_state_claim (IN_WAIT | (claimed == WAITING -> ASYNC_PENDING : 0));
  sel_state_unlock ();
  if
  :: success -> goto begin
  :: !success && claimed == WAITING -> goto call
  :: !success && claimed == POLLING
  fi;

  /* sel_wait_block_source () */
  sel_state_lock ();
  if
  :: has (WAITING) -> set (SOURCE_BLOCKED)
  :: else -> sel_state_unlock (); goto again
  fi;
  sel_state_unlock ();
  if
  :: bell -> bell = false; goto again
  :: n_others == 0 && n_in_kernel == 1 -> goto end /* the wait that blocks it need not end */
  fi;

begin:
  /* sel_wait_begin () */
  atomic { assert (events == NOBODY); events = ME };
  success = false;

  /* sel_wait_run_cancellable () */
  if
  :: cancellable ->
     if
     :: cancelled -> sel_state_lock (); goto abort
     :: else
     fi;
     connected = true;
     if
     :: cancelled -> sel_wakeup_signal ()
     :: else
     fi
  :: else
  fi;
  is_first = true;

once:
  /* sel_wait_prepare () */
  no_time = (claimed == POLLING);
  ends_by_itself = false;
  if
  :: sel_state_is_fast ()
  :: else ->
     sel_state_lock ();
     sel_pause_resume_due (is_first && claimed == WAITING);
     if
     :: is_first -> sel_registry_clear_changed ()
     :: else
     fi;
     atomic {
#ifndef WITHOUT_WOKEN_TEST_OF_PREPARE
       no_time = no_time || has (WOKEN);
#endif
       no_time = no_time || has (ALWAYS_READY);
       assert (!(is_first && claimed == WAITING && in_pause_list));
       ends_by_itself = has (PAUSED)
     };
     sel_state_unlock ()
  fi;

  /* The backend's wait () */
  if
  :: !wait_sees_updates -> sel_state_lock (); armed = kernel_armed; sel_state_unlock ()
  :: else
  fi;
  atomic { assert (kernel_open && wakeup_fd != 0 && !parents); n_in_kernel++ };
  atomic {
    if
    :: readable || no_time || ends_by_itself ||
       (fd_ready && ((wait_sees_updates && kernel_armed) || (!wait_sees_updates && armed))) ->
       got_wakeup = readable;
       got_fd = fd_ready && ((wait_sees_updates && kernel_armed) || (!wait_sees_updates && armed));
       tag = generation
    :: n_others == 0 && !must_end () -> goto end
    fi;
    n_in_kernel--
  };

  /* sel_wait_begin_reports () */
  sel_state_lock ();
  atomic {
    assert (kernel_open && events == ME);
    if
    :: got_wakeup -> /* sel_notify_drain_wakeup () */
       assert (read_fd == wakeup_fd && read_fd != 0 && !parents);
#ifdef WITHOUT_TEST_OF_DRAIN
       readable = false
#else
       readable = has (ALWAYS_READY)
#endif
    :: else
    fi;
    n_events = got_fd && registered && !paused &&
               ((wait_sees_updates && tag == generation) || (!wait_sees_updates && !changed_in_wait));
    tag = generation;
    got_wakeup = false;
    got_fd = false;
    armed = false
  };

  fast = sel_state_is_fast ();

  /* sel_wait_check_ended () */
  if
  :: !fast || cancellable ->
     if
#ifndef WITHOUT_CLOSED_TEST
     :: has (CLOSED) -> goto abort
#endif
     :: else
     fi;
     if
#ifndef WITHOUT_CANCELLED_TEST
     :: cancellable && cancelled -> goto abort
#endif
     :: else
     fi;
     if
     :: has (CHANGED) ->
        n_events = n_events && tag == generation && registered && !paused;
        sel_registry_clear_changed ()
     :: else
     fi
  :: else
  fi;

  /* sel_wait_complete () and sel_wait_take_wakeup () */
  if
  :: !fast && has (WOKEN) ->
     if
     :: claimed == WAITING -> atomic { unset (WOKEN); owed = false }
#ifndef WITHOUT_BELL_OF_TAKE_WAKEUP
     :: claimed == POLLING && has (ASYNC_PENDING) -> sel_notify_watchers ()
#endif
     :: else
     fi
  :: !(!fast && has (WOKEN)) && !n_events && !(!fast && has (ALWAYS_READY)) && claimed == WAITING ->
     /* TOO_SHORT: sel_wait_continue () */
     sel_state_unlock ();
     is_first = false;
     goto once
  :: else
  fi;
  assert (!n_events || (registered && !paused && tag == generation));
  success = true;

abort:
  /* sel_wait_end (), or sel_wait_abort () */
  connected = connected && !cancellable;
  atomic { assert (events == ME); events = NOBODY };
  atomic { assert (claims == 1); claims--; unset (IN_WAIT) };
  if
  :: !success || has (CHANGED | SOURCE_BLOCKED) -> /* sel_wait_end_slow () */
     sel_registry_clear_changed ();
     if
#ifndef WITHOUT_SOURCE_BELL
     :: has (SOURCE_BLOCKED) -> unset (SOURCE_BLOCKED); bell = true
#endif
     :: else
     fi
  :: else
  fi;
  if
#ifndef WITHOUT_RELEASE_OF_ABORT
  :: !success -> sel_lifecycle_release_if_unused ()
#endif
  :: else
  fi;
  sel_state_unlock ();
  n_events = false;
  tag = 0;
  fast = false;
  goto call;

end:
  end_thread (0)
}
#endif

/* sel_base_selector_select_async () without a timeout, and the turns of its source. */
#if N_ASYNC > 0
proctype async_waiter (byte n)
{
  short claimed = POLLING;
  bool success, cancellable, resume, ready, was_rung, got_wakeup, got_fd, n_events, armed;
  byte fd, tag;

call:
  if
  :: n == 0 -> goto end
  :: else -> n--
  fi;
  cancellable = CANCELLABLE;

  /* sel_wait_begin_async () */
  sel_state_lock ();
  sel_lifecycle_ensure_open ();
  if
  :: !success -> sel_state_unlock (); goto call
  :: else
  fi;
  atomic {
    success = !has (ASYNC_PENDING | WAITING);
    if
    :: success -> set (ASYNC_PENDING)
    :: else
    fi
  };
  sel_state_unlock ();
  if
  :: !success -> goto call
  :: else
  fi;

  /* sel_source_new_wait () and sel_async_wait_connect () */
  sel_state_lock ();
  success = !has (CLOSED);
  has_watcher = success;
  sel_state_unlock ();
  if
  :: !success -> goto done
  :: else
  fi;
  if
  :: cancellable -> async_connected = true; was_rung = cancelled
  :: else
  fi;

turn:
  /* sel_source_sync () */
  sel_state_lock ();
  atomic {
#ifndef WITHOUT_WAS_RUNG
    was_rung = was_rung || async_bell;
#endif
    async_bell = false;
    ready = was_rung || has (CLOSED | ALWAYS_READY) || (word & (OPEN | FORKED)) != OPEN;
#ifndef WITHOUT_WOKEN_TEST_OF_SYNC
    ready = ready || has (WOKEN);
#endif
    armed = kernel_armed
  };
  sel_state_unlock ();

  /* The poll () of the context. GLib may pass over check (). */
  atomic {
    if
    :: ready || async_bell || (kernel_open && (readable || (fd_ready && (wait_sees_updates -> kernel_armed : armed))))
    :: n_others == 0 && !must_end () -> goto end
    fi
  };
  if
  :: true
  :: goto turn
  fi;
  was_rung = false;

  /* sel_async_wait_look (); sel_wait_poll_events () is a wait without time */
  if
  :: cancellable && cancelled -> goto done
  :: else
  fi;
  sel_state_lock (); /* ASYNC_PENDING keeps the wait off the fast path */
  success = has (OPEN) && !has (CLOSED | FORKED); /* it was open when the wait began, and is not opened here */
  if
  :: !success -> sel_state_unlock (); goto done
  :: else
  fi;
  sel_state_claim (IN_WAIT);
  sel_state_unlock ();
  if
  :: !success -> goto turn
  :: else
  fi;

  atomic { assert (events == NOBODY); events = ME };
  sel_state_lock (); /* sel_wait_prepare () */
  sel_registry_clear_changed ();
  sel_state_unlock ();
  if
  :: !wait_sees_updates -> sel_state_lock (); armed = kernel_armed; sel_state_unlock ()
  :: else
  fi;
  atomic {
    assert (kernel_open && wakeup_fd != 0 && !parents);
    got_wakeup = readable;
    got_fd = fd_ready && (wait_sees_updates -> kernel_armed : armed);
    tag = generation
  };
  sel_state_lock ();
  atomic {
    assert (kernel_open && events == ME);
    if
    :: got_wakeup -> readable = has (ALWAYS_READY)
    :: else
    fi;
    n_events = got_fd && registered && !paused &&
               ((wait_sees_updates && tag == generation) || (!wait_sees_updates && !changed_in_wait));
    n_events = n_events || has (WOKEN | ALWAYS_READY | CLOSED);
    success = !has (CLOSED);
    tag = 0
  };
  if
  :: success && has (WOKEN) -> atomic { unset (WOKEN); owed = false } /* sel_wait_take_wakeup () */
  :: else
  fi;

  /* sel_wait_end (), or sel_wait_abort () */
  atomic { assert (events == ME); events = NOBODY };
  atomic { assert (claims == 1); claims--; unset (IN_WAIT) };
  sel_registry_clear_changed ();
  sel_state_unlock (); /* nothing is released as long as there is a watcher */
  if
  :: !n_events -> goto turn
  :: else -> n_events = false
  fi;

done:
  /* sel_async_wait_end () and sel_source_leave () */
  async_connected = false;
  assert (has (ASYNC_PENDING));
  unset (ASYNC_PENDING);
  sel_state_lock ();
  atomic { has_watcher = false; async_bell = false };
#ifndef WITHOUT_RELEASE_OF_LEAVE
  sel_lifecycle_release_if_unused ();
#endif
  sel_state_unlock ();
  goto call;

end:
  end_thread (0)
}
#endif

/* sel_wait_wake () */
#if N_WAKEUPS > 0
proctype waker (byte n)
{
  byte fd;

  do
  :: n == 0 -> break
  :: n > 0 ->
     n--;
#ifdef WITHOUT_WOKEN_FIRST
     owed = true;
#else
     atomic { set (WOKEN); owed = true };
#endif
     if
#ifndef WITHOUT_FORKED_TEST
     :: !fork_count || has (FORKED)
#endif
     :: else -> sel_wakeup_signal ()
     fi;
#ifdef WITHOUT_WOKEN_FIRST
     set (WOKEN)
#endif
  od;
  end_thread (1)
}
#endif

/* g_cancellable_cancel() */
#if CANCELLABLE
proctype canceller ()
{
  bool was_connected;
  byte fd;

  atomic { cancelled = true; was_connected = connected };
  if
  :: was_connected -> sel_wakeup_signal ()
  :: else
  fi;
  async_bell = async_bell || async_connected; /* sel_async_wait_cancelled () */
  end_thread (1)
}
#endif

/* The first lines are sel_base_selector_take_all (). */
inline sel_base_selector_finish_close ()
{
  sel_state_lock ();
  atomic { registered = false; unset (ALWAYS_READY) };
#ifndef WITHOUT_BELL_OF_CLOSE
  sel_notify_watchers (); /* sel_notify_close_watchers () */
#endif
  if
#ifndef WITHOUT_CLOSE_WAKE
  :: has (IN_WAIT) -> sel_wakeup_signal ()
#endif
  :: else
  fi;
  sel_state_unlock ();
  sel_state_lock ();
  sel_lifecycle_release_if_unused ();
  sel_state_unlock ()
}

#if N_CLOSES > 0
proctype closer ()
{
  bool success;
  byte fd;

  sel_state_lock ();
#ifdef WITHOUT_CLOSE_OF_CHILD
  success = !has (CLOSED);
#else
  success = !has (CLOSED) || has (FORKED);
#endif
  set (CLOSED);
  sel_state_unlock ();
  if
  :: success -> sel_base_selector_finish_close ()
  :: else
  fi;
  end_thread (1)
}
#endif

/* sel_lifecycle_reinit_locked () */
#if N_REINITS > 0
proctype reiniter (byte n)
{
  short old_word;
  bool success;
  byte fd;

  do
  :: n == 0 -> break
  :: n > 0 ->
     n--;
     sel_state_lock ();
     if
     :: has (CLOSED)
     :: else ->
        sel_state_take_open ();
        if
        :: success ->
           if
           :: (old_word & OPEN) != 0 -> sel_lifecycle_give_back ()
           :: else
           fi;
           unset (FORKED);
           open_error = false;
           sel_lifecycle_open ();
           if
#ifndef WITHOUT_WAKE_OF_OPEN
           :: success && has (ALWAYS_READY) -> sel_wakeup_signal () /* in the code before OPEN is set */
#endif
           :: else
           fi;
#ifndef WITHOUT_BELL_OF_REINIT
           sel_notify_watchers () /* sel_notify_changed () */
#endif
        :: else
        fi
     fi;
     sel_state_unlock ();
     old_word = 0
  od;
  end_thread (1)
}
#endif

#if N_CHANGES > 0
proctype changer (byte n)
{
  bool success;
  byte fd;

  do
  :: n == 0 -> break
  :: n > 0 ->
     n--;
     sel_state_lock ();
     sel_lifecycle_ensure_open ();
     if
     :: success ->
        if
        :: atomic { generation++; registered = true; paused = false; in_pause_list = false; kernel_armed = true }
        :: registered ->
           atomic { registered = false; paused = false; in_pause_list = false; kernel_armed = false }
        fi;
        sel_pause_update_state ();
        sel_registry_mark_changed ();
        sel_notify_changed ()
     :: else
     fi;
     sel_state_unlock ()
  od;
  end_thread (1)
}
#endif

/* sel_registry_change_always_ready (), and what its caller does after it. */
#if N_FILES > 0
proctype filer (byte n)
{
  bool success;
  byte fd;

  do
  :: n == 0 -> break
  :: n > 0 ->
     n--;
     sel_state_lock ();
     sel_lifecycle_ensure_open ();
     if
     :: success ->
        if
        :: has (ALWAYS_READY) -> unset (ALWAYS_READY)
        :: else ->
           set (ALWAYS_READY);
#ifndef WITHOUT_ALWAYS_READY_WAKE
           sel_wakeup_signal ()
#endif
        fi;
        sel_registry_mark_changed ();
#ifndef WITHOUT_ALWAYS_READY_WAKE
        sel_notify_changed ()
#endif
     :: else
     fi;
     sel_state_unlock ()
  od;
  end_thread (1)
}
#endif

/* update () is called with the lock, by a call that modifies the registration: that call finishes to close the
 * selector when it unlocks. */
#if N_VFUNC_CLOSES > 0
proctype vfunc_closer ()
{
  bool success;
  byte fd;

  sel_state_lock ();
  sel_lifecycle_ensure_open ();
  if
  :: success ->
     /* sel_base_selector_close (), in the virtual function */
     set (CLOSED);
     close_later = true; /* sel_state_close_later () */
     sel_registry_mark_changed ();
     sel_notify_changed ()
  :: else
  fi;

  /* sel_state_unlock_slow () */
  success = close_later;
  close_later = false;
  sel_state_unlock ();
  if
#ifndef WITHOUT_CLOSE_LATER
  :: success -> sel_base_selector_finish_close ()
#endif
  :: else
  fi;
  end_thread (1)
}
#endif

/* A main loop. */
#if N_PAUSES > 0
proctype pauser (byte n)
{
  bool waits;
  byte fd;

  do
  :: n == 0 -> break
  :: n > 0 ->
     n--;
     sel_state_lock ();
     if
     :: !registered || paused || has (FORKED) || !has (OPEN)
     :: else ->
        if
        :: sel_pause_begin (true)
        :: sel_pause_begin (false)
        :: sel_pause_rearm ()
        fi
     fi;
     sel_state_unlock ()
  od;
  end_thread (1)
}
#endif

proctype device ()
{
  if
  :: fd_ready = true
  :: skip
  fi;
  end_thread (1)
}

#define start(process) atomic { n_threads++; run process }
#define start_other(process) atomic { n_threads++; n_others++; run process }

init
{
  atomic {
    if
    :: wait_sees_updates = true
    :: wait_sees_updates = false
    fi;
#if N_CHANGES == 0 || FORK
    registered = true;
#endif
#if FORK
    /* What a thread of the parent process may have been doing. */
    if
    :: word = 0
    :: word = OPEN; parents = true; kernel_open = true; sel_wakeup_open ();
       if
       :: set (WAITING); events = A_PARENT
       :: set (POLLING); events = A_PARENT
       :: set (WAITING | CHANGED | SOURCE_BLOCKED); events = A_PARENT
       :: skip
       fi;
       if
       :: set (PAUSED); paused = true; in_pause_list = true
       :: kernel_armed = true
       fi
    fi;
    if
    :: set (CLOSED); registered = false
    :: set (WOKEN); owed = true; in_use = 1
    :: skip
    fi;
    if
    :: lock = A_PARENT
    :: skip
    fi;
#endif
#if N_WAITS > 0
    start (waiter (N_WAITS, WAITING));
#endif
#if N_WAITS_2 > 0
    if
    :: start (waiter (N_WAITS_2, WAITING))
    :: start (waiter (N_WAITS_2, POLLING))
    fi;
#endif
#if N_WAKEUPS > 0
    start_other (waker (N_WAKEUPS));
#endif
#if CANCELLABLE
    start_other (canceller ());
#endif
#if N_CLOSES > 0
    start_other (closer ());
#endif
#if N_CLOSES > 1
    start_other (closer ());
#endif
#if N_REINITS > 0
    start_other (reiniter (N_REINITS));
#endif
#if N_CHANGES > 0
    start_other (changer (N_CHANGES));
#endif
#if N_PAUSES > 0
    start_other (pauser (N_PAUSES));
#endif
#if N_ASYNC > 0
    start (async_waiter (N_ASYNC));
#endif
#if N_FILES > 0
    start_other (filer (N_FILES));
#endif
#if N_VFUNC_CLOSES > 0
    start_other (vfunc_closer ());
#endif
    start_other (device ())
  }
}
